// SPDX-License-Identifier: GPL-2.0

//! The Internet checksum (RFC 1071).

/// A ones' complement sum under construction, over words in the machine's byte order.
///
/// The sum of two sums is the sum of the concatenated data if the first has an even length; see
/// [`Sum::add_sum`] for the other case.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum(u64);

impl Sum {
    /// The sum of nothing.
    pub const ZERO: Self = Self(0);

    /// The sum of `bytes`, a missing last byte taken as zero.
    #[inline]
    pub fn of(bytes: &[u8]) -> Self {
        Self::ZERO.add_bytes(bytes)
    }

    /// The sum of two adjoining pieces of data: the two parts of a ring's contents, say.
    #[inline]
    pub fn of_parts(first: &[u8], second: &[u8]) -> Self {
        Self::of(first).add_sum(Self::of(second), first.len() % 2 == 1)
    }

    #[inline]
    fn add_word(self, word: u64) -> Self {
        let (sum, carry) = self.0.overflowing_add(word);
        Self(sum.wrapping_add(u64::from(carry)))
    }

    /// Adds `bytes`, which begin at an even offset.
    #[inline]
    pub fn add_bytes(self, bytes: &[u8]) -> Self {
        let mut sum = self;
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(word);
            sum = sum.add_word(u64::from_ne_bytes(bytes));
        }
        let rest = words.remainder();
        if rest.is_empty() {
            return sum;
        }
        let mut bytes = [0; 8];
        bytes[..rest.len()].copy_from_slice(rest);
        sum.add_word(u64::from_ne_bytes(bytes))
    }

    /// Adds the sum of data that follow; `odd` if they begin at an odd offset.
    #[inline]
    pub fn add_sum(self, next: Self, odd: bool) -> Self {
        if odd {
            self.add_word(u64::from(next.fold().swap_bytes()))
        } else {
            self.add_word(next.0)
        }
    }

    /// Adds a 16-bit number, at an even offset in network order.
    #[inline]
    pub fn add_u16(self, n: u16) -> Self {
        self.add_word(u64::from(n.to_be()))
    }

    /// Adds a 32-bit number, at an even offset in network order.
    #[inline]
    pub fn add_u32(self, n: u32) -> Self {
        self.add_word(u64::from(n.to_be()))
    }

    /// Adds up halves, twice: the high half of a number plus itself rotated is the sum with its carry.
    #[inline]
    const fn fold(self) -> u16 {
        let sum = (self.0.wrapping_add(self.0.rotate_left(32)) >> 32) as u32;
        (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16
    }

    /// The bytes of the sum itself: what checksum offload expects in the checksum field.
    #[inline]
    pub fn partial(self) -> [u8; 2] {
        self.fold().to_ne_bytes()
    }

    /// The bytes of the checksum field: the sum's complement.
    #[inline]
    pub fn checksum(self) -> [u8; 2] {
        (!self.fold()).to_ne_bytes()
    }

    /// Whether a sum over data that include their checksum says they are intact.
    #[inline]
    pub fn is_valid(self) -> bool {
        self.fold() == 0xffff
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn naive(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            sum += (u32::from(pair[0]) << 8) | u32::from(*pair.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    #[test]
    fn checksum__rfc1071_example() {
        let sum = Sum::of(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum.partial(), [0xdd, 0xf2]);
        assert_eq!(sum.checksum(), [0x22, 0x0d]);
    }

    #[test]
    fn checksum__all_ones_carries() {
        for len in 0..130 {
            let bytes = std::vec![0xff; len];
            assert_eq!(
                u16::from_be_bytes(Sum::of(&bytes).checksum()),
                naive(&bytes),
                "{len}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn checksum__equals_naive(bytes: Vec<u8>) {
            proptest::prop_assert_eq!(u16::from_be_bytes(Sum::of(&bytes).checksum()), naive(&bytes));
        }

        #[test]
        fn checksum__of_parts_equals_whole(bytes: Vec<u8>, cut: usize) {
            let cut = cut % (bytes.len() + 1);
            let sum = Sum::of_parts(&bytes[..cut], &bytes[cut..]);
            proptest::prop_assert_eq!(u16::from_be_bytes(sum.checksum()), naive(&bytes));
        }

        #[test]
        fn checksum__verifies_itself(bytes: Vec<u8>) {
            let even = &bytes[..bytes.len() & !1];
            let field = Sum::of(even).checksum();
            proptest::prop_assert!(Sum::of(even).add_bytes(&field).is_valid());
        }
    }
}
