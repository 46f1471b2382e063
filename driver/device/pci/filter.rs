// SPDX-License-Identifier: GPL-2.0
//! Which frames the NIC gives to its netdev.

use super::{nic::Nic, Request};
use crate::net::{
    device_abi as abi,
    netdev::{MacAddress, RxMode},
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
};

/// Those for the netdev's address and for everybody, and what else the stack wants.
#[pin_data]
pub(super) struct Filter {
    nic: Arc<Nic>,
    #[pin]
    wanted: Mutex<Wanted>,
}

/// What the NIC is told.
struct Wanted {
    /// `TOE_RX_*`.
    mode: u32,
    /// How many of the addresses count.
    count: usize,
    /// The first is the netdev's own.
    addresses: [MacAddress; abi::RX_MAX_ADDRESSES],
}

/// Words that the NIC reads the addresses from.
const WORDS: usize = abi::RX_MAX_ADDRESSES * size_of::<MacAddress>() / 8;

impl Wanted {
    const MODE: u32 = abi::RX_UNICAST | abi::RX_BROADCAST;

    fn new(own: MacAddress) -> Self {
        let mut addresses = [[0; 6]; abi::RX_MAX_ADDRESSES];
        addresses[0] = own;
        Self {
            mode: Self::MODE,
            count: 1,
            addresses,
        }
    }

    /// Takes in what the stack wants; `unicast` and `multicast` fill in addresses and say how many there are. Where they are
    /// more than the NIC can be told, it takes all groups, or everything.
    fn set(
        &mut self,
        promiscuous: bool,
        all_multicast: bool,
        unicast: impl FnOnce(&mut [MacAddress]) -> usize,
        multicast: impl FnOnce(&mut [MacAddress]) -> usize,
    ) {
        let room = self.addresses.len();
        self.mode = Self::MODE;
        self.count = 1;
        let count = self.count + unicast(&mut self.addresses[self.count..]);
        if count <= room {
            self.count = count;
        }
        if promiscuous || count > room {
            self.mode |= abi::RX_PROMISCUOUS;
        }
        let count = self.count + multicast(&mut self.addresses[self.count..]);
        if count <= room {
            self.count = count;
        }
        if all_multicast || count > room {
            self.mode |= abi::RX_ALL_MULTICAST;
        }
    }

    fn encoded(&self) -> [u64; WORDS] {
        let mut words = [0; WORDS];
        let bytes = self.addresses.as_flattened();
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = bytes
                .iter()
                .rev()
                .fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        words
    }
}

impl Filter {
    /// For the address that the NIC came with.
    pub(super) fn new(nic: Arc<Nic>) -> Result<Arc<Self>> {
        let own = nic.limits.address;
        Arc::pin_init(
            pin_init!(Self {
                nic,
                wanted <- new_mutex!(Wanted::new(own), "Filter::wanted"),
            }),
            GFP_KERNEL,
        )
    }

    /// Tells the NIC, which forgets it when it is reset. May sleep, as the next ones.
    pub(super) fn apply(&self) -> Result {
        self.tell(&self.wanted.lock())
    }

    fn tell(&self, wanted: &Wanted) -> Result {
        // Without a filter it gives all there is.
        if !self.nic.limits.has(abi::F_RX_FILTER) {
            return Ok(());
        }
        self.nic.execute_with(
            Request {
                op: abi::ADMIN_SET_RX_MODE,
                args: [wanted.mode, wanted.count as u32],
                ..Request::default()
            },
            &wanted.encoded(),
        )?;
        Ok(())
    }

    /// The netdev has another address.
    pub(super) fn set_address(&self, address: &MacAddress) -> Result {
        let mut wanted = self.wanted.lock();
        let before = core::mem::replace(&mut wanted.addresses[0], *address);
        self.tell(&wanted)
            .inspect_err(|_| wanted.addresses[0] = before)
    }

    /// The netdev is to receive what `mode` says.
    pub(super) fn set_mode(&self, mode: &RxMode<'_>) -> Result {
        let mut wanted = self.wanted.lock();
        wanted.set(
            mode.promiscuous(),
            mode.all_multicast(),
            |to| mode.unicast(to),
            |to| mode.multicast(to),
        );
        self.tell(&wanted)
    }
}

#[kernel::macros::kunit_tests(toe_pci_filter)]
mod tests {
    use super::*;

    const OWN: MacAddress = [2, 0, 0, 0, 0, 1];

    /// Fills in addresses of that kind, as far as there is room; returns `count`.
    fn fill(kind: u8, count: usize) -> impl FnOnce(&mut [MacAddress]) -> usize {
        move |to| {
            for (number, to) in to.iter_mut().take(count).enumerate() {
                *to = [kind, 0, 0, 0, 0, number as u8];
            }
            count
        }
    }

    fn wanted(unicast: usize, multicast: usize) -> Wanted {
        let mut wanted = Wanted::new(OWN);
        wanted.set(false, false, fill(2, unicast), fill(3, multicast));
        wanted
    }

    #[test]
    fn set__lists_what_there_is_room_for() {
        let all = wanted(60, 3);
        assert_eq!(all.mode, Wanted::MODE);
        assert_eq!(all.count, 64);
        assert_eq!(all.addresses[0], OWN);
        assert_eq!(all.addresses[60], [2, 0, 0, 0, 0, 59]);
        assert_eq!(all.addresses[61], [3, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn set__groups_are_one_too_many() {
        let groups = wanted(60, 4);
        assert_eq!(groups.mode, Wanted::MODE | abi::RX_ALL_MULTICAST);
        assert_eq!(groups.count, 61);
    }

    #[test]
    fn set__addresses_are_one_too_many() {
        let addresses = wanted(64, 1);
        assert_eq!(addresses.mode, Wanted::MODE | abi::RX_PROMISCUOUS);
        assert_eq!(addresses.count, 2);
        assert_eq!(addresses.addresses[1], [3, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn set__modes_come_and_go() {
        let mut wanted = wanted(0, 0);
        wanted.set(true, true, fill(2, 0), fill(3, 0));
        assert_eq!(
            wanted.mode,
            Wanted::MODE | abi::RX_PROMISCUOUS | abi::RX_ALL_MULTICAST
        );
        wanted.set(false, false, fill(2, 0), fill(3, 0));
        assert_eq!(wanted.mode, Wanted::MODE);
    }

    #[test]
    fn encoded__bytes_lie_as_on_the_wire() {
        let words = wanted(1, 0).encoded();
        assert_eq!(words[0].to_le_bytes(), [2, 0, 0, 0, 0, 1, 2, 0]);
        assert_eq!(words[1], 0);
    }
}
