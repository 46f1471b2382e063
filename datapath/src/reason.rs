// SPDX-License-Identifier: GPL-2.0

//! Why a segment was not processed: reasons, their names, and counters for them.

macro_rules! reasons {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        pub enum $name { $($(#[$vmeta])* $variant,)+ }

        impl $name {
            /// Every reason, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The reason's name in statistics.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

reasons! {
    /// Why a segment of an offloaded connection was dropped.
    DropReason {
        /// The IPv4 header checksum is wrong.
        IpChecksum = "ip-checksum",
        /// The TCP checksum is wrong.
        TcpChecksum = "tcp-checksum",
        /// A length field contradicts the segment.
        Malformed = "malformed",
        /// The checksum needs verifying, but the segment is not contiguous.
        NotContiguous = "not-contiguous",
        /// Outside of the receive window (RFC 9293, section 3.10.7.4); acknowledged.
        OutOfWindow = "out-of-window",
        /// Acknowledges what was never sent; answered by a challenge ACK (RFC 5961, section 5).
        AckNeverSent = "ack-never-sent",
        /// Acknowledges what is too old; answered by a challenge ACK (RFC 5961, section 5).
        AckTooOld = "ack-too-old",
        /// Timestamp older than TS.Recent (RFC 7323, section 5); acknowledged.
        Paws = "paws",
        /// No timestamp on a connection that negotiated them (RFC 7323, section 3.2).
        NoTimestamp = "no-timestamp",
    }
}

reasons! {
    /// Why a segment is not the data-path's and goes to the control plane.
    PuntReason {
        /// Neither IPv4 nor IPv6, or not TCP.
        NotTcp = "not-tcp",
        /// A header is cut short or lies about its length.
        Truncated = "truncated",
        /// An IP fragment.
        Fragment = "fragment",
        /// IPv4 options.
        IpOptions = "ip-options",
        /// An IPv6 extension header, or a jumbogram.
        ExtensionHeader = "extension-header",
        /// SYN set.
        Syn = "syn",
        /// RST set.
        Rst = "rst",
        /// ACK not set.
        NoAck = "no-ack",
    }
}

/// Counts of dropped and punted segments by reason.
#[derive(Clone, Debug)]
pub struct Counters {
    drops: [u64; DropReason::ALL.len()],
    punts: [u64; PuntReason::ALL.len()],
}

impl Counters {
    /// All zero.
    pub const fn new() -> Self {
        Self {
            drops: [0; DropReason::ALL.len()],
            punts: [0; PuntReason::ALL.len()],
        }
    }

    /// Counts a dropped segment.
    #[inline]
    pub fn drop(&mut self, reason: DropReason) {
        let count = &mut self.drops[reason as usize];
        *count = count.wrapping_add(1);
    }

    /// Counts a punted segment.
    #[inline]
    pub fn punt(&mut self, reason: PuntReason) {
        let count = &mut self.punts[reason as usize];
        *count = count.wrapping_add(1);
    }

    /// Dropped segments by reason.
    pub fn drops(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL
            .iter()
            .copied()
            .zip(self.drops.iter().copied())
    }

    /// Punted segments by reason.
    pub fn punts(&self) -> impl Iterator<Item = (PuntReason, u64)> + '_ {
        PuntReason::ALL
            .iter()
            .copied()
            .zip(self.punts.iter().copied())
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}
