// SPDX-License-Identifier: GPL-2.0
//! The time between the claim of a 4-tuple and the installation of its connection.

use super::{
    flow::{Flow, Live, State},
    link::Link,
};
use crate::{
    driver::device::{Claim, Hold, Install, OffloadedConnection, Refusal},
    net::{
        context::BhDisabled,
        flow_table::FlowKey,
        skbuff::{SkBuff, SkBuffQueue},
    },
};
use datapath::wire::FourTuple;
use kernel::{prelude::*, sync::Arc};

/// Packets held until it is known whose they are.
pub(super) struct Held(SkBuffQueue);

impl Held {
    /// Most packets held: what a peer that fills a window in the meantime may send at once, more or less.
    const MOST: usize = 64;

    pub(super) const fn new() -> Self {
        Self(SkBuffQueue::new())
    }

    /// Holds a packet; gives it back if there are too many.
    pub(super) fn push(&mut self, packet: SkBuff) -> Result<(), SkBuff> {
        if self.0.len() >= Self::MOST {
            return Err(packet);
        }
        self.0.push(packet);
        Ok(())
    }
}

/// A claim that is neither installed nor dropped.
pub(super) struct SoftClaim {
    flow: Arc<Flow>,
    installed: bool,
}

impl SoftClaim {
    pub(super) fn new(link: &Arc<Link>, tuple: &FourTuple) -> Result<Self, Refusal> {
        let key = link.key(tuple);
        let flow = Arc::pin_init(Flow::new(link.clone(), key), GFP_KERNEL)
            .map_err(|_| Refusal::NoMemory)?;
        link.add_flow(&key, flow.clone())?;
        Ok(Self {
            flow,
            installed: false,
        })
    }
}

impl Claim for SoftClaim {
    fn install(&mut self, install: Install<'_>) -> Result<Arc<dyn OffloadedConnection>, Refusal> {
        let link = self.flow.link();
        let moved = install.moved;
        let live = Live::new(install, link, self.flow.key().hash())?;
        let live = KBox::new(live, GFP_KERNEL).map_err(|_| Refusal::NoMemory)?;
        let bh = BhDisabled::new();
        let mut state = self.flow.lock(&bh);
        let State::Claimed(Held(held)) = &mut *state else {
            return Err(Refusal::InUse);
        };
        if link.is_closed() {
            // Nobody would be told.
            return Err(Refusal::DeviceGone);
        }
        let mut held = held.take();
        *state = State::Live(live);
        self.installed = true;
        link.stats.installed.add(1);
        link.stats.moved.add(u64::from(moved.0));
        self.flow.replay(state, &mut held, &bh);
        Ok(self.flow.clone())
    }
}

impl Drop for SoftClaim {
    fn drop(&mut self) {
        if self.installed {
            return;
        }
        drop(self.flow.hold());
    }
}

/// A flow whose segments are held, to be given back to the stack.
pub(super) struct SoftHold {
    link: Arc<Link>,
    key: FlowKey,
}

impl SoftHold {
    /// Has the segments that the flow of `key` holds given back on drop.
    pub(super) fn new(link: Arc<Link>, key: FlowKey) -> Self {
        Self { link, key }
    }
}

impl Hold for SoftHold {}

impl Drop for SoftHold {
    fn drop(&mut self) {
        // What arrives from here on goes to the stack by itself.
        let Some(flow) = self.link.remove_flow(&self.key) else {
            return;
        };
        let bh = BhDisabled::new();
        let state = core::mem::replace(&mut *flow.lock(&bh), State::Gone);
        if let State::Claimed(Held(mut held)) = state {
            while let Some(packet) = held.pop() {
                packet.receive_again();
            }
        }
    }
}
