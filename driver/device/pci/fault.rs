// SPDX-License-Identifier: GPL-2.0
//! What can be wrong with a NIC, such that nothing it says is believed any more until it was reset.

use crate::driver::device::counters::Counter;
use core::ffi::CStr;

/// What is wrong with a NIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is not on the bus any more.
    Gone,
    /// It says so itself.
    Failed,
    /// It doesn't complete a command of the admin queue in time.
    Silent,
    /// It doesn't execute commands of a context, or doesn't send.
    Stuck,
    /// It stopped a queue for an error, which this driver doesn't make.
    Stopped,
    /// Registers that can't have the values they have.
    Registers,
    /// Completions of the admin queue that nobody waits for, or of no kind there is.
    Completions,
    /// Answers to admin commands that contradict what it was asked, or what it did before.
    Answers,
    /// Notifications of connections there never were, or that contradict what is known of theirs.
    Notifications,
    /// Received frames that don't lie in their buffers as they should.
    Frames,
    /// More entries done than there were, or fewer than before.
    Heads,
    /// Records that contradict what is known of their connection.
    Records,
}

impl Fault {
    const COUNT: usize = 12;

    /// All of them, with their counters' names, and what they are to an administrator.
    pub(super) const ALL: [(Self, &'static str, &'static CStr); Self::COUNT] = [
        (Self::Gone, "device-gone", c"it is gone"),
        (Self::Failed, "device-failed", c"it says that it has failed"),
        (Self::Silent, "unanswered-commands", c"it doesn't answer"),
        (
            Self::Stuck,
            "stuck-queues",
            c"it doesn't do what it is told",
        ),
        (Self::Stopped, "stopped-queues", c"it stopped a queue"),
        (
            Self::Registers,
            "wrong-registers",
            c"its registers can't be right",
        ),
        (
            Self::Completions,
            "wrong-completions",
            c"it completes what nobody has asked",
        ),
        (
            Self::Answers,
            "wrong-answers",
            c"its answers contradict what it was asked",
        ),
        (
            Self::Notifications,
            "wrong-notifications",
            c"its notifications contradict what is known",
        ),
        (
            Self::Frames,
            "wrong-frames",
            c"received frames don't lie in their buffers",
        ),
        (
            Self::Heads,
            "wrong-heads",
            c"it has done more than there was, or less than before",
        ),
        (
            Self::Records,
            "wrong-records",
            c"its records contradict what is known",
        ),
    ];
}

/// How often what was found to be wrong.
pub(super) struct Faults([Counter; Fault::COUNT]);

impl Faults {
    pub(super) const fn new() -> Self {
        Self([const { Counter::new() }; Fault::COUNT])
    }

    pub(super) fn count(&self, fault: Fault) {
        self.0[fault as usize].add(1);
    }

    pub(super) fn get(&self, fault: Fault) -> u64 {
        self.0[fault as usize].get()
    }
}
