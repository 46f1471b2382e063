// SPDX-License-Identifier: GPL-2.0

//! Context queue: delivers notifications.

use super::dma::Written;
use super::inline::Port;
use super::meta::Notification;

/// Delivers a notification, unless it is empty, after the payload it announces is in place.
#[inline]
pub fn notify<P: Port>(port: &mut P, notification: &Notification, _payload: Written) {
    if !notification.is_empty() {
        port.notify(notification);
    }
}
