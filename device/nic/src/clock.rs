// SPDX-License-Identifier: GPL-2.0

//! The device's clock.

use datapath::units::Micros;
use parking_lot::Mutex;
use std::time::Instant;

/// Counts microseconds; the host sets it to its own. Any thread may read it.
pub struct Clock {
    start: Instant,
    state: Mutex<State>,
}

struct State {
    /// Added to the time since `start`.
    offset: i128,
    /// What it showed last.
    last: u64,
}

/// By how much the clock may be set back while there are connections, in microseconds.
const MOST_BACK: u64 = 1_000_000;

impl Clock {
    /// Starts at zero.
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
            state: Mutex::new(State { offset: 0, last: 0 }),
        }
    }

    fn elapsed(&self, now: Instant) -> i128 {
        now.saturating_duration_since(self.start).as_micros() as i128
    }

    /// The time at `now`; never less than before.
    pub fn read(&self, now: Instant) -> Micros {
        let mut state = self.state.lock();
        let raw = self.elapsed(now) + state.offset;
        state.last = state.last.max(u64::try_from(raw).unwrap_or(0));
        Micros(state.last)
    }

    /// Sets it to `time`. Refused, with `false`, if that is far back and `steady` is set; otherwise it stands still until
    /// that time has come.
    pub fn set(&self, now: Instant, time: u64, steady: bool) -> bool {
        let before = self.read(now).0;
        let far_back = time < before.saturating_sub(MOST_BACK);
        if far_back && steady {
            return false;
        }
        let mut state = self.state.lock();
        state.offset = i128::from(time) - self.elapsed(now);
        if far_back {
            state.last = time;
        }
        true
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn set__never_goes_back_a_little() {
        let clock = Clock::new();
        let now = Instant::now();
        assert!(clock.set(now, 5_000_000, true));
        assert!(clock.set(now, 4_900_000, true));
        assert_eq!(clock.read(now), Micros(5_000_000));
        assert_eq!(
            clock.read(now + Duration::from_millis(150)),
            Micros(5_050_000)
        );
    }

    #[test]
    fn set__far_back_only_without_connections() {
        let clock = Clock::new();
        let now = Instant::now();
        assert!(clock.set(now, 50_000_000, true));
        assert!(!clock.set(now, 1_000_000, true));
        assert!(clock.set(now, 1_000_000, false));
        assert_eq!(clock.read(now), Micros(1_000_000));
    }
}
