// SPDX-License-Identifier: GPL-2.0
//! Commands and notifications, between the data-path's and the NIC's form.

use crate::{driver::device::Punt, net::device_abi as abi};
use datapath::{
    npu::{
        inline::Outcome,
        meta::{Command, CongestionReport, Events},
        proto::ReceiveWindow,
    },
    units::{Bytes, Micros, SeqNum},
    wire::tcp::Flags,
};

/// The flags of a `TOE_COMMAND_POST` for `commands`.
pub(super) fn post_flags(commands: Command) -> u8 {
    const FLAGS: [(Command, u8); 6] = [
        (Command::FIN, abi::POST_FIN),
        (Command::RETRANSMIT, abi::POST_RETRANSMIT),
        (Command::ACK_NOW, abi::POST_ACK_NOW),
        (Command::PROBE, abi::POST_PROBE),
        (Command::KEEPALIVE, abi::POST_KEEPALIVE),
        (Command::KICK, abi::POST_KICK),
    ];
    if commands.is_empty() {
        return 0;
    }
    FLAGS
        .iter()
        .filter(|(command, _)| commands.has(*command))
        .fold(0, |flags, (_, flag)| flags | flag)
}

/// What the connection waits for, of a notification's `waits`.
pub(super) fn outcome(waits: u8) -> Outcome {
    let mut outcome = Outcome::NONE;
    outcome.set(Outcome::ACK_DELAYED, waits & abi::WAIT_ACK_DELAYED != 0);
    outcome.set(Outcome::IN_FLIGHT, waits & abi::WAIT_IN_FLIGHT != 0);
    outcome.set(Outcome::PERSIST, waits & abi::WAIT_PERSIST != 0);
    outcome
}

/// What happened, of a notification's `events`.
pub(super) fn happened(events: u16) -> Events {
    let mut happened = Events::NONE;
    happened.set(Events::PEER_FIN, events & abi::EVENT_PEER_FIN != 0);
    happened.set(Events::FIN_ACKED, events & abi::EVENT_FIN_ACKED != 0);
    happened.set(
        Events::FAST_RETRANSMIT,
        events & abi::EVENT_FAST_RETRANSMIT != 0,
    );
    happened.set(
        Events::WINDOW_OPENED,
        events & abi::EVENT_WINDOW_OPENED != 0,
    );
    happened
}

/// What a notification says for congestion control, if it does.
pub(super) fn report(notification: &abi::Notification) -> Option<CongestionReport> {
    (notification.events & abi::EVENT_REPORT != 0).then(|| {
        let report = abi::report(notification);
        CongestionReport {
            acked: Bytes(report.acked),
            ecn: Bytes(report.ecn),
            fast_retransmits: report.fast_retransmits,
            flight: Bytes(report.flight),
            cwnd_limited: notification.events & abi::EVENT_CWND_LIMITED != 0,
            srtt: Micros(u64::from(report.srtt)),
            rtt: Micros(u64::from(report.rtt)),
        }
    })
}

/// The segment that a notification is about.
pub(super) fn punt(notification: &abi::Notification) -> Punt {
    let punt = abi::punt(notification);
    Punt {
        window: ReceiveWindow {
            nxt: SeqNum::new(punt.rcv_nxt),
            wnd: Bytes(punt.rcv_wnd),
        },
        seq: SeqNum::new(punt.seq),
        flags: Flags(punt.flags as u8),
    }
}
