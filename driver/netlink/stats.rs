// SPDX-License-Identifier: GPL-2.0
//! Commands about counters.

use super::{devices, uapi};
use crate::{
    driver::{control::fallback::Reason, device::Group},
    net::{
        genetlink::{Dump, Listing, Message},
        netns::Net,
    },
};
use kernel::prelude::*;

/// A counter as it is shown.
struct Counter {
    group: u32,
    name: &'static str,
    value: u64,
}

/// `stats-get`.
pub(super) struct List;

impl Dump for List {
    const CMD: u8 = uapi::CMD_STATS_GET as u8;

    fn run(net: &Net, listing: &mut Listing<'_>) -> Result {
        let mut fallbacks = KVec::new();
        for (reason, value) in Reason::counts() {
            let counter = Counter {
                group: uapi::COUNTER_GROUP_FALLBACK,
                name: reason.name(),
                value,
            };
            fallbacks.push(counter, GFP_KERNEL)?;
        }
        show(listing, None, &fallbacks)?;
        for (ifindex, device) in &devices(net.cookie())? {
            let mut counters = KVec::new();
            let mut complete = Ok(());
            device.counters(&mut |group, name, value| {
                let group = match group {
                    Group::Event => uapi::COUNTER_GROUP_EVENT,
                    Group::Drop => uapi::COUNTER_GROUP_DROP,
                    Group::Punt => uapi::COUNTER_GROUP_PUNT,
                };
                if let Err(e) = counters.push(Counter { group, name, value }, GFP_KERNEL) {
                    complete = Err(e);
                }
            });
            complete?;
            show(listing, Some(*ifindex), &counters)?;
        }
        Ok(())
    }
}

/// Shows the counters of a device, or of the namespace, in as many messages as they need.
fn show(listing: &mut Listing<'_>, ifindex: Option<u32>, counters: &[Counter]) -> Result {
    /// So many counters fit into a page, whatever their names.
    const PER_MESSAGE: usize = 32;

    let first = u64::from(ifindex.unwrap_or(0)) << 32;
    for (key, part) in (first..).zip(counters.chunks(PER_MESSAGE)) {
        if key < listing.start() {
            continue;
        }
        listing.show(key, |message| {
            if let Some(ifindex) = ifindex {
                message.u32(uapi::STATS_IFINDEX, ifindex)?;
            }
            part.iter()
                .try_for_each(|counter| describe(message, counter))
        })?;
    }
    Ok(())
}

fn describe(message: &mut Message<'_>, counter: &Counter) -> Result {
    message.nest(uapi::STATS_COUNTER, |message| {
        message.string(uapi::COUNTER_NAME, counter.name)?;
        message.u32(uapi::COUNTER_GROUP, counter.group)?;
        message.uint(uapi::COUNTER_VALUE, counter.value)
    })
}
