// SPDX-License-Identifier: GPL-2.0

//! Raw-frame queue pairs (section 10 of the interface).

mod receive;
pub mod steer;
mod transmit;

use crate::{
    host::Host,
    layout::{PairSetup, RxBuffer, RxCompletion, TxDescriptor},
    queue::{BadRing, Queue, Ring},
};

/// A queue pair.
pub struct Pair {
    /// What it has in common with other queues.
    pub queue: Queue,
    sq: Ring,
    rq: Ring,
    cq: Ring,
    /// First buffer not filled.
    rq_head: u32,
    /// End of descriptors that are the beginning of a frame only.
    incomplete: Option<u32>,
    /// A frame being gathered.
    frame: Vec<u8>,
}

/// Limits of queues.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// Most entries of a ring.
    pub entries: u32,
    /// Bytes of an IP packet.
    pub mtu: usize,
}

impl Pair {
    /// The pair that `setup` describes, as queue `number`.
    pub fn new(
        host: &Host,
        number: u32,
        setup: &PairSetup,
        limits: &QueueLimits,
    ) -> Result<Self, BadRing> {
        let max = limits.entries;
        let (sq, rq) = (setup.sq_entries.get(), setup.rq_entries.get());
        Ok(Self {
            sq: Ring::new::<TxDescriptor>(host, setup.sq.get(), sq, max)?,
            rq: Ring::new::<RxBuffer>(host, setup.rq.get(), rq, max)?,
            cq: Ring::new::<RxCompletion>(host, setup.cq.get(), rq, max)?,
            queue: Queue::new(
                host,
                number,
                setup.status.get(),
                setup.vector.get(),
                setup.moderation_usecs.get(),
            )?,
            rq_head: 0,
            incomplete: None,
            frame: Vec::new(),
        })
    }

    /// Whether nothing is submitted that can be sent.
    pub fn is_idle(&self, host: &Host) -> bool {
        match self.queue.submitted(host, &self.sq) {
            Ok(0) => true,
            Ok(count) => self.incomplete == Some(self.queue.sq_head().wrapping_add(count)),
            Err(_) => false,
        }
    }
}
