// SPDX-License-Identifier: GPL-2.0
//! Moving an established connection from the kernel's TCP to a device.
//!
//! The inner socket stays locked from the first look at its state until the device has the connection, so that state is
//! true throughout; the device holds back what arrives meanwhile. Until the last step nothing is changed, and a failure
//! leaves the inner socket to serve the connection itself.

use super::{
    congestion::Congestion,
    connection::{Connection, Control},
    fallback::Reason,
    limits::Limits,
    path::Route,
    registry,
    state::State,
};
use crate::{
    driver::{
        device::{Install, Marks},
        family::{
            stream::{PayloadBuffers, Stream},
            ToeSocket,
        },
        sysctl,
    },
    net::{
        buffer::PayloadBuffer,
        context::BhDisabled,
        ksocket::InnerSocket,
        sock::{AnySock, Sock},
        tcp_repair::{AddrPair, Moving, Snapshot},
        timer::Timed,
    },
};
use datapath::{
    npu::{
        config::{
            EcnConfig, Fin, Path, ReceiveConfig, Ring, RttConfig, SendConfig, TimestampConfig,
            MAX_RING, MIN_RING,
        },
        meta::Command,
        ConnectionConfig,
    },
    units::{Bytes, Micros, SeqNum, StreamPos, TsVal, WindowScale},
    wire::{Addresses, FourTuple},
};
use kernel::{
    prelude::*,
    sync::{aref::ARef, Arc},
};

impl Connection {
    /// Moves the connection of `inner`, whose program's socket is `owner`, to the device its route leaves by. Sleeps.
    ///
    /// # Errors
    ///
    /// Why that can't be. `inner` is as it was then, and goes on serving the connection.
    pub(crate) fn hand_over(
        inner: &Arc<InnerSocket>,
        owner: ARef<Sock<ToeSocket>>,
    ) -> Result<Arc<Self>, Reason> {
        if !sysctl::enabled() {
            return Err(Reason::Disabled);
        }
        let mut moving = Moving::new(inner)?;
        let route = Route::of(inner, moving.snapshot())?;
        let buffers = new_buffers(inner.sk(), moving.snapshot())?;
        let tuple = tuple(moving.snapshot());
        let mut claim = route.device.claim(&tuple)?;

        // What arrives from now on is held back, what arrived before is in the socket.
        moving.refresh()?;
        let snapshot = moving.snapshot();
        let unread = copy_unread(&moving, &buffers)?;
        let mss = route.max_mss();
        let mut congestion = congestion(snapshot, mss);
        let path = route.path(inner, &route.dst, mss)?;
        let config = config(
            snapshot,
            tuple,
            path,
            &buffers,
            unread,
            congestion.policy().cwnd(),
        );
        let ack_owed = snapshot.ack_owed();
        let marks = Marks {
            priority: snapshot.priority(),
            mark: snapshot.mark(),
        };
        let dst = route.dst.clone();
        let state = if snapshot.fin_received() {
            State::CloseWait
        } else {
            State::Established
        };
        let connection = Timed::new(
            Control::new(
                &config,
                Stream::new(buffers.clone(), unread, owner),
                route,
                Limits::of(inner.sk()),
                state,
                congestion,
            ),
            GFP_KERNEL,
        )?;
        if snapshot.fin_received() {
            connection.stream().notify(0, 0, true, &BhDisabled::new());
        }
        registry::add(&connection)?;
        let installed = claim.install(Install {
            config: &config,
            buffers,
            events: connection.clone(),
            dst: Some(dst),
            marks,
            moved: Bytes(unread),
        });
        let offload = match installed {
            Ok(offload) => offload,
            Err(refusal) => {
                registry::remove(&connection);
                connection.stream().disown();
                return Err(refusal.into());
            }
        };
        connection.offload.populate(offload);
        let frozen = moving.commit();
        inner.set_events(connection.clone());
        *connection.frozen.lock(&BhDisabled::new()) = Some(frozen);
        if ack_owed {
            connection.command(Command::ACK_NOW);
        }
        // The first segments may have ended it already, and the device may have failed.
        connection.order_close();
        if connection.is_forsaken() {
            connection.order_hand_back();
        }
        Ok(connection)
    }
}

fn tuple(snapshot: &Snapshot) -> FourTuple {
    FourTuple {
        addresses: match snapshot.addresses() {
            AddrPair::V4(local, remote) => Addresses::V4 { local, remote },
            AddrPair::V6(local, remote) => Addresses::V6 { local, remote },
        },
        local_port: snapshot.local_port(),
        remote_port: snapshot.remote_port(),
    }
}

/// Payload buffers as large as the program or the administrator wants them, and large enough for the window that the
/// peer was offered and for what a window field can say.
fn new_buffers(sk: &AnySock, snapshot: &Snapshot) -> Result<Arc<PayloadBuffers>> {
    let offered = snapshot.unread() as usize + snapshot.rcv_wnd() as usize;
    let units = 2 * scale(snapshot, snapshot.rcv_wscale()).unit().as_usize();
    Ok(Arc::new(
        PayloadBuffers {
            rx: PayloadBuffer::new(ring_size(
                sysctl::receive_buffer(sk).max(offered).max(units),
            ))?,
            tx: PayloadBuffer::new(ring_size(sysctl::send_buffer(sk)))?,
        },
        GFP_KERNEL,
    )?)
}

/// A ring's size for at least `len` bytes, as far as rings may be.
fn ring_size(len: usize) -> usize {
    len.clamp(MIN_RING.as_usize(), MAX_RING.as_usize())
        .next_power_of_two()
}

/// Copies what the socket received and the program hasn't read; returns how many bytes.
fn copy_unread(moving: &Moving<'_>, buffers: &PayloadBuffers) -> Result<u32, Reason> {
    let unread = moving.snapshot().unread();
    if unread as usize > buffers.rx.size() {
        return Err(Reason::NoMemory);
    }
    let mut copied = 0;
    moving.received(|packet, offset, len| {
        if len > (unread - copied) as usize {
            return Err(EINVAL);
        }
        buffers.rx.copy_from_skb(copied, packet, offset, len)?;
        copied += len as u32;
        Ok(())
    })?;
    if copied != unread {
        return Err(Reason::State);
    }
    Ok(copied)
}

fn congestion(snapshot: &Snapshot, mss: u16) -> Congestion {
    let name = core::str::from_utf8(snapshot.congestion()).unwrap_or("");
    Congestion::new(name, snapshot.ecn(), Bytes(u32::from(mss)))
}

fn scale(snapshot: &Snapshot, shift: u8) -> WindowScale {
    let shift = if snapshot.wscale_ok() { shift } else { 0 };
    WindowScale::new(shift).unwrap_or(WindowScale::NONE)
}

/// The state as the data-path wants it.
fn config(
    snapshot: &Snapshot,
    tuple: FourTuple,
    path: Path,
    buffers: &PayloadBuffers,
    unread: u32,
    cwnd: Bytes,
) -> ConnectionConfig {
    let receive_scale = scale(snapshot, snapshot.rcv_wscale());
    let ecn = match (snapshot.ecn(), snapshot.congestion()) {
        (false, _) => EcnConfig::Off,
        (true, b"dctcp") => EcnConfig::Accurate,
        (true, _) => EcnConfig::Classic,
    };
    ConnectionConfig {
        tuple,
        path,
        timestamps: snapshot.timestamps().then(|| TimestampConfig {
            offset: snapshot.ts_offset(),
            recent: TsVal(snapshot.ts_recent()),
        }),
        ecn,
        sack: snapshot.sack(),
        nodelay: snapshot.nodelay(),
        cork: snapshot.cork(),
        quick_acks: snapshot.quick_acks(),
        cwnd,
        send: SendConfig {
            una: SeqNum::new(snapshot.snd_una()),
            nxt: SeqNum::new(snapshot.snd_nxt()),
            max: SeqNum::new(snapshot.snd_nxt()),
            wnd: Bytes(snapshot.snd_wnd()),
            max_wnd: Bytes(snapshot.max_window()),
            wl1: SeqNum::new(snapshot.snd_wl1()),
            scale: scale(snapshot, snapshot.snd_wscale()),
            fin: Fin::Open,
        },
        receive: ReceiveConfig {
            nxt: SeqNum::new(snapshot.rcv_nxt()),
            wnd: Bytes(snapshot.rcv_wnd()).min(receive_scale.expand(u16::MAX)),
            scale: receive_scale,
            mss: snapshot.rcv_mss().min(u32::from(u16::MAX)) as u16,
            fin: snapshot.fin_received(),
        },
        tx: Ring {
            base: 0,
            size: buffers.tx.size() as u32,
            head: StreamPos(0),
            tail: StreamPos(0),
        },
        rx: Ring {
            base: 0,
            size: buffers.rx.size() as u32,
            head: StreamPos(0),
            tail: StreamPos(unread),
        },
        rtt: RttConfig {
            srtt: Micros(u64::from(snapshot.srtt_us())),
            rttvar: Micros(u64::from(snapshot.rttvar_us())),
        },
        cookie: 0,
        context: 0,
        flow_group: 0,
    }
}
