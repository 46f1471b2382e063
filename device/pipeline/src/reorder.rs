// SPDX-License-Identifier: GPL-2.0

//! The reorder buffer: gives back in the order of their numbers what arrives in any (chapter 4, section 4.3.2).

/// Holds what came too early. Numbers begin at zero and leave no gap.
#[derive(Debug)]
pub(crate) struct ReorderBuffer<T> {
    /// What is held, at its number modulo the size.
    slots: Box<[Option<T>]>,
    /// The number that comes next.
    next: u64,
}

impl<T> ReorderBuffer<T> {
    /// For at most `window` numbers between the one that comes next and the highest.
    pub(crate) fn new(window: usize) -> Self {
        Self {
            slots: (0..window).map(|_| None).collect(),
            next: 0,
        }
    }

    /// Takes in the item of this number, which must be in the window and new.
    pub(crate) fn insert(&mut self, number: u64, item: T) {
        let ahead = number.checked_sub(self.next);
        let window = self.slots.len() as u64;
        assert!(
            ahead.is_some_and(|ahead| ahead < window),
            "number {number} is outside of the window of {window} from {}",
            self.next
        );
        let slot = &mut self.slots[(number % window) as usize];
        assert!(slot.is_none(), "number {number} came twice");
        *slot = Some(item);
    }

    /// The item that comes next, if it has arrived.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let window = self.slots.len() as u64;
        let item = self.slots[(self.next % window) as usize].take()?;
        self.next += 1;
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    #[should_panic(expected = "outside of the window")]
    fn insert__too_far_ahead() {
        ReorderBuffer::new(4).insert(4, ());
    }

    #[test]
    #[should_panic(expected = "came twice")]
    fn insert__twice() {
        let mut buffer = ReorderBuffer::new(4);
        buffer.insert(1, ());
        buffer.insert(1, ());
    }

    proptest! {
        #[test]
        fn pop__in_order_whatever_comes_first(window in 1..20usize, picks in prop::collection::vec(any::<prop::sample::Index>(), 100)) {
            let mut buffer = ReorderBuffer::new(window);
            let (mut sent, mut received) = (0, 0);
            let mut flying = Vec::new();
            for pick in picks {
                while sent < received + window as u64 {
                    flying.push(sent);
                    sent += 1;
                }
                let number = flying.swap_remove(pick.index(flying.len()));
                buffer.insert(number, number);
                while let Some(item) = buffer.pop() {
                    prop_assert_eq!(item, received);
                    received += 1;
                }
                prop_assert!(!flying.iter().any(|&number| number < received));
            }
        }
    }
}
