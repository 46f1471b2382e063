// SPDX-License-Identifier: GPL-2.0

//! Wire and context queues: what the other stages made reaches the peer and the host, in order.

use crate::nic::{Completion, Nic};
use crate::table::Conn;
use crate::work::{Barrier, Delivery, Passed};
use datapath::npu::{Connection, ProtoState};
use std::sync::atomic::Ordering;

/// Runs the stage for one item.
pub(crate) fn run<N: Nic>(nic: &N, delivery: Delivery<N>) {
    match delivery {
        Delivery::Done {
            id,
            segment,
            notification,
            dropped,
        } => {
            if let Some(segment) = segment {
                nic.transmit(id, segment);
            }
            if let Some(notification) = notification {
                nic.notify(id, &notification);
            }
            if let Some(reason) = dropped {
                nic.dropped(id, reason);
            }
        }
        Delivery::Passed(passed) => pass(nic, passed),
    }
}

fn pass<N: Nic>(nic: &N, passed: Passed<N::Frame>) {
    match passed {
        Passed::Punt(frame, whose) => nic.punt(frame, whose),
        Passed::Drop(id, reason) => nic.dropped(id, reason),
        Passed::Waits(id, outcome) => nic.waits(id, outcome),
        Passed::Refused(id, error) => nic.complete(id, Completion::Refused(error)),
        Passed::State {
            conn,
            proto,
            removed,
        } => {
            let state = Box::new(assemble(&conn, *proto));
            let completion = if removed {
                Completion::Removed(state)
            } else {
                Completion::State(state)
            };
            nic.complete(conn.id, completion);
        }
        Passed::Record(conn, proto) => nic.record(conn.id, &assemble(&conn, *proto)),
        // Nobody waits for it any more if that fails.
        Passed::Barrier(Barrier::Settle(done)) => drop(done.send(())),
        Passed::Barrier(Barrier::Fence(left, tag)) => {
            if left.fetch_sub(1, Ordering::AcqRel) == 1 {
                nic.fenced(tag);
            }
        }
    }
}

/// A connection's three parts.
fn assemble(conn: &Conn, proto: ProtoState) -> Connection {
    Connection {
        pre: *conn.pre.read(),
        proto,
        post: *conn.post.lock(),
    }
}
