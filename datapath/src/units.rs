// SPDX-License-Identifier: GPL-2.0

//! Quantities with units. All wrap-around arithmetic of the crate is in this file.

use core::ops::{Add, AddAssign, Sub, SubAssign};

/// A TCP sequence number (RFC 9293, section 3.4): wraps at 2^32 and has no total order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(transparent)]
pub struct SeqNum(u32);

impl SeqNum {
    /// The sequence number `n`, as it stands in a header.
    #[inline]
    pub const fn new(n: u32) -> Self {
        Self(n)
    }

    /// The number as it stands in a header.
    #[inline]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Signed distance from `earlier` to `self`; negative when `self` comes first.
    #[inline]
    pub const fn since(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0) as i32
    }

    /// Bytes of sequence space from `earlier` to `self`; none when `self` comes first.
    #[inline]
    pub const fn bytes_since(self, earlier: Self) -> Bytes {
        let distance = self.since(earlier);
        Bytes(if distance > 0 { distance as u32 } else { 0 })
    }

    /// Whether `self` comes strictly before `other`.
    #[inline]
    pub const fn before(self, other: Self) -> bool {
        self.since(other) < 0
    }

    /// Whether `self` comes strictly after `other`.
    #[inline]
    pub const fn after(self, other: Self) -> bool {
        self.since(other) > 0
    }

    /// Whether `self` lies in the `len` bytes that begin at `start`.
    #[inline]
    pub const fn in_window(self, start: Self, len: Bytes) -> bool {
        self.0.wrapping_sub(start.0) < len.0
    }

    /// The later of the two.
    #[inline]
    pub const fn max(self, other: Self) -> Self {
        if self.before(other) {
            other
        } else {
            self
        }
    }

    /// The earlier of the two.
    #[inline]
    pub const fn min(self, other: Self) -> Self {
        if self.after(other) {
            other
        } else {
            self
        }
    }
}

impl Add<Bytes> for SeqNum {
    type Output = Self;

    #[inline]
    fn add(self, n: Bytes) -> Self {
        Self(self.0.wrapping_add(n.0))
    }
}

impl Sub<Bytes> for SeqNum {
    type Output = Self;

    #[inline]
    fn sub(self, n: Bytes) -> Self {
        Self(self.0.wrapping_sub(n.0))
    }
}

impl AddAssign<Bytes> for SeqNum {
    #[inline]
    fn add_assign(&mut self, n: Bytes) {
        *self = *self + n;
    }
}

/// A number of bytes: a length, a window, a buffer size. Addition and subtraction saturate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(transparent)]
pub struct Bytes(pub u32);

impl Bytes {
    /// No bytes.
    pub const ZERO: Self = Self(0);

    /// As an index or a slice length.
    #[inline]
    pub const fn as_usize(self) -> usize {
        self.0 as usize
    }

    /// What is left over of whole multiples of `unit`; nothing if that is zero.
    #[inline]
    pub const fn beyond_multiple_of(self, unit: Self) -> Self {
        match self.0.checked_rem(unit.0) {
            Some(rest) => Self(rest),
            None => Self::ZERO,
        }
    }

    /// Whether there are none.
    #[inline]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl Add for Bytes {
    type Output = Self;

    #[inline]
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Bytes {
    type Output = Self;

    #[inline]
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl AddAssign for Bytes {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Bytes {
    #[inline]
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

/// A position in a payload stream: counts bytes since an arbitrary start and wraps at 2^32.
///
/// The byte's offset in a ring of `size` bytes (a power of two) is `pos & (size - 1)`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(transparent)]
pub struct StreamPos(pub u32);

impl StreamPos {
    /// Bytes from `earlier` to `self`, modulo 2^32.
    #[inline]
    pub const fn bytes_since(self, earlier: Self) -> Bytes {
        Bytes(self.0.wrapping_sub(earlier.0))
    }
}

impl Add<Bytes> for StreamPos {
    type Output = Self;

    #[inline]
    fn add(self, n: Bytes) -> Self {
        Self(self.0.wrapping_add(n.0))
    }
}

impl Sub<Bytes> for StreamPos {
    type Output = Self;

    #[inline]
    fn sub(self, n: Bytes) -> Self {
        Self(self.0.wrapping_sub(n.0))
    }
}

/// The constant distance between one direction's sequence numbers and its stream positions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct StreamMap(u32);

impl StreamMap {
    #[inline]
    pub(crate) const fn new(seq: SeqNum, pos: StreamPos) -> Self {
        Self(seq.0.wrapping_sub(pos.0))
    }

    #[inline]
    pub(crate) const fn pos(self, seq: SeqNum) -> StreamPos {
        StreamPos(seq.0.wrapping_sub(self.0))
    }
}

/// A window scale factor (RFC 7323, section 2): windows in headers count units of `2^shift` bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WindowScale(u8);

impl WindowScale {
    /// No scaling.
    pub const NONE: Self = Self(0);

    /// A shift count of 0 to 14; `None` above.
    //= https://www.rfc-editor.org/rfc/rfc7323#section-2.3
    //# If a Window Scale option is received with a shift.cnt value larger
    //# than 14, the TCP SHOULD log the error but MUST use 14 instead of the
    //# specified value.
    #[inline]
    pub const fn new(shift: u8) -> Option<Self> {
        if shift <= 14 {
            Some(Self(shift))
        } else {
            None
        }
    }

    /// The shift count.
    #[inline]
    pub const fn shift(self) -> u8 {
        self.0
    }

    /// The window a header's window field stands for.
    #[inline]
    pub const fn expand(self, field: u16) -> Bytes {
        Bytes((field as u32).wrapping_shl(self.0 as u32))
    }

    /// What one in the window field stands for.
    #[inline]
    pub const fn unit(self) -> Bytes {
        self.expand(1)
    }

    /// The header's window field for at most `window` bytes, rounded down.
    #[inline]
    pub const fn field(self, window: Bytes) -> u16 {
        let units = window.0.wrapping_shr(self.0 as u32);
        if units > u16::MAX as u32 {
            u16::MAX
        } else {
            units as u16
        }
    }
}

/// A TCP timestamp value (RFC 7323, section 3), in ticks of its sender's clock; wraps at 2^32.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(transparent)]
pub struct TsVal(pub u32);

impl TsVal {
    /// Whether `self` comes strictly before `other`.
    #[inline]
    pub const fn before(self, other: Self) -> bool {
        (self.0.wrapping_sub(other.0) as i32) < 0
    }

    /// Ticks from `earlier` to `self`, modulo 2^32.
    #[inline]
    pub const fn since(self, earlier: Self) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }
}

/// A time in microseconds: since an arbitrary, fixed moment of a monotonic clock, or between two such.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(transparent)]
pub struct Micros(pub u64);

impl Micros {
    /// `ms` milliseconds.
    #[inline]
    pub const fn from_millis(ms: u32) -> Self {
        Self(ms as u64 * 1000)
    }

    /// Time from `earlier` to `self`; zero when `self` comes first.
    #[inline]
    pub const fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }

    /// The value of our millisecond timestamp clock at this time, shifted by the connection's `offset`.
    #[inline]
    pub const fn timestamp(self, offset: u32) -> TsVal {
        TsVal(((self.0 / 1000) as u32).wrapping_add(offset))
    }
}
