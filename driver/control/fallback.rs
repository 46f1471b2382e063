// SPDX-License-Identifier: GPL-2.0
//! Why connections stay on the kernel's TCP.

use super::path::Unreachable;
use crate::{driver::device::Refusal, net::tcp_repair::Obstacle};
use kernel::{
    error::Error,
    sync::atomic::{Atomic, Relaxed},
};

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// Why a connection was not handed over to a device, or was handed back.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Reason { $($(#[$doc])* $variant,)+ }

        impl Reason {
            /// Every reason, in the order of their numbers.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The reason's name in statistics.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

reasons! {
    /// Offload was switched off, by sysctl or for the socket.
    Disabled = "disabled",
    /// The route doesn't leave by an offload device.
    NoDevice = "no-device",
    /// There is no route to the peer.
    NoRoute = "no-route",
    /// The next hop's link-layer address isn't known.
    NoNeighbour = "no-neighbour",
    /// The device holds as many connections as it can.
    TableFull = "table-full",
    /// The device still has a connection of the same addresses and ports.
    TupleInUse = "tuple-in-use",
    /// The device was taken off at that moment.
    DeviceGone = "device-gone",
    /// The data-path can't be in the connection's state.
    State = "state",
    /// The device that had the connection failed or was taken off.
    DeviceLost = "device-lost",
    /// There is no memory.
    NoMemory = "no-memory",
    /// The connection wasn't open both ways any more.
    NotEstablished = "not-established",
    /// Data was sent already, and not acknowledged yet.
    UnsentData = "unsent-data",
    /// The peer sent urgent data.
    UrgentData = "urgent-data",
    /// Segments are signed: TCP-MD5, TCP-AO.
    Signature = "signature",
    /// Another layer sits on TCP: TLS, PSP.
    UpperLayer = "upper-layer",
    /// The connection is a part of MPTCP's.
    Mptcp = "mptcp",
    /// Timestamps count microseconds.
    MicrosecondTimestamps = "microsecond-timestamps",
    /// Accurate ECN was negotiated.
    AccurateEcn = "accurate-ecn",
    /// The program filters what it receives.
    Filter = "filter",
    /// IP options or a minimum TTL are set.
    IpOptions = "ip-options",
    /// IPsec applies.
    Ipsec = "ipsec",
}

impl From<Obstacle> for Reason {
    fn from(obstacle: Obstacle) -> Self {
        match obstacle {
            Obstacle::NotEstablished => Self::NotEstablished,
            Obstacle::UnsentData => Self::UnsentData,
            Obstacle::UrgentData => Self::UrgentData,
            Obstacle::Signature => Self::Signature,
            Obstacle::UpperLayer => Self::UpperLayer,
            Obstacle::Mptcp => Self::Mptcp,
            Obstacle::MicrosecondTimestamps => Self::MicrosecondTimestamps,
            Obstacle::AccurateEcn => Self::AccurateEcn,
            Obstacle::Filter => Self::Filter,
            Obstacle::IpOptions => Self::IpOptions,
            Obstacle::Ipsec => Self::Ipsec,
            Obstacle::NoRoute => Self::NoRoute,
        }
    }
}

impl From<Unreachable> for Reason {
    fn from(unreachable: Unreachable) -> Self {
        match unreachable {
            Unreachable::Route => Self::NoRoute,
            Unreachable::Device => Self::NoDevice,
            Unreachable::NextHop => Self::NoNeighbour,
        }
    }
}

impl From<Refusal> for Reason {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::TableFull => Self::TableFull,
            Refusal::InUse => Self::TupleInUse,
            Refusal::DeviceGone => Self::DeviceGone,
            Refusal::NoMemory => Self::NoMemory,
            Refusal::Config(_) => Self::State,
        }
    }
}

impl From<Error> for Reason {
    fn from(_: Error) -> Self {
        Self::NoMemory
    }
}

impl From<kernel::alloc::AllocError> for Reason {
    fn from(_: kernel::alloc::AllocError) -> Self {
        Self::NoMemory
    }
}

static COUNTS: [Atomic<u64>; Reason::ALL.len()] = [const { Atomic::new(0) }; Reason::ALL.len()];

impl Reason {
    /// Counts a connection that stayed on the kernel's TCP.
    pub(crate) fn count(self) {
        COUNTS[self as usize].add(1, Relaxed);
    }

    /// How many connections stayed on the kernel's TCP for each reason, in all namespaces.
    pub(crate) fn counts() -> impl Iterator<Item = (Self, u64)> {
        let counts = COUNTS.iter().map(|count| count.load(Relaxed));
        Self::ALL.iter().copied().zip(counts)
    }
}
