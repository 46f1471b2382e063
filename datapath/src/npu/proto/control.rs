// SPDX-License-Identifier: GPL-2.0

//! Host control: what the application and the control plane ask for.

use crate::npu::meta::{AckMeta, Command, HostControl, HostControlError, Params};
use crate::npu::state::{ProtoFlags, ProtoState};
use crate::units::{Bytes, Micros};
use crate::wire::tcp::Flags;

/// What the protocol stage made of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HcOut {
    /// A segment without payload to be sent.
    pub ack: Option<AckMeta>,
    /// A retransmission timeout was executed.
    pub timeout: bool,
}

/// Executes a request; follow with [`tx()`](super::tx()) until it has nothing more to send.
#[inline]
pub fn host_control<const N: usize>(
    state: &mut ProtoState<N>,
    params: &Params,
    request: &HostControl,
    now: Micros,
) -> Result<HcOut, HostControlError> {
    state.check(params, request)?;
    state.tx_end += request.tx_added;
    state.rx_end += request.rx_freed;
    let mut out = HcOut::default();
    if !request.commands.is_empty() {
        state.execute(params, request.commands, now, &mut out);
    }
    let freed = !request.rx_freed.is_zero();
    if freed && out.ack.is_none() && state.window_update_due(params) && !state.can_send(params) {
        out.ack = Some(state.acknowledge(params, now, state.rcv_nxt));
    }
    Ok(out)
}

impl<const N: usize> ProtoState<N> {
    /// Checks a request against the rings: nobody is trusted to count right.
    #[inline]
    fn check(&self, params: &Params, request: &HostControl) -> Result<(), HostControlError> {
        if !request.tx_added.is_zero() {
            if self.flags.has(ProtoFlags::FIN_QUEUED) {
                return Err(HostControlError::AfterFin);
            }
            if request.tx_added > params.tx_size - self.tx_queued() {
                return Err(HostControlError::TxOverflow);
            }
        }
        if request.rx_freed > self.rx_readable(params) {
            return Err(HostControlError::RxUnderflow);
        }
        Ok(())
    }

    fn execute(&mut self, params: &Params, commands: Command, now: Micros, out: &mut HcOut) {
        if commands.has(Command::FIN) {
            self.flags.insert(ProtoFlags::FIN_QUEUED);
        }
        if commands.has(Command::RETRANSMIT) && self.snd_una != self.snd_max {
            self.go_back();
            self.inflation = Bytes::ZERO;
            self.rto_base = now;
            out.timeout = true;
        }
        if commands.has(Command::PROBE) {
            self.flags.insert(ProtoFlags::FORCE);
            if !self.can_send(params) {
                self.flags.remove(ProtoFlags::FORCE);
                out.ack = Some(self.probe(params, now));
            }
        }
        if commands.has(Command::KEEPALIVE) {
            out.ack = Some(self.probe(params, now));
        }
        if commands.has(Command::ACK_NOW) && out.ack.is_none() {
            out.ack = Some(self.acknowledge(params, now, self.rcv_nxt));
        }
    }

    /// A segment the peer must answer because its sequence number was acknowledged long ago.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.4
    //# An implementation SHOULD send a keep-alive segment with no data (SHLD-12)
    fn probe(&mut self, params: &Params, now: Micros) -> AckMeta {
        let mut ack = self.acknowledge(params, now, self.rcv_nxt);
        ack.tcp = self.header(params, self.snd_una - Bytes(1), Flags::NONE, now);
        ack
    }

    /// Whether the peer should hear of freed room: it may wait for it.
    fn window_update_due(&self, params: &Params) -> bool {
        let offered = self.rcv_adv.bytes_since(self.rcv_nxt);
        let free = self.rx_end.bytes_since(self.rcv_nxt);
        let growth = self.rx_end.bytes_since(self.rcv_adv);
        growth >= params.window_step
            && free >= offered + offered
            && params.rcv_scale.field(free) > params.rcv_scale.field(offered)
            && !self.flags.has(ProtoFlags::FIN_RECEIVED)
    }
}
