// SPDX-License-Identifier: GPL-2.0
//! Which pair of queues takes which received frames.

use super::{nic::Nic, Request};
use crate::net::{
    device_abi::{self as abi, Rss},
    netdev::system_hash_key,
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
};

/// By the hash of their flow.
#[pin_data]
pub(super) struct Steering {
    nic: Arc<Nic>,
    #[pin]
    rss: Mutex<Rss>,
}

impl Steering {
    /// By this system's key, all to the first pair.
    pub(super) fn new(nic: Arc<Nic>) -> Result<Arc<Self>> {
        let rss = Rss {
            key: system_hash_key(),
            ..Rss::default()
        };
        Arc::pin_init(
            pin_init!(Self {
                nic,
                rss <- new_mutex!(rss, "Steering::rss"),
            }),
            GFP_KERNEL,
        )
    }

    /// Whether the NIC can do it; else the first pair takes all.
    pub(super) fn is_possible(&self) -> bool {
        self.nic.limits.has(abi::F_RSS)
    }

    /// Tells the NIC, which forgets it when it is reset; as many of the pairs as are in use take the same share, if that
    /// is given. May sleep.
    pub(super) fn apply(&self, pairs: Option<u16>) -> Result {
        let mut rss = self.rss.lock();
        if let Some(pairs) = pairs {
            for (pair, number) in rss.pair.iter_mut().zip((0..pairs).cycle()) {
                *pair = number;
            }
        }
        self.tell(&rss)
    }

    fn tell(&self, rss: &Rss) -> Result {
        if !self.is_possible() {
            return Ok(());
        }
        self.nic.execute_with(
            Request {
                op: abi::ADMIN_SET_RSS,
                ..Request::default()
            },
            rss,
        )?;
        Ok(())
    }

    /// Fills in the key.
    pub(super) fn key(&self, to: &mut [u8]) {
        for (to, from) in to.iter_mut().zip(self.rss.lock().key) {
            *to = from;
        }
    }

    /// Fills in the pairs of hashes.
    pub(super) fn table(&self, to: &mut [u32]) {
        for (to, from) in to.iter_mut().zip(self.rss.lock().pair) {
            *to = from.into();
        }
    }

    /// Sets key, table, or both. May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`Nic::execute_with`]: all is as it was then.
    pub(super) fn set(&self, key: Option<&[u8]>, table: Option<&[u32]>) -> Result {
        let mut rss = self.rss.lock();
        let mut new = *rss;
        for (to, from) in new.key.iter_mut().zip(key.unwrap_or_default()) {
            *to = *from;
        }
        for (to, from) in new.pair.iter_mut().zip(table.unwrap_or_default()) {
            *to = u16::try_from(*from)?;
        }
        self.tell(&new)?;
        *rss = new;
        Ok(())
    }
}
