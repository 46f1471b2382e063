// SPDX-License-Identifier: GPL-2.0
//! Two connections of one device, each the other's peer, over the loopback netdev.

use crate::{
    driver::{
        device::{
            Claim, Device, Events, Install, Kind, Marks, OffloadedConnection, Punt, Refusal,
            Removal, DEVICES,
        },
        family::stream::PayloadBuffers,
    },
    net::{buffer::PayloadBuffer, context::BhDisabled, netns::Net},
};
use datapath::{
    npu::{
        config::{EcnConfig, Fin, Path, ReceiveConfig, Ring, RttConfig, SendConfig},
        inline::Outcome,
        meta::{Command, Events as Happened},
        ConnectionConfig, HostControl, Notification,
    },
    units::{Bytes, SeqNum, StreamPos, WindowScale},
    wire::{ethernet::Link, Addresses, FourTuple},
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc, Completion,
    },
};

const LOOPBACK: u32 = 1;
const RING: u32 = 1 << 17;
const SIZE: usize = 100_000;

/// One end of the connection, as the control plane would keep it.
#[pin_data]
struct End {
    buffers: Arc<PayloadBuffers>,
    received: Atomic<u32>,
    punts: Atomic<u32>,
    gone: Atomic<bool>,
    #[pin]
    all: Completion,
    #[pin]
    fin: Completion,
}

impl End {
    fn new() -> Result<Arc<Self>> {
        let buffers = PayloadBuffers {
            rx: PayloadBuffer::new(RING as usize)?,
            tx: PayloadBuffer::new(RING as usize)?,
        };
        let buffers = Arc::new(buffers, GFP_KERNEL)?;
        Arc::pin_init(
            pin_init!(Self {
                buffers,
                received: Atomic::new(0),
                punts: Atomic::new(0),
                gone: Atomic::new(false),
                all <- Completion::new(),
                fin <- Completion::new(),
            }),
            GFP_KERNEL,
        )
    }
}

impl Events for End {
    fn waits(&self, _: Outcome) {}

    fn notify(&self, notification: &Notification, _: &BhDisabled) {
        let before = self.received.fetch_add(notification.rx_bytes.0, Relaxed);
        if before + notification.rx_bytes.0 == SIZE as u32 {
            self.all.complete_all();
        }
        if notification.events.has(Happened::PEER_FIN) {
            self.fin.complete_all();
        }
    }

    fn punt(&self, _: Punt, _: &BhDisabled) {
        self.punts.add(1, Relaxed);
    }

    fn path_changed(&self) {}

    fn device_gone(&self) {
        self.gone.store(true, Relaxed);
    }
}

fn tuple(local_port: u16, remote_port: u16) -> FourTuple {
    let addresses = Addresses::V4 {
        local: [127, 0, 0, 1],
        remote: [127, 0, 0, 1],
    };
    FourTuple {
        addresses,
        local_port,
        remote_port,
    }
}

fn config(tuple: FourTuple, seq: u32, peer_seq: u32, tx_max: u32) -> ConnectionConfig {
    let scale = WindowScale::new(7).unwrap_or(WindowScale::NONE);
    let ring = Ring {
        base: 0,
        size: RING,
        head: StreamPos(0),
        tail: StreamPos(0),
    };
    let link = Link::Ethernet {
        destination: [0; 6],
        source: [0; 6],
        vlan: None,
    };
    ConnectionConfig {
        tuple,
        path: Path {
            link,
            ttl: 64,
            tos: 0,
            mss: 1448,
            tx_max,
            checksum_offload: true,
        },
        timestamps: None,
        ecn: EcnConfig::Off,
        sack: true,
        nodelay: true,
        cork: false,
        quick_acks: 0,
        cwnd: Bytes(RING),
        send: SendConfig {
            una: SeqNum::new(seq),
            nxt: SeqNum::new(seq),
            max: SeqNum::new(seq),
            wnd: Bytes(RING),
            max_wnd: Bytes(RING),
            wl1: SeqNum::new(peer_seq),
            scale,
            fin: Fin::Open,
        },
        receive: ReceiveConfig {
            nxt: SeqNum::new(peer_seq),
            wnd: Bytes(RING),
            scale,
            mss: 0,
            fin: false,
        },
        tx: ring,
        rx: ring,
        rtt: RttConfig::default(),
        cookie: 0,
        context: 0,
        flow_group: 0,
    }
}

fn install(
    claim: &mut dyn Claim,
    config: &ConnectionConfig,
    end: &Arc<End>,
) -> Result<Arc<dyn OffloadedConnection>, Refusal> {
    claim.install(Install {
        config,
        buffers: end.buffers.clone(),
        events: end.clone(),
        dst: None,
        marks: Marks::default(),
        moved: Bytes::ZERO,
    })
}

fn send(connection: &dyn OffloadedConnection, tx_added: usize, commands: Command) -> Result {
    let tx_added = Bytes(tx_added as u32);
    connection.post(&HostControl {
        tx_added,
        rx_freed: Bytes::ZERO,
        commands,
    })
}

fn loopback() -> Result<Arc<dyn Device>> {
    let registry = DEVICES.get().ok_or(ENODEV)?;
    registry.add(Net::init(), LOOPBACK, Some(Kind::Soft))?;
    registry.find(Net::init().cookie(), LOOPBACK).ok_or(ENODEV)
}

fn remove_loopback(removal: Removal) -> Result {
    let registry = DEVICES.get().ok_or(ENODEV)?;
    registry.remove(Net::init().cookie(), LOOPBACK, removal)
}

#[kunit_tests(toe_soft)]
mod between_two_ends {
    use super::*;

    #[test]
    fn bytes_and_fin_reach_the_peer_even_before_it_is_installed() -> Result {
        let device = loopback()?;
        let (a, b) = (End::new()?, End::new()?);
        let tx_max = device.tx_max(false);
        let mut claim_a = device.claim(&tuple(10001, 10002)).map_err(|_| EINVAL)?;
        let mut claim_b = device.claim(&tuple(10002, 10001)).map_err(|_| EINVAL)?;
        assert_eq!(
            device.claim(&tuple(10001, 10002)).err(),
            Some(Refusal::InUse)
        );
        assert_eq!(device.connections(), 2);

        let config_a = config(tuple(10001, 10002), u32::MAX - 1000, 5000, tx_max);
        let config_b = config(tuple(10002, 10001), 5000, u32::MAX - 1000, tx_max);
        let flow_a = install(&mut *claim_a, &config_a, &a).map_err(|_| EINVAL)?;
        let mut bytes = KVVec::from_elem(0u8, SIZE, GFP_KERNEL)?;
        for (n, byte) in bytes.iter_mut().enumerate() {
            *byte = (n % 251) as u8;
        }
        a.buffers.tx.write(0, &bytes)?;
        send(&*flow_a, SIZE / 2, Command::NONE)?;
        let flow_b = install(&mut *claim_b, &config_b, &b).map_err(|_| EINVAL)?;
        send(&*flow_a, SIZE - SIZE / 2, Command::FIN)?;

        b.all.wait_for_completion();
        b.fin.wait_for_completion();
        let mut received = KVVec::from_elem(0u8, SIZE, GFP_KERNEL)?;
        b.buffers.rx.read(0, &mut received)?;
        assert!(*received == *bytes);
        send(&*flow_b, 0, Command::FIN)?;
        a.fin.wait_for_completion();

        let counters = flow_b.counters().ok_or(EINVAL)?;
        assert_eq!(counters.rx_bytes, SIZE as u64);
        flow_a.send_reset();
        assert_eq!(remove_loopback(Removal::Unused), Err(EBUSY));
        assert!(flow_a.remove().is_some_and(|last| last.receive.fin));
        assert!(flow_a.remove().is_none());
        assert!(send(&*flow_a, 0, Command::ACK_NOW).is_err());
        assert_eq!(device.connections(), 1);
        let mut claim_late = device.claim(&tuple(1, 2)).map_err(|_| EINVAL)?;
        assert_eq!(remove_loopback(Removal::Forced), Ok(()));
        assert!(b.gone.load(Relaxed));
        assert_eq!(b.punts.load(Relaxed), 1);
        let config_late = config(tuple(1, 2), 0, 0, tx_max);
        let late = install(&mut *claim_late, &config_late, &a);
        assert_eq!(late.err(), Some(Refusal::DeviceGone));
        drop(claim_late);
        flow_b.remove();
        assert_eq!(device.connections(), 0);
        assert_eq!(device.claim(&tuple(1, 2)).err(), Some(Refusal::DeviceGone));
        Ok(())
    }
}
