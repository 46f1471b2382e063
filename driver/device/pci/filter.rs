// SPDX-License-Identifier: GPL-2.0
//! Which frames the NIC gives to its netdev.

use super::{nic::Nic, Request};
use crate::{
    driver::WORK,
    net::{device_abi as abi, netdev::MacAddress},
};
use kernel::{
    impl_has_work, new_work,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
    workqueue::{Work, WorkItem},
};

/// Those for the netdev's address, for everybody and for all groups; or all.
#[pin_data]
pub(super) struct Filter {
    nic: Arc<Nic>,
    /// As the NIC is told it.
    address: Atomic<u64>,
    promiscuous: Atomic<bool>,
    #[pin]
    work: Work<Filter>,
}

impl_has_work! {
    impl HasWork<Self> for Filter { self.work }
}

impl WorkItem for Filter {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        // A NIC that doesn't answer is told when it is opened anew.
        let _ = this.apply();
    }
}

fn encoded(address: &MacAddress) -> u64 {
    let mut bytes = [0; 8];
    bytes[..address.len()].copy_from_slice(address);
    u64::from_le_bytes(bytes)
}

impl Filter {
    /// For the address that the NIC came with.
    pub(super) fn new(nic: Arc<Nic>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                address: Atomic::new(encoded(&nic.limits.address)),
                nic,
                promiscuous: Atomic::new(false),
                work <- new_work!("Filter::work"),
            }),
            GFP_KERNEL,
        )
    }

    /// Tells the NIC, which forgets it when it is reset. May sleep.
    pub(super) fn apply(&self) -> Result {
        if !self.nic.limits.has(abi::F_RX_FILTER) {
            return Ok(());
        }
        let all = if self.promiscuous.load(Relaxed) {
            abi::RX_PROMISCUOUS
        } else {
            0
        };
        self.nic.execute_with(
            Request {
                op: abi::ADMIN_SET_RX_MODE,
                args: [
                    abi::RX_UNICAST | abi::RX_BROADCAST | abi::RX_ALL_MULTICAST | all,
                    1,
                ],
                ..Request::default()
            },
            &[self.address.load(Relaxed)],
        )?;
        Ok(())
    }

    /// The netdev has another address. May sleep.
    pub(super) fn set_address(&self, address: &MacAddress) -> Result {
        let before = self.address.xchg(encoded(address), Relaxed);
        self.apply()
            .inspect_err(|_| self.address.store(before, Relaxed))
    }

    /// The netdev is to receive all frames, or not.
    pub(super) fn set_promiscuous(self: &Arc<Self>, on: bool) {
        if self.promiscuous.xchg(on, Relaxed) == on {
            return;
        }
        if let Some(queue) = WORK.get() {
            // Err: it is queued already.
            let _ = queue.enqueue(self.clone());
        }
    }
}
