// SPDX-License-Identifier: GPL-2.0

//! What a broken device may tell its host: things that can't be.
//!
//! Nothing of it could be true: what a host can't tell from the truth, as payload or a position that might be right, is left as
//! it is, for a transfer is to end right. What a record says (section 9 of the interface) can still be read, too: nonsense goes
//! to the copy that is not the newest.

use crate::{
    layout::{
        event, hash, kind, notify, rx, state, status, AdminCompletion, ConnectionRead,
        Notification, RecordCopy, RxCompletion, QUEUE_STOPPED,
    },
    random::Random,
};
use std::cell::Cell;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// More than any buffer has, and less than could be taken for a step back.
const FAR: u32 = 1 << 25;

impl Random {
    /// A byte from `first` on.
    fn byte(&mut self, first: u8) -> u8 {
        first.saturating_add(self.below(256 - u32::from(first)) as u8)
    }

    /// A free-running position that is neither ahead of nor behind `true_one` by as much as a buffer has.
    fn far(&mut self, true_one: u32) -> u32 {
        let distance = FAR + self.below(1 << 30);
        match self.below(2) {
            0 => true_one.wrapping_add(distance),
            _ => true_one.wrapping_sub(distance),
        }
    }
}

/// What a device tells its host, and can be told wrongly.
pub trait Garble {
    /// Makes it something that can't be.
    fn garble(&mut self, random: &mut Random);
}

impl Garble for AdminCompletion {
    fn garble(&mut self, random: &mut Random) {
        match random.below(6) {
            0 => self.id = (self.id.get() ^ (1 + random.below(0xffff) as u16)).into(),
            1 => self.kind = random.byte(kind::QUEUE_STOPPED + 1),
            2 => self.status = (1000 + random.below(1 << 30)).into(),
            3 => {
                self.kind = kind::LINK;
                self.value[0] = (2 + random.below(1 << 30)).into();
            }
            4 => self.value[0] = (1 + random.below(u32::MAX)).into(),
            _ => self.phase ^= 1,
        }
    }
}

impl Garble for Notification {
    fn garble(&mut self, random: &mut Random) {
        match random.below(12) {
            0 => self.cookie = (random.draw() | (1 << 40)).into(),
            1 => self.connection = random.far(self.connection.get()).into(),
            2 => self.kind = random.byte(notify::STOPPED + 1),
            3 => self.rx_tail = random.far(self.rx_tail.get()).into(),
            4 => self.tx_head = random.far(self.tx_head.get()).into(),
            5 => self.events = (self.events.get() | 0x100).into(),
            6 => self.waits |= 0x40,
            // The record knows better, unless it is true.
            7 => self.events = (self.events.get() | event::PEER_FIN).into(),
            8 => self.events = (self.events.get() | event::FIN_ACKED).into(),
            9 => {
                self.events = (self.events.get() | event::REPORT).into();
                self.data = [0xff; 36];
            }
            10 => {
                self.kind = notify::STOPPED;
                self.data[..4].copy_from_slice(&random.far(0).to_le_bytes());
            }
            _ => self.phase ^= 1,
        }
    }
}

impl Garble for RxCompletion {
    fn garble(&mut self, random: &mut Random) {
        match random.below(5) {
            0 => self.len = random.far(0).into(),
            1 => self.len = 0.into(),
            2 => self.flags = (self.flags.get() | 0x40 | rx::VLAN).into(),
            3 => self.hash_kind = random.byte(hash::L4 + 1),
            _ => self.phase ^= 1,
        }
    }
}

impl Garble for RecordCopy {
    fn garble(&mut self, random: &mut Random) {
        match random.below(9) {
            0 => self.snd_una = random.far(self.snd_una.get()).into(),
            1 => self.rcv_nxt = random.far(self.rcv_nxt.get()).into(),
            2 => {
                let nonsense = random.far(self.rx_tail.get());
                let moved = nonsense.wrapping_sub(self.rx_tail.get());
                self.rx_tail = nonsense.into();
                self.rcv_nxt = self.rcv_nxt.get().wrapping_add(moved).into();
            }
            3 => {
                let nonsense = random.far(self.tx_head.get());
                let moved = nonsense.wrapping_sub(self.tx_head.get());
                self.tx_head = nonsense.into();
                self.snd_una = self.snd_una.get().wrapping_add(moved).into();
            }
            4 => self.flags = (self.flags.get() | (1 << 31)).into(),
            5 => self.snd_wnd = u32::MAX.into(),
            6 => self.state = random.byte(state::QUIESCED + 1),
            7 => self.waits |= 0x80,
            _ => fill(self, random),
        }
    }
}

impl Garble for ConnectionRead {
    fn garble(&mut self, random: &mut Random) {
        let c = &mut self.connection;
        match random.below(4) {
            0 => c.cookie = (random.draw() | (1 << 40)).into(),
            1 => c.rcv_nxt = random.far(c.rcv_nxt.get()).into(),
            2 => c.tx_head = random.far(c.tx_head.get()).into(),
            _ => fill(self, random),
        }
    }
}

/// Fills all of `value`.
fn fill<T: FromBytes + IntoBytes + Immutable>(value: &mut T, random: &mut Random) {
    for chunk in value.as_mut_bytes().chunks_mut(8) {
        let bytes = random.draw().to_le_bytes();
        chunk.copy_from_slice(&bytes[..chunk.len()]);
    }
}

/// How much of what the device tells is nonsense.
#[derive(Debug, Default)]
pub struct Nonsense {
    random: Cell<Option<Random>>,
    one_in: Cell<u32>,
    told: Cell<u64>,
}

impl Nonsense {
    /// From now on one of `one_in` things told is nonsense, which `seed` decides.
    pub fn begin(&self, seed: u64, one_in: u32) {
        self.random.set(Some(Random::new(seed)));
        self.one_in.set(one_in);
    }

    /// From now on none is.
    pub fn end(&self) {
        self.random.set(None);
    }

    /// How much nonsense was told.
    pub fn told(&self) -> u64 {
        self.told.get()
    }

    /// Calls `f` if what is told now is to be nonsense.
    #[inline]
    pub fn strike(&self, f: impl FnOnce(&mut Random)) {
        let Some(mut random) = self.random.get() else {
            return;
        };
        if random.below(self.one_in.get()) == 0 {
            self.told.set(self.told.get() + 1);
            f(&mut random);
        }
        self.random.set(Some(random));
    }

    /// Makes something of `value` that can't be, sometimes.
    #[inline]
    pub fn garble(&self, value: &mut impl Garble) {
        self.strike(|random| value.garble(random));
    }

    /// What is told of an index that is `index`.
    pub fn index(&self, mut index: u32) -> u32 {
        self.strike(|random| index = random.far(index));
        index
    }

    /// What is told of a queue's flags, if they are.
    pub fn flags(&self) -> Option<u32> {
        let mut flags = None;
        self.strike(|_| flags = Some(QUEUE_STOPPED));
        flags
    }

    /// What is told of the device's status that is `value`.
    pub fn status(&self, mut value: u32) -> u32 {
        self.strike(|random| {
            value = match random.below(4) {
                0 => value & !status::READY,
                1 => value | status::RESETTING,
                2 => u32::MAX,
                _ => value | (0x100 << random.below(24)),
            }
        });
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Garbles `truth` often; calls `check` with what came of it.
    fn often<T: Garble + Copy + IntoBytes + Immutable>(truth: T, check: impl Fn(&T)) {
        let mut random = Random::new(1);
        for _ in 0..1000 {
            let mut told = truth;
            told.garble(&mut random);
            assert_ne!(told.as_bytes(), truth.as_bytes());
            check(&told);
        }
    }

    #[test]
    fn garble__makes_something_else_of_everything() {
        often(AdminCompletion::zeroed(), |_| ());
        let mut received = RxCompletion::zeroed();
        received.len = 60.into();
        often(received, |_| ());
        often(RecordCopy::zeroed(), |_| ());
        often(ConnectionRead::zeroed(), |_| ());
    }

    #[test]
    fn garble__spares_positions_that_might_be_right() {
        let mut truth = Notification::zeroed();
        truth.rx_tail = 5.into();
        truth.tx_head = 7.into();
        often(truth, |told| {
            for (told, truth) in [(told.rx_tail.get(), 5u32), (told.tx_head.get(), 7)] {
                let distance = (told.wrapping_sub(truth) as i32).unsigned_abs();
                assert!(distance == 0 || distance >= FAR);
            }
        });
    }
}
