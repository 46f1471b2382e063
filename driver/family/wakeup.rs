// SPDX-License-Identifier: GPL-2.0
//! Wakeups and errors of the inner socket, passed on to those who wait for the outer one.
//!
//! Programs wait for the outer socket only, whoever serves the connection, so no wakeup is lost when that changes.

use super::{Phase, ToeSocket};
use crate::{
    driver::WORK,
    net::{
        ksocket::InnerEvents,
        sock::{PollEvents, Sock},
        uapi,
    },
};
use kernel::{prelude::*, sync::aref::ARef};

/// Tells an outer socket what happens to its inner one.
pub(super) struct Forward(ARef<Sock<ToeSocket>>);

impl Forward {
    pub(super) fn new(outer: &Sock<ToeSocket>) -> Self {
        Self(outer.into())
    }

    /// Moves an error that the inner socket has to the outer one, which alone the program looks at.
    fn move_error(&self) {
        if let Ok(inner) = self.0.data().inner() {
            if let Err(e) = inner.sk().take_error() {
                self.0.report_error(e);
            }
        }
    }
}

impl InnerEvents for Forward {
    fn data_ready(&self) {
        self.0.wake(PollEvents::IN);
    }

    fn write_space(&self) {
        self.0.wake(PollEvents::OUT);
    }

    fn state_change(&self) {
        let outer = &self.0;
        if outer.data().phase() == Phase::Connecting && !self.failed() {
            let outer = outer.clone();
            let Some(work) = WORK.get() else { return };
            // Without memory the hand-over waits for the program's next call.
            let _ = work.try_spawn(GFP_ATOMIC, move || ToeSocket::established(&outer));
            return;
        }
        self.move_error();
        outer.wake_all();
    }

    fn error_report(&self) {
        self.move_error();
    }
}

impl Forward {
    /// Takes in what the inner socket could tell nobody, and has whoever waits look again.
    pub(super) fn look(&self) {
        self.move_error();
        self.0.wake_all();
    }

    /// Whether the inner socket is closed.
    fn failed(&self) -> bool {
        self.0
            .data()
            .inner()
            .is_ok_and(|inner| inner.sk().state() == uapi::TCP_CLOSE)
    }
}
