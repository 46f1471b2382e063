// SPDX-License-Identifier: GPL-2.0
//! Moving a connection from a device that is going, or gone, back to the kernel's TCP.
//!
//! The device says how far the connection is, or what is left of its record does (Documentation/device-interface.rst,
//! section 11). That is checked against what is known here, and the inner socket thawed in that state. Everything the
//! program appended is regarded as sent: what the peer has, it acknowledges.

use super::{
    close::RETRY,
    connection::Connection,
    registry,
    state::{Event, State},
};
use crate::{
    driver::{family::ToeSocket, WORK},
    net::{
        context::BhDisabled,
        errno::ECONNABORTED,
        ksocket::InnerSocket,
        tcp_repair::{Frozen, Resumption},
        timer::Moment,
        uapi,
    },
};
use datapath::{
    npu::{
        config::{Fin, MAX_RING, MAX_WINDOW},
        ConnectionConfig,
    },
    units::{Bytes, Micros},
};
use kernel::{
    ffi::c_int,
    pr_warn_once,
    prelude::*,
    sync::{
        atomic::{Full, Relaxed},
        Arc,
    },
};

/// The longest round-trip time that is believed.
const MAX_RTT: Micros = Micros::from_millis(120_000);

impl Connection {
    /// Whether the device is going, or gone.
    pub(super) fn is_forsaken(&self) -> bool {
        self.forsaken.load(Relaxed)
    }

    /// Has the kernel's TCP go on with the connection, soon, for that sleeps.
    pub(super) fn order_hand_back(&self) {
        // Full: if the hand-over isn't complete, either we see that it is, or it sees this.
        self.forsaken.xchg(true, Full);
        let connection = self.arc();
        let ordered = WORK.get().is_some_and(|work| {
            work.try_spawn(GFP_ATOMIC, move || match connection.stream.owner() {
                Some(owner) => ToeSocket::hand_back(&owner, &connection),
                None => drop(connection.hand_back()),
            })
            .is_ok()
        });
        if !ordered {
            self.retry_hand_back();
        }
    }

    /// Orders the hand-back again, after a while.
    pub(crate) fn retry_hand_back(&self) {
        self.expire_by(Moment::now().after_us(RETRY.0));
    }

    /// Takes the connection off its device, and has the kernel's TCP go on with it; returns the socket that serves it then.
    /// `None` if the connection has ended, by itself or because it could not be handed back. Sleeps.
    ///
    /// The socket of the program, if it has one, is locked. Nobody is told what happens to the inner socket.
    pub(crate) fn hand_back(&self) -> Option<Arc<InnerSocket>> {
        if !self.begin_end() {
            return None;
        }
        let (config, hold) = self.leave_device();
        self.disarm();
        registry::remove(self);
        let frozen = self.frozen.lock(&BhDisabled::new()).take()?;
        frozen.inner().clear_events();
        let served = config
            .ok_or(EIO)
            .and_then(|config| self.settle(&config).map(|()| config))
            .and_then(|config| self.resume(frozen, &config));
        // The kernel's TCP has the connection before it is given what arrived for it.
        drop(hold);
        served.unwrap_or_else(|error| {
            pr_warn_once!(
                "a connection can't be handed back: error {}\n",
                error.to_errno()
            );
            self.finish(Event::Abort, Some(ECONNABORTED.into()));
            None
        })
    }

    /// Makes the caller the one who ends the connection's time on the device; `false` if that is another, or if the
    /// hand-over isn't complete.
    fn begin_end(&self) -> bool {
        let bh = BhDisabled::new();
        if self.frozen.lock(&bh).is_none() {
            return false;
        }
        let mut control = self.control.lock(&bh);
        !core::mem::replace(&mut control.ending, true)
    }

    /// Takes in what a device that let go of the connection hasn't told; `EIO` if it contradicts what it told, or what is
    /// known here.
    fn settle(&self, config: &ConnectionConfig) -> Result {
        let (rx_tail, tx_head) = (config.rx.tail.0, config.tx.head.0);
        let (received, acknowledged) = self.stream.progress(rx_tail, tx_head)?;
        let peer_fin = config.receive.fin;
        let fin_acked = config.send.fin == Fin::Acked;
        let una = self.origin.sent + Bytes(tx_head.wrapping_add(fin_acked.into()));
        let nxt = self.origin.received + Bytes(rx_tail.wrapping_add(peer_fin.into()));
        let closed = !matches!(self.state(), State::Established | State::CloseWait);
        let all_acked = self.stream.unacknowledged() == acknowledged as usize;
        if una != config.send.una
            || nxt != config.receive.nxt
            || (self.stream.peer_closed() && !peer_fin)
            || (fin_acked && !(closed && all_acked))
        {
            return Err(EIO);
        }
        let bh = BhDisabled::new();
        self.stream.notify(received, acknowledged, peer_fin, &bh);
        let mut control = self.control.lock(&bh);
        for (happened, event) in [(peer_fin, Event::PeerFin), (fin_acked, Event::FinAcked)] {
            if happened {
                control.state = control.state.on(event);
            }
        }
        Ok(())
    }

    /// Thaws the inner socket, or leaves the connection's last state to it.
    fn resume(
        &self,
        frozen: Frozen,
        config: &ConnectionConfig,
    ) -> Result<Option<Arc<InnerSocket>>> {
        let state = self.state();
        let orphaned = self.stream.owner().is_none();
        match state {
            State::Closed => frozen.disconnect(),
            State::TimeWait => frozen.time_wait(self.last_wait(config)),
            State::FinWait2 if orphaned => frozen.time_wait(self.last_wait(config)),
            _ => {
                let inner = frozen.thaw(&self.resumption(state, config))?;
                if orphaned {
                    // Nobody waits for what is left to be sent: `struct linger`, all zero. Can't fail.
                    let off = [0; 2 * size_of::<c_int>()];
                    let _ = inner.setsockopt_value(uapi::SOL_SOCKET, uapi::SO_LINGER, &off);
                }
                return Ok(Some(inner));
            }
        }
        self.stream.close();
        Ok(None)
    }

    fn resumption(&self, state: State, config: &ConnectionConfig) -> Resumption<'_> {
        let mss = u32::from(config.path.mss.max(1));
        let ssthresh = self.with_congestion(|congestion| congestion.policy().ssthresh());
        let micros = |time: Micros| time.min(MAX_RTT).0 as u32;
        Resumption {
            snd_una: config.send.una.get(),
            snd_wnd: config.send.wnd.0.min(MAX_WINDOW.0),
            max_window: config.send.max_wnd.0.min(MAX_WINDOW.0),
            snd_wl1: config.send.wl1.get(),
            rcv_nxt: config.receive.nxt.get(),
            // A window that was offered and for which there is no room was none.
            rcv_wnd: config.receive.wnd.0.min(self.stream.receive_room()),
            ts_recent: config.timestamps.map_or(0, |ts| ts.recent.0),
            srtt_us: micros(config.rtt.srtt),
            rttvar_us: micros(config.rtt.rttvar),
            cwnd: config.cwnd.0.min(MAX_WINDOW.0) / mss,
            // One that no window reaches is none.
            ssthresh: (ssthresh <= MAX_RING).then_some(ssthresh.0 / mss),
            state: state.number(),
            fin_received: config.receive.fin,
            fin_unacknowledged: matches!(state, State::FinWait1 | State::Closing | State::LastAck),
            unread: self.stream.unread(),
            unacknowledged: self.stream.unsent(),
        }
    }
}
