// SPDX-License-Identifier: GPL-2.0
//! What this side knows of a connection by itself, and by which it checks what the NIC says of it.
//!
//! Everything that is checked here was copied out of the memory shared with the NIC before.

use crate::net::device_abi::{self as abi, ConnectionState, Notification, RecordCopy};
use datapath::{
    npu::{
        config::{Fin, MAX_WINDOW},
        meta::Command,
        ConnectionConfig, HostControl,
    },
    units::{Bytes, SeqNum},
    wire::tcp::Flags,
};
use kernel::prelude::*;

const WAITS: u8 = abi::WAIT_ACK_DELAYED | abi::WAIT_IN_FLIGHT | abi::WAIT_PERSIST;
const EVENTS: u16 = abi::EVENT_PEER_FIN
    | abi::EVENT_FIN_ACKED
    | abi::EVENT_FAST_RETRANSMIT
    | abi::EVENT_WINDOW_OPENED
    | abi::EVENT_REPORT
    | abi::EVENT_CWND_LIMITED;
const FINS: u32 = abi::CONN_FIN_QUEUED | abi::CONN_FIN_ACKED | abi::CONN_PEER_FIN;

/// Bytes that the NIC has come further than it said before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) received: Bytes,
    pub(super) acknowledged: Bytes,
}

/// What is known of a connection. Positions are free-running.
pub(super) struct Known {
    rx_size: u32,
    tx_size: u32,
    /// Sequence numbers of position 0 of both rings.
    sent: SeqNum,
    received: SeqNum,
    /// Where the program's side is, as far as the NIC was told.
    tx_tail: u32,
    rx_head: u32,
    /// Where the NIC said it is.
    tx_head: u32,
    rx_tail: u32,
    /// FIN was posted; was acknowledged; the peer's was received.
    fin: bool,
    fin_acked: bool,
    peer_fin: bool,
}

/// `Ok` if `right`.
#[inline]
fn check(right: bool) -> Result {
    right.then_some(()).ok_or(EIO)
}

impl Known {
    /// Of a connection that is installed in the state `config`.
    pub(super) fn new(config: &ConnectionConfig) -> Self {
        let fin_acked = config.send.fin == Fin::Acked;
        let peer_fin = config.receive.fin;
        let (tx_head, rx_tail) = (config.tx.head.0, config.rx.tail.0);
        Self {
            rx_size: config.rx.size,
            tx_size: config.tx.size,
            sent: config.send.una - Bytes(tx_head.wrapping_add(fin_acked.into())),
            received: config.receive.nxt - Bytes(rx_tail.wrapping_add(peer_fin.into())),
            tx_tail: config.tx.tail.0,
            rx_head: config.rx.head.0,
            tx_head,
            rx_tail,
            fin: config.send.fin != Fin::Open,
            fin_acked,
            peer_fin,
        }
    }

    /// Takes in what the NIC is asked. `EINVAL` if the request contradicts the connection's state.
    #[inline]
    pub(super) fn post(&mut self, request: &HostControl) -> Result {
        let (added, freed) = (request.tx_added.0, request.rx_freed.0);
        let room = self.tx_size - self.tx_tail.wrapping_sub(self.tx_head);
        let held = self.rx_tail.wrapping_sub(self.rx_head);
        if added > room || freed > held || (self.fin && added != 0) {
            return Err(EINVAL);
        }
        self.tx_tail = self.tx_tail.wrapping_add(added);
        self.rx_head = self.rx_head.wrapping_add(freed);
        self.fin |= request.commands.has(Command::FIN);
        Ok(())
    }

    /// Where the program's side is: `tx_tail` and `rx_head`.
    #[inline]
    pub(super) fn posted(&self) -> (u32, u32) {
        (self.tx_tail, self.rx_head)
    }

    /// How far a NIC has come that is at these positions. `EIO` if they lie behind where it was, or beyond the buffer or
    /// what was posted.
    #[inline]
    fn progress(&self, rx_tail: u32, tx_head: u32) -> Result<Progress> {
        let received = rx_tail.wrapping_sub(self.rx_tail);
        let readable = rx_tail.wrapping_sub(self.rx_head);
        let acknowledged = tx_head.wrapping_sub(self.tx_head);
        let unacknowledged = self.tx_tail.wrapping_sub(self.tx_head);
        check(
            readable <= self.rx_size
                && received <= readable
                && acknowledged <= unacknowledged
                && !(self.peer_fin && received != 0),
        )?;
        Ok(Progress {
            received: Bytes(received),
            acknowledged: Bytes(acknowledged),
        })
    }

    /// How far a notification says that the NIC has come. `EIO` if it can't be right.
    #[inline]
    pub(super) fn notification(&self, told: &Notification) -> Result<Progress> {
        let progress = self.progress(told.rx_tail, told.tx_head)?;
        check(told.events & !EVENTS == 0 && told.waits & !WAITS == 0)?;
        if told.events & abi::EVENT_FIN_ACKED != 0 {
            check(self.fin && told.tx_head == self.tx_tail)?;
        }
        if told.events & abi::EVENT_REPORT != 0 {
            // What was acknowledged since the last report has no bound: there is none for as long as there is nothing to learn.
            check(abi::report(told).flight <= self.tx_size + 1)?;
        }
        match told.kind {
            abi::NOTIFY_DATA => {}
            abi::NOTIFY_PUNT => self.punt(told)?,
            abi::NOTIFY_STOPPED => {
                let errors = abi::ERROR_TX_OVERFLOW..=abi::ERROR_CONTEXT;
                check(errors.contains(&abi::error(told)))?;
            }
            _ => return Err(EIO),
        }
        Ok(progress)
    }

    /// A punted segment is one that the data-path doesn't process, and is judged by a window that it once had.
    fn punt(&self, told: &Notification) -> Result {
        let punt = abi::punt(told);
        let flags = Flags(punt.flags as u8);
        let end = self.received + Bytes(told.rx_tail.wrapping_add(1));
        let behind = end.get().wrapping_sub(punt.rcv_nxt);
        let punted = flags.has(Flags::SYN) || flags.has(Flags::RST) || !flags.has(Flags::ACK);
        check(punted && behind <= self.rx_size + 1 && punt.rcv_wnd <= MAX_WINDOW.0)
    }

    /// The NIC is where a notification says, which was found right.
    #[inline]
    pub(super) fn advance(&mut self, told: &Notification) {
        self.rx_tail = told.rx_tail;
        self.tx_head = told.tx_head;
        self.peer_fin |= told.events & abi::EVENT_PEER_FIN != 0;
        self.fin_acked |= told.events & abi::EVENT_FIN_ACKED != 0;
    }

    /// Whether a connection may be in the state that the NIC says it is in; `EIO` if not.
    pub(super) fn state(&self, state: &ConnectionState) -> Result {
        self.progress(state.rx_tail, state.tx_head)?;
        let has = |flag| state.flags & flag != 0;
        let (fin, fin_acked) = (has(abi::CONN_FIN_QUEUED), has(abi::CONN_FIN_ACKED));
        let peer_fin = has(abi::CONN_PEER_FIN);
        check(
            (fin || !fin_acked)
                && (self.fin || !fin)
                && (fin_acked || !self.fin_acked)
                && (peer_fin || !self.peer_fin)
                && !(fin_acked && state.tx_head != self.tx_tail),
        )?;
        // The NIC may not have seen yet what was posted last.
        let left = state.tx_tail.wrapping_sub(state.tx_head);
        check(
            self.tx_tail.wrapping_sub(state.tx_tail) <= self.tx_size
                && left <= self.tx_size
                && self.rx_head.wrapping_sub(state.rx_head) <= self.rx_size
                && state.rx_tail.wrapping_sub(state.rx_head) <= self.rx_size,
        )?;
        let una = self.sent + Bytes(state.tx_head.wrapping_add(fin_acked.into()));
        let nxt = self.received + Bytes(state.rx_tail.wrapping_add(peer_fin.into()));
        let sent = state.snd_max.wrapping_sub(state.snd_una);
        check(
            una.get() == state.snd_una
                && nxt.get() == state.rcv_nxt
                && sent <= left + u32::from(fin && !fin_acked)
                && state.snd_nxt.wrapping_sub(state.snd_una) <= sent,
        )?;
        check(
            state.snd_wnd <= MAX_WINDOW.0
                && state.snd_max_wnd <= MAX_WINDOW.0
                && state.rcv_wnd <= MAX_WINDOW.0,
        )
    }

    /// Whether a record, whose state `state` is, may be right; `EIO` if not.
    pub(super) fn record(&self, record: &RecordCopy, state: &ConnectionState) -> Result {
        let states = [abi::CONNECTION_LIVE, abi::CONNECTION_QUIESCED];
        check(
            record.flags & !FINS == 0
                && record.waits & !WAITS == 0
                && states.contains(&record.state),
        )?;
        self.state(state)
    }
}

#[kernel::macros::kunit_tests(toe_pci_known)]
mod tests {
    use super::*;

    /// A connection with rings of 4096 and 8192 bytes; 100 bytes were received, of which 40 were read, and 300 posted.
    fn known() -> Known {
        Known {
            rx_size: 4096,
            tx_size: 8192,
            sent: SeqNum::new(u32::MAX - 50),
            received: SeqNum::new(7000),
            tx_tail: 300,
            rx_head: 40,
            tx_head: 0,
            rx_tail: 100,
            fin: false,
            fin_acked: false,
            peer_fin: false,
        }
    }

    fn told() -> Notification {
        Notification {
            rx_tail: 150,
            tx_head: 200,
            ..Notification::default()
        }
    }

    fn record() -> RecordCopy {
        RecordCopy {
            snd_una: (u32::MAX - 50).wrapping_add(200),
            snd_nxt: (u32::MAX - 50).wrapping_add(250),
            snd_max: (u32::MAX - 50).wrapping_add(300),
            snd_wnd: 65535,
            snd_max_wnd: 65535,
            rcv_nxt: 7150,
            rcv_wnd: 3000,
            rx_head: 20,
            rx_tail: 150,
            tx_head: 200,
            tx_tail: 300,
            state: abi::CONNECTION_LIVE,
            ..RecordCopy::default()
        }
    }

    fn is_right(known: &Known, record: &RecordCopy) -> bool {
        let state = super::super::convert::recorded(record);
        known.record(record, &state).is_ok()
    }

    #[test]
    fn notification__that_can_be_is_taken_in() {
        let mut known = known();
        let progress = known.notification(&told());
        let expected = Progress {
            received: Bytes(50),
            acknowledged: Bytes(200),
        };
        assert_eq!(progress, Ok(expected));
        known.advance(&told());
        assert!(known.notification(&told()).is_ok());
    }

    #[test]
    fn notification__that_contradicts_is_not() {
        let wrong: [fn(&mut Notification); 10] = [
            |told| told.rx_tail = 99,
            |told| told.rx_tail = 40 + 4097,
            |told| told.tx_head = 301,
            |told| told.tx_head = u32::MAX,
            |told| told.kind = 3,
            |told| told.kind = 255,
            |told| told.events = 0x100,
            |told| told.waits = 8,
            |told| told.events = abi::EVENT_FIN_ACKED,
            |told| told.kind = abi::NOTIFY_STOPPED,
        ];
        let missed = wrong.iter().position(|wrong| {
            let mut told = told();
            wrong(&mut told);
            known().notification(&told).is_ok()
        });
        assert_eq!(missed, None);
    }

    #[test]
    fn notification__after_the_peers_fin_brings_no_bytes() {
        let mut known = known();
        let mut last = told();
        last.events = abi::EVENT_PEER_FIN;
        known.advance(&last);
        assert!(known.notification(&told()).is_ok());
        last.rx_tail += 1;
        assert!(known.notification(&last).is_err());
    }

    #[test]
    fn record__that_can_be_is_right() {
        assert!(is_right(&known(), &record()));
        let mut closed = known();
        closed.fin = true;
        let mut last = record();
        last.tx_head = 300;
        last.snd_una = (u32::MAX - 50).wrapping_add(301);
        last.snd_nxt = last.snd_una;
        last.snd_max = last.snd_una;
        last.flags = abi::CONN_FIN_QUEUED | abi::CONN_FIN_ACKED | abi::CONN_PEER_FIN;
        last.rcv_nxt += 1;
        assert!(is_right(&closed, &last));
        assert!(!is_right(&known(), &last));
    }

    #[test]
    fn record__that_contradicts_is_wrong() {
        let wrong: [fn(&mut RecordCopy); 15] = [
            |record| record.rx_tail += 1,
            |record| record.rcv_nxt += 1,
            |record| record.snd_una += 1,
            |record| record.tx_head -= 1,
            |record| record.snd_nxt = record.snd_una.wrapping_sub(1),
            |record| record.snd_max += 1,
            |record| record.flags = abi::CONN_FIN_QUEUED,
            |record| record.flags = abi::CONN_FIN_ACKED,
            |record| record.flags = 1 << 31,
            |record| record.flags = abi::CONN_PEER_FIN,
            |record| record.snd_wnd = u32::MAX,
            |record| record.rcv_wnd = 1 << 30,
            |record| record.state = 0,
            |record| record.waits = 8,
            |record| record.rx_head = 41,
        ];
        let missed = wrong.iter().position(|wrong| {
            let mut record = record();
            wrong(&mut record);
            is_right(&known(), &record)
        });
        assert_eq!(missed, None);
    }
}
