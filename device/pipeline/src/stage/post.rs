// SPDX-License-Identifier: GPL-2.0

//! Post-processing: buffer positions, statistics, notifications. Several at once, in any order.

use crate::work::{Effect, Transfer};
use datapath::npu::post;

/// Runs the stage for one item; a host-control request may leave nothing to be done.
pub(crate) fn run<F>(effect: Effect<F>) -> Option<Transfer<F>> {
    Some(match effect {
        Effect::Received {
            conn,
            frame,
            offset,
            out,
        } => {
            let work = post::rx(&mut conn.post.lock(), &out);
            Transfer::Received {
                conn,
                frame,
                offset,
                work,
                ack: out.ack,
                dropped: out.dropped,
            }
        }
        Effect::Controlled(conn, out) => {
            post::host_control(&mut conn.post.lock(), &out);
            Transfer::Bare(conn, out.ack?)
        }
        Effect::Sent(conn, meta) => {
            let payload = post::tx(&mut conn.post.lock(), &meta);
            Transfer::Send(conn, meta, payload)
        }
        Effect::Passed(passed) => Transfer::Passed(passed),
    })
}
