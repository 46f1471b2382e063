// SPDX-License-Identifier: GPL-2.0
//! The states of an offloaded connection, and how it goes from one to the next (RFC 9293, section 3.3.2).

use crate::net::uapi;
use kernel::ffi::c_int;

/// The state of a connection that was established once.
///
/// As in the kernel's TCP, a state that FIN leads to begins when the program closes, though data may still be ahead of
/// the FIN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// Open both ways.
    Established,
    /// We closed; the peer hasn't acknowledged that.
    FinWait1,
    /// We closed, and the peer knows; it may still send.
    FinWait2,
    /// The peer closed; we may still send.
    CloseWait,
    /// Both closed, and the peer hasn't acknowledged ours.
    Closing,
    /// As [`State::Closing`], but the peer closed first.
    LastAck,
    /// All is said; old segments are waited out.
    TimeWait,
    /// There is no connection any more.
    Closed,
}

/// What moves a connection from state to state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    /// The program sends no more.
    Close,
    /// The peer's FIN was received, and all data before it.
    PeerFin,
    /// Our FIN was acknowledged.
    FinAcked,
    /// A reset, sent or received; or nothing was heard for too long.
    Abort,
    /// The time of TIME_WAIT is over.
    Expire,
}

impl State {
    /// The state after `event`.
    ///
    /// What can't happen in a state, or makes no difference to it, doesn't change it.
    pub(crate) const fn on(self, event: Event) -> Self {
        match (self, event) {
            (_, Event::Abort)
            | (Self::TimeWait, Event::Expire)
            | (Self::LastAck, Event::FinAcked) => Self::Closed,
            (Self::Established, Event::Close) => Self::FinWait1,
            (Self::Established, Event::PeerFin) => Self::CloseWait,
            (Self::CloseWait, Event::Close) => Self::LastAck,
            (Self::FinWait1, Event::FinAcked) => Self::FinWait2,
            (Self::FinWait1, Event::PeerFin) => Self::Closing,
            (Self::FinWait2, Event::PeerFin) | (Self::Closing, Event::FinAcked) => Self::TimeWait,
            (state, _) => state,
        }
    }

    /// Whether a reset is due when a connection in this state is aborted (RFC 9293, section 3.10.5).
    pub(crate) const fn needs_reset(self) -> bool {
        matches!(
            self,
            Self::Established | Self::FinWait1 | Self::FinWait2 | Self::CloseWait
        )
    }

    /// Whether the data-path has nothing more to do for the connection.
    pub(crate) const fn is_over(self) -> bool {
        matches!(self, Self::TimeWait | Self::Closed)
    }

    /// The number by which user space knows the state, `TCP_*`.
    pub(crate) const fn number(self) -> c_int {
        match self {
            Self::Established => uapi::TCP_ESTABLISHED,
            Self::FinWait1 => uapi::TCP_FIN_WAIT1,
            Self::FinWait2 => uapi::TCP_FIN_WAIT2,
            Self::CloseWait => uapi::TCP_CLOSE_WAIT,
            Self::Closing => uapi::TCP_CLOSING,
            Self::LastAck => uapi::TCP_LAST_ACK,
            Self::TimeWait => uapi::TCP_TIME_WAIT,
            Self::Closed => uapi::TCP_CLOSE,
        }
    }
}

#[kernel::macros::kunit_tests(toe_state)]
mod tests {
    use super::{Event::*, State::*, *};

    fn after(events: &[Event]) -> State {
        events
            .iter()
            .fold(Established, |state, event| state.on(*event))
    }

    #[test]
    fn active_close_ends_in_time_wait() {
        assert_eq!(after(&[Close]), FinWait1);
        assert_eq!(after(&[Close, FinAcked]), FinWait2);
        assert_eq!(after(&[Close, FinAcked, PeerFin]), TimeWait);
        assert_eq!(after(&[Close, FinAcked, PeerFin, Expire]), Closed);
    }

    #[test]
    fn passive_close_ends_closed() {
        assert_eq!(after(&[PeerFin]), CloseWait);
        assert_eq!(after(&[PeerFin, Close]), LastAck);
        assert_eq!(after(&[PeerFin, Close, FinAcked]), Closed);
    }

    #[test]
    fn simultaneous_close_ends_in_time_wait() {
        assert_eq!(after(&[Close, PeerFin]), Closing);
        assert_eq!(after(&[Close, PeerFin, FinAcked]), TimeWait);
    }

    #[test]
    fn abort_closes_every_state() {
        for state in [
            Established,
            FinWait1,
            FinWait2,
            CloseWait,
            Closing,
            LastAck,
            TimeWait,
            Closed,
        ] {
            assert_eq!(state.on(Abort), Closed);
        }
    }

    #[test]
    fn repeated_events_change_nothing() {
        assert_eq!(after(&[PeerFin, PeerFin]), CloseWait);
        assert_eq!(after(&[Close, Close, FinAcked, FinAcked]), FinWait2);
        assert_eq!(after(&[Expire, FinAcked]), Established);
    }
}
