// SPDX-License-Identifier: GPL-2.0
//! How a connection's segments reach the peer: the route, device and next hop that the kernel would use.

use crate::{
    driver::device::{Device, DEVICES},
    net::{
        dst::Dst,
        ksocket::InnerSocket,
        neighbour::Neighbour,
        netdevice::LinkType,
        skbuff::SkBuff,
        tcp_repair::{AddrPair, Snapshot},
    },
};
use datapath::{npu::config::Path, wire::ethernet::Link};
use kernel::{prelude::*, sync::Arc};

/// The largest segment: what an IP packet has room for beside the longest headers. The kernel's own may be larger, on
/// loopback.
const MAX_MSS: u32 = SkBuff::MAX_PAYLOAD as u32;

/// Why segments can't take the way through an offload device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unreachable {
    /// There is no route.
    Route,
    /// The route doesn't leave by an offload device.
    Device,
    /// The next hop's link-layer address isn't known.
    NextHop,
}

/// A way to the peer through an offload device.
pub(crate) struct Route {
    /// The device it leaves by.
    pub(crate) device: Arc<dyn Device>,
    /// The kernel's route when the connection was handed over.
    pub(crate) dst: Dst,
    remote: [u8; 16],
    ipv6: bool,
    /// Most payload bytes of a segment, whatever the route: what it was when the connection was handed over.
    max_mss: u16,
}

impl Route {
    /// The way of `inner`'s segments, for a connection that `snapshot` describes.
    pub(crate) fn of(inner: &InnerSocket, snapshot: &Snapshot) -> Result<Self, Unreachable> {
        let dst = Dst::of(inner.sk()).ok_or(Unreachable::Route)?;
        let device = DEVICES
            .get()
            .and_then(|devices| devices.find(inner.sk().net_cookie(), dst.ifindex()))
            .ok_or(Unreachable::Device)?;
        let (remote, ipv6) = match snapshot.addresses() {
            AddrPair::V4(_, [a, b, c, d]) => {
                ([a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], false)
            }
            AddrPair::V6(_, remote) => (remote, true),
        };
        Ok(Self {
            device,
            dst,
            remote,
            ipv6,
            max_mss: snapshot.mss().min(MAX_MSS) as u16,
        })
    }

    /// The route of `inner`'s segments at the moment; `None` if there is none by the device any more.
    pub(crate) fn now(&self, inner: &InnerSocket) -> Option<Dst> {
        Dst::of(inner.sk()).filter(|dst| dst.ifindex() == self.device.ifindex())
    }

    /// The way of `inner`'s segments by `dst` as the data-path wants it, for up to `mss` payload bytes each.
    ///
    /// # Errors
    ///
    /// [`Unreachable::NextHop`] while the next hop's address isn't known. The kernel is looking for it then.
    pub(crate) fn path(
        &self,
        inner: &InnerSocket,
        dst: &Dst,
        mss: u16,
    ) -> Result<Path, Unreachable> {
        let (ttl, tos) = inner.ip_fields(dst);
        Ok(Path {
            link: self.link(dst)?,
            ttl,
            tos,
            mss,
            tx_max: self.device.tx_max(self.ipv6),
            // The device decides.
            checksum_offload: false,
        })
    }

    fn link(&self, dst: &Dst) -> Result<Link, Unreachable> {
        let (destination, source) = match self.device.link_type() {
            LinkType::Raw => return Ok(Link::None),
            LinkType::Loopback => ([0; 6], [0; 6]),
            LinkType::Ethernet => Neighbour::of(dst, &self.remote)
                .and_then(|next_hop| {
                    next_hop.in_use();
                    next_hop.addresses()
                })
                .ok_or(Unreachable::NextHop)?,
        };
        Ok(Link::Ethernet {
            destination,
            source,
            vlan: None,
        })
    }

    /// Most payload bytes of a segment when the connection was handed over.
    pub(crate) fn max_mss(&self) -> u16 {
        self.max_mss
    }

    /// Payload bytes of a segment that `dst` takes, with the timestamps option or without.
    pub(crate) fn mss(&self, dst: &Dst, timestamps: bool) -> u16 {
        let headers = if self.ipv6 { 40 } else { 20 } + 20 + if timestamps { 12 } else { 0 };
        let mss = dst.mtu().saturating_sub(headers);
        mss.clamp(1, u32::from(self.max_mss)) as u16
    }

    /// Segments are being sent, and `progress` is being made or not: has the kernel see to it that the next hop's address
    /// stays known and right.
    pub(crate) fn in_use(&self, progress: bool) {
        if self.device.link_type() != LinkType::Ethernet {
            return;
        }
        if let Some(next_hop) = Neighbour::of(&self.dst, &self.remote) {
            next_hop.in_use();
            if progress {
                next_hop.confirm();
            }
        }
    }
}
