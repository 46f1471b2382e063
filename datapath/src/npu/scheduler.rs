// SPDX-License-Identifier: GPL-2.0

//! The flow scheduler: which flow transmits next (chapter 4, section 4.3.4; Saeed et al., "Carousel", SIGCOMM 2017).
//!
//! A flow that has something to send is either *ready*, in a queue served round-robin, or waits in a slot of a time wheel
//! because its rate doesn't allow the next segment yet. Flows whose rate isn't limited never enter the wheel, and a flow
//! without anything to send is in neither, so that the scheduler conserves work. Every operation takes constant time,
//! but for the slots that pass with time.
//!
//! The storage is the caller's: an array, a slice or a vector.

use crate::units::{Bytes, Micros};

/// No flow.
const NIL: u32 = u32::MAX;
/// Binary places of [`Interval`].
const INTERVAL_SHIFT: u32 = 24;
/// Binary places of [`Instant`].
const INSTANT_SHIFT: u32 = 16;

/// A rate, as the time between two bytes: what is left for the data-path is a multiplication. The control plane divides.
///
/// In microseconds per byte, with 24 binary places: exact to 0.1 % at 100 Gbit/s. The slowest is 3.9 kB/s.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Interval(u32);

impl Interval {
    /// No limit.
    pub const NONE: Self = Self(0);

    /// For `rate` bytes per second, at least 1; the nearest that can be expressed.
    pub const fn from_rate(rate: u64) -> Self {
        let places = 1_000_000u64 << INTERVAL_SHIFT;
        match places.checked_div(rate) {
            Some(0) => Self(1),
            Some(interval) if interval <= u32::MAX as u64 => Self(interval as u32),
            _ => Self(u32::MAX),
        }
    }

    /// Whether there is a limit.
    #[inline]
    pub const fn is_limited(self) -> bool {
        self.0 != 0
    }

    /// The time `len` bytes take.
    #[inline]
    const fn of(self, len: Bytes) -> Instant {
        let places = self.0 as u64 * len.0 as u64;
        Instant(places >> (INTERVAL_SHIFT - INSTANT_SHIFT))
    }
}

/// A time in microseconds with 16 binary places.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
struct Instant(u64);

impl Instant {
    #[inline]
    const fn new(time: Micros) -> Self {
        Self(time.0 << INSTANT_SHIFT)
    }

    #[inline]
    const fn plus(self, time: Self) -> Self {
        Self(self.0.saturating_add(time.0))
    }

    /// The first whole microsecond not before it.
    #[inline]
    const fn ceil(self) -> Micros {
        let fraction = (1 << INSTANT_SHIFT) - 1;
        Micros(self.0.saturating_add(fraction) >> INSTANT_SHIFT)
    }
}

/// Where a flow is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// It has nothing to send.
    Idle,
    /// In the queue of ready flows.
    Ready,
    /// In the wheel's slot of this index.
    Slot(u32),
    /// [`Scheduler::next`] returned it, and nobody said yet what came of it.
    Taken,
}

/// What the scheduler keeps of a flow.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    next: u32,
    prev: u32,
    place: Place,
    interval: Interval,
    /// When the last segment was due.
    sent_at: Instant,
    /// Its length.
    sent: Bytes,
}

impl Flow {
    /// A flow with nothing to send and no limit.
    pub const NEW: Self = Self {
        next: NIL,
        prev: NIL,
        place: Place::Idle,
        interval: Interval::NONE,
        sent_at: Instant(0),
        sent: Bytes::ZERO,
    };

    /// When the next segment may be sent.
    #[inline]
    const fn due(&self) -> Instant {
        self.sent_at.plus(self.interval.of(self.sent))
    }
}

/// A list of flows: a slot of the wheel, or the ready ones.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    first: u32,
    last: u32,
}

impl Slot {
    /// Without flows.
    pub const NEW: Self = Self {
        first: NIL,
        last: NIL,
    };

    #[inline]
    const fn is_empty(&self) -> bool {
        self.first == NIL
    }

    #[inline]
    fn push(&mut self, flows: &mut [Flow], id: u32, place: Place) {
        if let Some(flow) = flows.get_mut(id as usize) {
            flow.place = place;
            flow.prev = self.last;
            flow.next = NIL;
        }
        match flows.get_mut(self.last as usize) {
            Some(last) => last.next = id,
            None => self.first = id,
        }
        self.last = id;
    }

    #[inline]
    fn remove(&mut self, flows: &mut [Flow], id: u32) {
        let Some(&Flow { next, prev, .. }) = flows.get(id as usize) else {
            return;
        };
        match flows.get_mut(prev as usize) {
            Some(prev) => prev.next = next,
            None => self.first = next,
        }
        match flows.get_mut(next as usize) {
            Some(next) => next.prev = prev,
            None => self.last = prev,
        }
    }

    #[inline]
    fn pop(&mut self, flows: &mut [Flow]) -> Option<u32> {
        let id = self.first;
        flows.get(id as usize)?;
        self.remove(flows, id);
        Some(id)
    }
}

/// The flow scheduler, over storage for flows `F` and slots of the wheel `S`.
///
/// # Invariants
///
/// A flow is linked into the list its place names, and into no other; `waiting` counts those in slots. All slots from
/// the present one backwards are empty.
#[derive(Debug)]
pub struct Scheduler<F, S> {
    flows: F,
    slots: S,
    ready: Slot,
    waiting: u32,
    /// The present slot, counted from time zero.
    now: u64,
    /// A slot's length in microseconds is two to the power of this.
    slot_shift: u32,
}

impl<F: AsRef<[Flow]> + AsMut<[Flow]>, S: AsRef<[Slot]> + AsMut<[Slot]>> Scheduler<F, S> {
    /// A scheduler at the time `now`, of as many flows as `flows` has, all [`Flow::NEW`], and a wheel of
    /// [`Slot::NEW`] slots, each `2^slot_shift` microseconds long. `None` if the slots' number is no power of two.
    ///
    /// A flow that must wait for longer than the wheel reaches goes round more than once.
    pub fn new(flows: F, slots: S, slot_shift: u32, now: Micros) -> Option<Self> {
        let usable = slots.as_ref().len().is_power_of_two() && slot_shift < 32;
        usable.then_some(Self {
            flows,
            slots,
            ready: Slot::NEW,
            waiting: 0,
            now: now.0 >> slot_shift,
            slot_shift,
        })
    }

    /// A flow has something to send, if it hadn't before. Nothing happens if there is no flow `id`.
    #[inline]
    pub fn activate(&mut self, id: u32, now: Micros) {
        if self.place(id) == Some(Place::Idle) {
            self.enqueue(id, now);
        }
    }

    /// The next flow to transmit. Say what came of it by [`sent`](Self::sent) or [`idle`](Self::idle).
    #[inline]
    pub fn next(&mut self, now: Micros) -> Option<u32> {
        self.advance(now);
        let id = self.ready.pop(self.flows.as_mut())?;
        if let Some(flow) = self.flows.as_mut().get_mut(id as usize) {
            flow.place = Place::Taken;
        }
        Some(id)
    }

    /// The flow that [`next`](Self::next) returned sent `len` bytes, and may have more.
    #[inline]
    pub fn sent(&mut self, id: u32, len: Bytes, now: Micros) {
        let slack = self.slack();
        let Some(flow) = self.flows.as_mut().get_mut(id as usize) else {
            return;
        };
        if flow.place != Place::Taken {
            return;
        }
        // Lateness by the wheel's slots is made up for, idleness isn't.
        let earliest = Instant::new(now.since(slack));
        flow.sent_at = flow.due().max(earliest);
        flow.sent = len;
        self.enqueue(id, now);
    }

    /// The flow that [`next`](Self::next) returned had nothing to send.
    #[inline]
    pub fn idle(&mut self, id: u32) {
        if let Some(flow) = self.flows.as_mut().get_mut(id as usize) {
            if flow.place == Place::Taken {
                flow.place = Place::Idle;
            }
        }
    }

    /// Limits a flow's rate, or lifts the limit; a flow that waits does so by the new rate.
    pub fn set_interval(&mut self, id: u32, interval: Interval, now: Micros) {
        let Some(flow) = self.flows.as_mut().get_mut(id as usize) else {
            return;
        };
        flow.interval = interval;
        if let Place::Slot(slot) = flow.place {
            self.leave_slot(id, slot);
            self.enqueue(id, now);
        }
    }

    /// Forgets a flow: it is as new.
    pub fn remove(&mut self, id: u32) {
        match self.place(id) {
            Some(Place::Ready) => self.ready.remove(self.flows.as_mut(), id),
            Some(Place::Slot(slot)) => self.leave_slot(id, slot),
            _ => {}
        }
        if let Some(flow) = self.flows.as_mut().get_mut(id as usize) {
            *flow = Flow::NEW;
        }
    }

    /// Whether a flow is ready, as of the time of the last [`next`](Self::next).
    #[inline]
    pub const fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// When [`next`](Self::next) should be asked again at the latest, if nothing else happens; `None` if no flow has
    /// anything to send.
    pub fn next_due(&self) -> Option<Micros> {
        if self.is_ready() {
            return Some(Micros(self.now << self.slot_shift));
        }
        if self.waiting == 0 {
            return None;
        }
        let slots = self.slots.as_ref();
        let coming = (1..=slots.len() as u64).map(|n| self.now.saturating_add(n));
        coming
            .filter(|&number| {
                slots
                    .get(Self::index(slots, number))
                    .is_some_and(|slot| !slot.is_empty())
            })
            .map(|number| Micros(number << self.slot_shift))
            .next()
    }

    #[inline]
    fn place(&self, id: u32) -> Option<Place> {
        self.flows.as_ref().get(id as usize).map(|flow| flow.place)
    }

    /// How much lateness is made up for: two slots.
    #[inline]
    const fn slack(&self) -> Micros {
        Micros(2 << self.slot_shift)
    }

    #[inline]
    const fn index(slots: &[Slot], number: u64) -> usize {
        number as usize & slots.len().wrapping_sub(1)
    }

    /// Makes a flow ready, or lets it wait in the slot that begins when it is due, or in the farthest.
    #[inline]
    fn enqueue(&mut self, id: u32, now: Micros) {
        let flows = self.flows.as_mut();
        let Some(flow) = flows.get(id as usize) else {
            return;
        };
        let due = flow.due().ceil();
        if !flow.interval.is_limited() || due <= now {
            self.ready.push(flows, id, Place::Ready);
            return;
        }
        let slots = self.slots.as_mut();
        let length = 1u64 << self.slot_shift;
        let number = due.0.saturating_add(length - 1) >> self.slot_shift;
        let farthest = self.now.saturating_add(slots.len() as u64);
        let number = number.max(self.now.saturating_add(1)).min(farthest);
        let index = Self::index(slots, number);
        if let Some(slot) = slots.get_mut(index) {
            slot.push(flows, id, Place::Slot(index as u32));
            self.waiting = self.waiting.saturating_add(1);
        }
    }

    #[inline]
    fn leave_slot(&mut self, id: u32, index: u32) {
        if let Some(slot) = self.slots.as_mut().get_mut(index as usize) {
            slot.remove(self.flows.as_mut(), id);
            self.waiting = self.waiting.saturating_sub(1);
        }
    }

    /// Makes ready what waits in the slots that begin by `now`.
    #[inline]
    fn advance(&mut self, now: Micros) {
        let target = now.0 >> self.slot_shift;
        let passed = target.saturating_sub(self.now);
        if passed == 0 {
            return;
        }
        let count = self.slots.as_ref().len() as u64;
        let from = self.now;
        self.now = target;
        if self.waiting == 0 {
            return;
        }
        for step in 1..=passed.min(count) {
            let index = Self::index(self.slots.as_ref(), from.saturating_add(step));
            let Some(slot) = self.slots.as_mut().get_mut(index) else {
                return;
            };
            // Taken out first: what must go round once more may come to the same slot.
            let mut due = core::mem::replace(slot, Slot::NEW);
            while let Some(id) = due.pop(self.flows.as_mut()) {
                self.waiting = self.waiting.saturating_sub(1);
                self.enqueue(id, now);
            }
        }
    }
}

#[cfg(test)]
mod tests;
