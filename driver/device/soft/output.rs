// SPDX-License-Identifier: GPL-2.0
//! What runs of the data-path put out, until it can be handed on.

use crate::{
    driver::device::{Events, Punt},
    net::{context::BhDisabled, skbuff::SkBuffQueue},
};
use datapath::npu::{meta::CongestionReport, Notification};

/// Frames, and what the owner is to be told.
pub(super) struct Output {
    pub(super) frames: SkBuffQueue,
    pub(super) notification: Option<Notification>,
    pub(super) punt: Option<Punt>,
}

impl Output {
    /// Nothing.
    #[inline]
    pub(super) const fn new() -> Self {
        Self {
            frames: SkBuffQueue::new(),
            notification: None,
            punt: None,
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty() && !self.is_for_owner()
    }

    /// Whether there is something to tell the owner.
    #[inline]
    pub(super) fn is_for_owner(&self) -> bool {
        self.notification.is_some() || self.punt.is_some()
    }

    /// Adds a notification.
    #[inline]
    pub(super) fn notify(&mut self, notification: &Notification) {
        match &mut self.notification {
            None => self.notification = Some(*notification),
            Some(earlier) => merge(earlier, notification),
        }
    }

    /// Adds a punt; returns whether there was room.
    pub(super) fn punt(&mut self, punt: Punt) -> bool {
        let room = self.punt.is_none();
        if room {
            self.punt = Some(punt);
        }
        room
    }

    /// Moves what came later to the end; returns whether there was room for its punt.
    pub(super) fn append(&mut self, later: &mut Self) -> bool {
        self.frames.append(later.frames.take());
        if let Some(notification) = later.notification.take() {
            self.notify(&notification);
        }
        later.punt.take().is_none_or(|punt| self.punt(punt))
    }

    /// Tells the owner.
    #[inline]
    pub(super) fn tell(&mut self, events: &dyn Events, bh: &BhDisabled) {
        if let Some(notification) = &self.notification {
            events.notify(notification, bh);
            self.notification = None;
        }
        if let Some(punt) = self.punt.take() {
            events.punt(punt, bh);
        }
    }
}

/// Makes one notification of two.
fn merge(earlier: &mut Notification, later: &Notification) {
    earlier.events.insert(later.events);
    earlier.rx_bytes += later.rx_bytes;
    earlier.tx_acked += later.tx_acked;
    earlier.report = match (earlier.report, later.report) {
        (Some(a), Some(b)) => Some(CongestionReport {
            acked: a.acked + b.acked,
            ecn: a.ecn + b.ecn,
            fast_retransmits: a.fast_retransmits + b.fast_retransmits,
            cwnd_limited: a.cwnd_limited || b.cwnd_limited,
            ..b
        }),
        (a, b) => b.or(a),
    };
}
