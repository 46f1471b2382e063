// SPDX-License-Identifier: GPL-2.0

//! What executors have to do with: buffers that go away, rates, work under way when a connection or the device ends.

#![allow(non_snake_case)]

mod guest;

use guest::{
    connection::{simple, End, RING},
    side::{bytes, pair, settle, Side},
    BASE, MEMORY,
};
use std::time::{Duration, Instant};
use toe_nic::layout::{
    admin, command, control, post, reg, stat, state, status, Error, CONTEXT_PRIVILEGED,
};
use zerocopy::IntoBytes;

over_executors! {
    buffers__that_go_away_stop_their_connection
    rate__is_kept
    rate__is_lifted
    reset__in_the_middle_of_a_transfer
    quiesce__in_the_middle_of_a_transfer
}

#[test]
fn rate__by_the_devices_clock() {
    let (mut a, _) = pair();
    set_rate(&mut a, 1_000_000);
    a.send(&bytes(10 * 1448, 1));
    let mut sent = 0;
    // A segment each 1448 us, of which two may have been due before: what the slots of the wheel make late is made up for.
    for elapsed in 0..9 * 1448u64 {
        a.guest.now += Duration::from_micros(1);
        a.guest.nic.run(a.guest.now);
        sent += a.sent().len() as u64;
        assert!(sent <= elapsed / 1448 + 2, "{sent} after {elapsed} us");
        assert!(sent + 1 >= elapsed / 1448, "{sent} after {elapsed} us");
    }
}

fn set_rate(side: &mut Side, rate: u32) {
    let limit = simple(command::SET_RATE, side.connection.handle, rate);
    side.guest.push(&mut side.queue, &limit);
    side.run();
}

fn buffers__that_go_away_stop_their_connection() {
    let (mut a, mut b) = pair();
    let away = BASE + MEMORY;
    let file = rustix::fs::memfd_create("away", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&file, u64::from(RING)).unwrap();
    let memory = &mut b.guest.nic.host.memory;
    memory.map(file.into(), 0, away, u64::from(RING)).unwrap();
    let mut queue = b.guest.create_context(1, CONTEXT_PRIVILEGED);
    let handle = b.guest.claim(&End::B.tuple(1));
    let (mut install, mut connection) = b.guest.prepare(handle, End::B.state(1, 1));
    let list = b.guest.alloc(64);
    b.guest.write_bytes(list, [away].as_bytes());
    install.rx_pages = list.into();
    install.rx_page_shift = RING.trailing_zeros() as u8;
    assert_eq!(b.guest.command(admin::INSTALL, handle, &install, 0).0, 0);
    let memory = &mut b.guest.nic.host.memory;
    memory.unmap(away, u64::from(RING));

    let mut second_queue = a.guest.create_context(1, CONTEXT_PRIVILEGED);
    let claim = a.guest.claim(&End::A.tuple(1));
    let mut second = a.guest.install(claim, End::A.state(1, 1));
    a.guest
        .send(&mut second_queue, &mut second, b"nowhere to go");
    a.send(b"unharmed");
    a.run();
    b.arrive(a.sent());
    b.run();
    b.guest.listen(&mut queue, &mut connection);
    assert_eq!(connection.stopped, Some(Error::Buffer as u32));
    assert_eq!(b.guest.record(&connection).state, state::QUIESCED);
    // Nothing acknowledges what is not there.
    assert!(b.sent().is_empty());
    assert_eq!(b.connection.stopped, None);
    assert_eq!(b.receive(), b"unharmed");
}

fn rate__is_kept() {
    let (mut a, mut b) = pair();
    let rate = 2_000_000;
    set_rate(&mut a, rate);
    let state = a.guest.state(admin::READ, a.connection.handle, 0).unwrap();
    assert_eq!(state.connection.rate.get(), u64::from(rate));
    let data = bytes(20 * 1448, 1);
    let start = Instant::now();
    a.send(&data);
    let mut got = Vec::new();
    while got.len() < data.len() {
        a.guest.now = a.guest.now.max(Instant::now());
        a.guest.nic.run(a.guest.now);
        b.arrive(a.sent());
        b.run();
        got.extend(b.receive());
        a.arrive(b.sent());
    }
    assert!(got == data);
    // All but the first two segments waited for their time; the clocks are not the same.
    let least = Duration::from_secs(18 * 1448) / rate;
    assert!(start.elapsed() >= least * 9 / 10, "{:?}", start.elapsed());
}

fn rate__is_lifted() {
    let (mut a, mut b) = pair();
    set_rate(&mut a, 10_000);
    let data = bytes(20 * 1448, 1);
    a.send(&data);
    a.guest.nic.run(a.guest.now);
    set_rate(&mut a, 0);
    settle(&mut a, &mut b);
    assert!(b.receive() == data);
}

fn reset__in_the_middle_of_a_transfer() {
    let (mut a, mut b) = pair();
    a.send(&bytes(40_000, 1));
    a.run();
    b.arrive(a.sent());
    b.guest.nic.run(b.guest.now);
    b.guest.nic.write_register(reg::CONTROL, control::RESET);
    assert_eq!(b.guest.status() & status::READY, 0);
    // What was acknowledged has been recorded.
    let record = b.guest.record(&b.connection);
    for frame in b.sent() {
        let ack = u32::from_be_bytes(*frame[14 + 20 + 8..].first_chunk().unwrap());
        assert!(record.rcv_nxt.get().wrapping_sub(ack) < 1 << 31);
    }
    b.guest.enable(toe_nic::device::FEATURES);
    b.guest.create_context(0, CONTEXT_PRIVILEGED);
    assert_eq!(b.guest.nic.statistics()[stat::CONNECTIONS], 0);
}

fn quiesce__in_the_middle_of_a_transfer() {
    let (mut a, mut b) = pair();
    let data = bytes(3 * RING as usize, 1);
    let (mut sent, mut got) = (0, Vec::new());
    for round in 0.. {
        let room = RING - a.connection.tx_tail.wrapping_sub(a.connection.tx_head);
        let next = data.len().min(sent + room as usize);
        a.send(&data[sent..next]);
        sent = next;
        // Not settled: there is work under way in the stages of both.
        a.guest.nic.run(a.guest.now);
        b.arrive(a.sent());
        b.guest.nic.run(b.guest.now);
        let side = if round % 2 == 0 { &mut a } else { &mut b };
        let handle = side.connection.handle;
        side.guest.state(admin::QUIESCE, handle, 0).unwrap();
        assert_eq!(side.guest.command(admin::RESUME, handle, &0u8, 0).0, 0);
        settle(&mut a, &mut b);
        got.extend(b.receive());
        b.post(post::ACK_NOW);
        settle(&mut a, &mut b);
        if got.len() == data.len() {
            break;
        }
        assert!(round < 100, "{} of {}", got.len(), data.len());
    }
    assert!(got == data);
    assert_eq!(a.guest.nic.statistics()[stat::CONNECTIONS_STOPPED], 0);
}
