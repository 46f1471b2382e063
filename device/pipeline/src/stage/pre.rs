// SPDX-License-Identifier: GPL-2.0

//! Pre-processing: validates and summarizes segments, adds the connection's settings. Several at once, in any order.

use crate::nic::Nic;
use crate::table::Table;
use crate::work::{Entry, Job, Steering};
use datapath::npu::pre::{self, Checksum, Reject};
use datapath::npu::PreState;
use datapath::reason::PuntReason;
use datapath::wire::ethernet::{self, Link};
use std::sync::Arc;

/// Finds out which flow a frame belongs to: what a NIC's parser does to spread frames, before any processor sees them.
pub(crate) fn steer(frame: &[u8]) -> Steering {
    let link = ethernet::Frame::parse(frame).ok_or(PuntReason::Truncated)?;
    if !matches!(link.ethertype, ethernet::TYPE_IPV4 | ethernet::TYPE_IPV6) {
        return Err(PuntReason::NotTcp);
    }
    let packet = frame.get(link.payload_offset..).unwrap_or(&[]);
    Ok((link, pre::identify(packet, packet.len())?))
}

/// Runs the stage for one item.
pub(crate) fn run<N: Nic>(nic: &N, table: &Table, entry: Entry<N::Frame>) -> Job<N::Frame> {
    match entry {
        Entry::Frame {
            frame,
            steering,
            checksum,
        } => segment(nic, table, frame, steering, checksum),
        Entry::Request(conn, request) => {
            let params = *conn.pre.read().params();
            Job::Control {
                conn,
                params,
                request,
            }
        }
        Entry::Install(conn, proto, limit) => Job::Install(conn, proto, limit),
        Entry::Barrier(barrier) => Job::Barrier(barrier),
    }
}

fn segment<N: Nic>(
    nic: &N,
    table: &Table,
    frame: N::Frame,
    steering: Steering,
    checksum: Checksum,
) -> Job<N::Frame> {
    let (link, ident) = match steering {
        Ok(found) => found,
        Err(reason) => return Job::Stranger(frame, Some(reason)),
    };
    let Some(conn) = table.get(&ident.tuple, link.vlan) else {
        return Job::Stranger(frame, None);
    };
    let pre = conn.pre.read();
    if !is_addressed(nic, &pre, &link) {
        return Job::Stranger(frame, None);
    }
    let offset = link.payload_offset;
    let packet = frame.as_ref().get(offset..).unwrap_or(&[]);
    match pre::rx(&pre, packet, &ident, checksum) {
        Ok(summary) => Job::Segment {
            conn: Arc::clone(conn),
            params: *pre.params(),
            frame,
            offset,
            summary,
        },
        Err(Reject::Drop(reason)) => Job::Drop(Arc::clone(conn), reason),
        Err(Reject::Punt(reason)) => Job::Punt(Arc::clone(conn), frame, reason),
    }
}

/// Whether a frame came to the address that the connection's own frames leave from, or to another of the NIC's.
fn is_addressed<N: Nic>(nic: &N, pre: &PreState, frame: &ethernet::Frame) -> bool {
    let own =
        matches!(pre.path().link, Link::Ethernet { source, .. } if source == frame.destination);
    own || nic.has_address(&frame.destination)
}
