// SPDX-License-Identifier: GPL-2.0

use super::*;
use crate::npu::meta::TcpMeta;
use crate::npu::state::Connection;
use crate::npu::testing::{config, OURS, THEIRS};
use crate::units::{Micros, TsVal};
use crate::wire::options::{SackBlock, SackBlocks};
use crate::wire::Sum;
use proptest::prelude::*;
use std::vec::Vec;

fn connection() -> Connection {
    Connection::new(&config(), Micros(0)).unwrap()
}

/// A packet to `connection`, made by the mirror image of it.
fn packet(flags: Flags, payload: &[u8], v6: bool) -> (Vec<u8>, Connection) {
    let mut ours = config();
    if v6 {
        ours.tuple.addresses = Addresses::V6 {
            local: [1; 16],
            remote: [2; 16],
        };
    }
    let mut theirs = ours;
    theirs.tuple.local_port = ours.tuple.remote_port;
    theirs.tuple.remote_port = ours.tuple.local_port;
    theirs.tuple.addresses = match ours.tuple.addresses {
        Addresses::V4 { local, remote } => Addresses::V4 {
            local: remote,
            remote: local,
        },
        Addresses::V6 { local, remote } => Addresses::V6 {
            local: remote,
            remote: local,
        },
    };
    let theirs = Connection::<4>::new(&theirs, Micros(0)).unwrap();
    let meta = TcpMeta {
        seq: THEIRS,
        ack: OURS,
        window: 77,
        flags,
        ect: false,
        timestamps: Some(Timestamps {
            val: TsVal(5),
            ecr: TsVal(6),
        }),
    };
    let mut sack = SackBlocks::default();
    sack.push(SackBlock {
        start: OURS,
        end: OURS + Bytes(9),
    });
    let len = Bytes(payload.len() as u32);
    let header = theirs
        .pre
        .template
        .emit(&meta, &sack, len, Sum::of(payload));
    let mut out = header.bytes()[header.network_offset()..].to_vec();
    out.extend_from_slice(payload);
    (out, Connection::new(&ours, Micros(0)).unwrap())
}

fn run(packet: &[u8], conn: &Connection) -> Result<Summary, Reject> {
    let ident = identify(packet, packet.len()).map_err(Reject::Punt)?;
    rx(&conn.pre, packet, &ident, Checksum::Unverified)
}

#[test]
fn rx__summarizes() {
    for v6 in [false, true] {
        let (packet, conn) = packet(Flags::ACK | Flags::FIN, b"hello", v6);
        let ident = identify(&packet, packet.len()).unwrap();
        assert_eq!(
            (&ident.tuple, ident.packet_len()),
            (conn.pre.tuple(), packet.len())
        );
        let summary = run(&packet, &conn).unwrap();
        assert_eq!(
            (summary.seq, summary.ack, summary.window),
            (THEIRS, OURS, 77)
        );
        assert_eq!(
            summary.timestamps,
            Some(Timestamps {
                val: TsVal(5),
                ecr: TsVal(6)
            })
        );
        assert_eq!(
            summary.sack,
            Some(SackBlock {
                start: OURS,
                end: OURS + Bytes(9)
            })
        );
        let payload = &packet[summary.payload_offset as usize..];
        assert_eq!((payload, summary.payload_len), (&b"hello"[..], Bytes(5)));
        assert!(summary.flags.has(Flags::FIN) && !summary.ce);
    }
}

#[test]
fn rx__congestion_mark() {
    let (mut packet, conn) = packet(Flags::ACK, b"", true);
    packet[1] |= 0x30;
    assert!(run(&packet, &conn).unwrap().ce);
}

#[test]
fn rx__padding_is_not_payload() {
    let (mut packet, conn) = packet(Flags::ACK, b"abc", false);
    packet.extend_from_slice(&[0xaa; 6]);
    assert_eq!(run(&packet, &conn).unwrap().payload_len, Bytes(3));
}

#[test]
fn rx__every_flipped_bit_is_noticed() {
    for v6 in [false, true] {
        let (packet, conn) = packet(Flags::ACK, b"some payload", v6);
        for bit in 0..packet.len() * 8 {
            let mut bad = packet.clone();
            bad[bit / 8] ^= 0x80 >> (bit % 8);
            // Version, traffic class, flow label and hop limit of IPv6 are under no checksum.
            if v6 && (bit / 8 < 4 || bit / 8 == 7) {
                continue;
            }
            let ours = identify(&bad, bad.len()).is_ok_and(|ident| ident.tuple == conn.pre.tuple);
            assert!(!ours || run(&bad, &conn).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn rx__verified_by_the_device_is_not_verified_again() {
    let (mut packet, conn) = packet(Flags::ACK, b"abc", false);
    let last = packet.len() - 1;
    packet[last] ^= 1;
    assert_eq!(
        run(&packet, &conn),
        Err(Reject::Drop(DropReason::TcpChecksum))
    );
    let ident = identify(&packet, packet.len()).unwrap();
    assert!(rx(&conn.pre, &packet, &ident, Checksum::Verified).is_ok());
    // Nor need the payload be at hand.
    assert!(rx(&conn.pre, &packet[..last - 2], &ident, Checksum::Verified).is_ok());
    let apart = rx(&conn.pre, &packet[..last - 2], &ident, Checksum::Unverified);
    assert_eq!(apart, Err(Reject::Drop(DropReason::NotContiguous)));
}

#[test]
fn rx__punts_with_reason() {
    let cases = [
        (Flags::SYN, PuntReason::Syn),
        (Flags::SYN | Flags::ACK, PuntReason::Syn),
        (Flags::RST, PuntReason::Rst),
        (Flags::RST | Flags::ACK, PuntReason::Rst),
        (Flags::FIN, PuntReason::NoAck),
        (Flags::NONE, PuntReason::NoAck),
    ];
    for (flags, reason) in cases {
        let (packet, conn) = packet(flags, b"", false);
        assert_eq!(run(&packet, &conn), Err(Reject::Punt(reason)), "{flags:?}");
    }
}

#[test]
fn rx__urgent_data_are_data() {
    let (packet, conn) = packet(Flags::ACK | Flags::URG, b"abc", false);
    assert_eq!(run(&packet, &conn).unwrap().payload_len, Bytes(3));
}

#[test]
fn identify__refuses_with_reason() {
    let (v4, _) = packet(Flags::ACK, b"", false);
    let (v6, _) = packet(Flags::ACK, b"", true);
    let mut cases = Vec::new();
    let mut case = |packet: &[u8], at: usize, value: u8, reason| {
        let mut packet = packet.to_vec();
        packet[at] = value;
        cases.push((packet, reason));
    };
    case(&v4, 0, 0x46, PuntReason::IpOptions);
    case(&v4, 0, 0x55, PuntReason::NotTcp);
    case(&v4, 6, 0x20, PuntReason::Fragment);
    case(&v4, 7, 1, PuntReason::Fragment);
    case(&v4, 9, 17, PuntReason::NotTcp);
    case(&v4, 2, 0xff, PuntReason::Truncated);
    case(&v4, 3, 39, PuntReason::Truncated);
    case(&v6, 6, 17, PuntReason::NotTcp);
    case(&v6, 6, 44, PuntReason::ExtensionHeader);
    case(&v6, 6, 0, PuntReason::ExtensionHeader);
    case(&v6, 4, 0xff, PuntReason::Truncated);
    for (packet, reason) in cases {
        assert_eq!(identify(&packet, packet.len()), Err(reason));
    }
    assert_eq!(identify(&v4[..39], v4.len()), Err(PuntReason::Truncated));
    assert_eq!(identify(&[], 0), Err(PuntReason::NotTcp));
}

#[test]
fn identify__coalesced_beyond_what_the_length_field_can_say() {
    let (mut packet, conn) = packet(Flags::ACK, b"", false);
    packet[2..4].fill(0);
    let ident = identify(&packet, 100_000).unwrap();
    let summary = rx(&conn.pre, &packet, &ident, Checksum::Verified).unwrap();
    assert_eq!(summary.payload_len.as_usize(), 100_000 - packet.len());
    assert_eq!(identify(&packet, packet.len()), Err(PuntReason::Truncated));
}

proptest! {
    #[test]
    fn rx__never_panics(bytes: Vec<u8>, v6: bool, len: usize, verified: bool, edits: Vec<(usize, u8)>) {
        let (mut packet, conn) = packet(Flags::ACK, &bytes, v6);
        for (at, value) in edits.into_iter().take(4) {
            let at = at % packet.len();
            packet[at] = value;
        }
        let conn_state = connection();
        for packet in [&packet, &bytes] {
            let head = &packet[..packet.len() - len % (packet.len() + 1)];
            if let Ok(ident) = identify(head, packet.len()) {
                let checksum = if verified { Checksum::Verified } else { Checksum::Unverified };
                for conn in [&conn, &conn_state] {
                    if let Ok(summary) = rx(&conn.pre, head, &ident, checksum) {
                        let end = summary.payload_offset as usize + summary.payload_len.as_usize();
                        prop_assert!(end <= packet.len());
                    }
                }
            }
        }
    }
}
