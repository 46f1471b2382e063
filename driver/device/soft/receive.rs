// SPDX-License-Identifier: GPL-2.0
//! Receiving: from the netdev's packets to the connection's.

use super::{
    flow::{now, Flow, Live, State},
    link::Link,
    output::Output,
};
use crate::{
    driver::device::Punt,
    net::{
        context::BhDisabled,
        netfilter::{HookContext, IngressHook, Verdict},
        skbuff::{Checksums, DropReason, SkBuff, SkBuffQueue},
    },
};
use core::mem::MaybeUninit;
use datapath::{
    npu::{
        inline::{self, Received},
        pre::{self, Checksum, Ident},
        proto::ReceiveWindow,
    },
    reason::{self, PuntReason},
    wire::tcp,
};
use kernel::sync::lock::spinlock::SpinLockGuard;

impl IngressHook for Link {
    fn packet(&self, packet: SkBuff, context: &HookContext<'_>) -> Verdict {
        if !packet.rx_info().is_for_device() {
            return Verdict::Accept(packet);
        }
        let mut scratch = MaybeUninit::uninit();
        let ident = match pre::identify(packet.headers(&mut scratch), packet.len()) {
            Ok(ident) => ident,
            Err(reason) => {
                if reason != PuntReason::NotTcp {
                    self.stats.rejects.count_punt(reason);
                }
                return Verdict::Accept(packet);
            }
        };
        let key = self.key(&ident.tuple);
        match self.flow(&key, context) {
            None => Verdict::Accept(packet),
            Some(flow) => {
                flow.receive(packet, &ident, context.bh());
                Verdict::Stolen
            }
        }
    }
}

impl Flow {
    /// Takes a packet that belongs to this flow.
    #[inline]
    fn receive(&self, packet: SkBuff, ident: &Ident, bh: &BhDisabled) {
        let tcp_len = ident.packet_len() - ident.tcp_offset();
        match packet.verify_checksums(ident.tcp_offset(), tcp_len) {
            Checksums::Right => {}
            Checksums::IpWrong => {
                let rejects = &self.link().stats.rejects;
                rejects.count_drop(reason::DropReason::IpChecksum);
                return packet.discard(DropReason::IpChecksum);
            }
            Checksums::TransportWrong => {
                let rejects = &self.link().stats.rejects;
                rejects.count_drop(reason::DropReason::TcpChecksum);
                return packet.discard(DropReason::TcpChecksum);
            }
        }
        let state = self.lock(bh);
        let mut output = Output::new();
        let state = self.process(state, packet, ident, &mut output, bh);
        self.release(state, &mut output, bh);
    }

    /// Processes a packet under the lock.
    #[inline]
    fn process<'a>(
        &self,
        mut state: SpinLockGuard<'a, State>,
        packet: SkBuff,
        ident: &Ident,
        output: &mut Output,
        bh: &BhDisabled,
    ) -> SpinLockGuard<'a, State> {
        let stats = &self.link().stats;
        match &mut *state {
            State::Live(live) if !live.closing => {
                self.run_datapath(live, packet, ident, output, bh)
            }
            State::Claimed(held) => {
                let packet = packet.into_owned();
                match packet.map_or(Ok(()), |packet| held.push(packet)) {
                    Ok(()) => stats.held.add(1),
                    Err(packet) => {
                        stats.not_held.add(1);
                        packet.discard(DropReason::NoMemory);
                    }
                }
            }
            State::Gone => {
                // Found before it was taken out of the table; the next time it won't be.
                if let Some(packet) = packet.into_owned() {
                    packet.receive_again();
                }
            }
            State::Live(_) => {
                stats.late.add(1);
                packet.discard(DropReason::Closed);
            }
        }
        state
    }

    #[inline]
    fn run_datapath(
        &self,
        live: &mut Live,
        packet: SkBuff,
        ident: &Ident,
        output: &mut Output,
        bh: &BhDisabled,
    ) {
        let mut scratch = MaybeUninit::uninit();
        let head = packet.headers(&mut scratch);
        let (connection, mut port) = live.split(Some(&packet), self.link(), output, bh);
        let received = inline::rx(
            connection,
            head,
            ident,
            Checksum::Verified,
            now(),
            &mut port,
        );
        match received {
            Received::Processed(outcome) => {
                live.waits(outcome);
                packet.consume(bh);
            }
            Received::Dropped(reason, outcome) => {
                live.waits(outcome);
                self.link().stats.rejects.count_drop(reason);
                packet.discard(DropReason::TcpInvalidSequence);
            }
            Received::Punted(reason, window) => {
                self.link().stats.rejects.count_punt(reason);
                self.punt(head, ident, window, output);
                packet.consume(bh);
            }
        }
    }

    #[cold]
    fn punt(&self, head: &[u8], ident: &Ident, window: ReceiveWindow, output: &mut Output) {
        let Some(bytes) = head
            .get(ident.tcp_offset()..)
            .and_then(|segment| segment.first_chunk())
        else {
            return;
        };
        let header = tcp::Header(bytes);
        let punt = Punt {
            window,
            seq: header.seq(),
            flags: header.flags(),
        };
        if !output.punt(punt) {
            self.link().stats.punts_lost.add(1);
        }
    }

    /// Processes packets that were held until the connection was installed.
    pub(super) fn replay(
        &self,
        mut state: SpinLockGuard<'_, State>,
        held: &mut SkBuffQueue,
        bh: &BhDisabled,
    ) {
        let mut output = Output::new();
        while let Some(packet) = held.pop() {
            let mut scratch = MaybeUninit::uninit();
            // As it was when it was held.
            if let Ok(ident) = pre::identify(packet.headers(&mut scratch), packet.len()) {
                state = self.process(state, packet, &ident, &mut output, bh);
            }
        }
        self.release(state, &mut output, bh);
    }
}
