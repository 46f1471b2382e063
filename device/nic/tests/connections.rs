// SPDX-License-Identifier: GPL-2.0

//! Offloaded connections: two devices, back to back.

#![allow(non_snake_case)]

mod guest;

use guest::{
    connection::{simple, End, RING},
    side::{bytes, pair, settle, Side},
    Guest,
};
use toe_nic::device::{Config, FEATURES};
use toe_nic::layout::{
    admin, command, doorbell, event, notify, post, rx, stat, wait, Error, Notification,
    QueueStatus, RxBuffer, RxCompletion, Status, CONTEXT_PRIVILEGED, QUEUE_STOPPED, REMOVE_HOLD,
};

over_executors! {
    stream__both_ways_around_the_rings
    frames__are_valid_and_no_longer_than_the_mss
    fin__both_ways
    record__covers_what_was_acknowledged
    watch__tells_again_what_is_waited_for
    claim__holds_until_installed
    release__gives_back_what_was_held
    remove__goes_on_where_it_was
    quiesce__and_resume
    post__impossible_positions_quiesce_one_connection
    post__after_one_that_was_refused_does_nothing
    user_context__reaches_its_own_connections_only
    user_context__does_not_do_what_is_the_control_planes
    notifications__wait_for_room_and_become_one
    notifications__wait_for_their_own_ring_only
    punt__a_reset_is_the_hosts_to_judge
    install__refuses_what_cannot_be
    table__full_is_told
}

fn stream__both_ways_around_the_rings() {
    let (mut a, mut b) = pair();
    let (up, down) = (bytes(5 * RING as usize, 1), bytes(3 * RING as usize, 2));
    let (mut got_up, mut got_down) = (Vec::new(), Vec::new());
    let (mut sent_up, mut sent_down) = (0, 0);
    while got_up.len() < up.len() || got_down.len() < down.len() {
        let next = up.len().min(sent_up + 10_007);
        let room = RING - a.connection.tx_tail.wrapping_sub(a.connection.tx_head);
        if next - sent_up <= room as usize {
            a.send(&up[sent_up..next]);
            sent_up = next;
        }
        let next = down.len().min(sent_down + 30_011);
        let room = RING - b.connection.tx_tail.wrapping_sub(b.connection.tx_head);
        if next - sent_down <= room as usize {
            b.send(&down[sent_down..next]);
            sent_down = next;
        }
        settle(&mut a, &mut b);
        got_up.extend(b.receive());
        got_down.extend(a.receive());
        // Delayed acknowledgments: the timer's part.
        a.post(post::ACK_NOW);
        b.post(post::ACK_NOW);
        settle(&mut a, &mut b);
    }
    assert!(got_up == up && got_down == down);
    let stats = b.guest.nic.statistics();
    assert_eq!(stats[stat::COUNTERS + 1], up.len() as u64);
    assert_eq!(stats[stat::DROPS..stat::END].iter().sum::<u64>(), 0);
}

fn frames__are_valid_and_no_longer_than_the_mss() {
    let (mut a, _) = pair();
    a.send(&bytes(20_000, 3));
    a.run();
    let sent = a.sent();
    assert!(sent.len() >= 14);
    assert!(sent.iter().all(|frame| frame.len() <= 14 + 20 + 32 + 1448));
    assert!(a.connection.waits & wait::IN_FLIGHT != 0);
}

fn fin__both_ways() {
    let (mut a, mut b) = pair();
    a.send(b"last words");
    a.post(post::FIN);
    settle(&mut a, &mut b);
    assert_eq!(b.receive(), b"last words");
    assert_ne!(b.connection.events & event::PEER_FIN, 0);
    b.post(post::FIN);
    settle(&mut a, &mut b);
    for side in [&a, &b] {
        let both = event::PEER_FIN | event::FIN_ACKED;
        assert_eq!(side.connection.events & both, both);
    }
}

fn record__covers_what_was_acknowledged() {
    let (mut a, mut b) = pair();
    for round in 0..5u32 {
        a.send(&bytes(3000, 0));
        settle(&mut a, &mut b);
        b.post(post::ACK_NOW);
        settle(&mut a, &mut b);
        let record = b.guest.record(&b.connection);
        let state = b
            .guest
            .state(admin::READ, b.connection.handle, 0)
            .unwrap()
            .connection;
        assert_eq!(record.rx_tail.get(), 3000 * (round + 1));
        assert_eq!(record.rcv_nxt, state.rcv_nxt);
        assert_eq!(record.rcv_wnd, state.rcv_wnd);
        assert_eq!(record.ts_recent, state.ts_recent);
        let sender = a.guest.record(&a.connection);
        assert_eq!(sender.snd_una, record.rcv_nxt);
        assert_eq!(sender.tx_head.get(), 3000 * (round + 1));
        assert_eq!(sender.waits, 0);
    }
}

fn watch__tells_again_what_is_waited_for() {
    let (mut a, _) = pair();
    a.send(b"unanswered");
    a.run();
    assert_eq!(a.connection.waits, wait::IN_FLIGHT);
    a.connection.waits = 0;
    a.send(b"more");
    a.run();
    assert_eq!(a.connection.waits, 0);
    a.guest.push(
        &mut a.queue,
        &simple(command::WATCH, a.connection.handle, 0),
    );
    a.run();
    assert_eq!(a.connection.waits, wait::IN_FLIGHT);
    a.sent();
    a.post(post::RETRANSMIT);
    a.run();
    assert_eq!(a.sent().len(), 1);
}

fn claim__holds_until_installed() {
    let mut a = Side::new(End::A);
    let mut guest = Guest::enabled_as(End::B.address());
    let mut queue = guest.create_context(0, CONTEXT_PRIVILEGED);
    let handle = guest.claim(&End::B.tuple(0));
    a.send(b"early");
    a.run();
    guest.port.frames().arriving.extend(a.sent());
    guest.run();
    assert_eq!(guest.nic.statistics()[stat::HELD], 1);
    let mut connection = guest.install(handle, End::B.state(0, 0));
    guest.run();
    guest.listen(&mut queue, &mut connection);
    assert_eq!(guest.receive(&mut queue, &mut connection), b"early");
    assert_eq!(connection.waits, wait::ACK_DELAYED);
}

fn release__gives_back_what_was_held() {
    let mut a = Side::new(End::A);
    let mut guest = Guest::enabled_as(End::B.address());
    let mut pair = guest.create_pair(0);
    let handle = guest.claim(&End::B.tuple(0));
    a.send(b"early");
    a.run();
    let frames = a.sent();
    guest.port.frames().arriving.extend(frames.iter().cloned());
    let buffer = guest.alloc(2048);
    let mut post = RxBuffer::zeroed();
    post.addr = buffer.into();
    post.len = 2048.into();
    guest.write(pair.rq, &post);
    guest.ring_doorbell(pair.number, doorbell::RQ_TAIL, 1);
    guest.run();
    assert!(guest.completions::<RxCompletion>(&mut pair).is_empty());
    let (status, ..) = guest.command(admin::RELEASE, handle, &0u8, 0);
    assert_eq!(status, 0);
    let done = guest.completions::<RxCompletion>(&mut pair);
    assert_eq!(done.len(), 1);
    assert_eq!(done[0].flags.get(), rx::END | rx::CSUM_OK);
    assert_eq!(guest.read_bytes(buffer, frames[0].len()), frames[0]);
}

fn remove__goes_on_where_it_was() {
    let (mut a, mut b) = pair();
    a.send(&bytes(1000, 4));
    settle(&mut a, &mut b);
    let handle = b.connection.handle;
    let state = b.guest.state(admin::REMOVE, handle, REMOVE_HOLD).unwrap();
    a.send(&bytes(500, 5));
    settle(&mut a, &mut b);
    assert_eq!(b.guest.nic.statistics()[stat::NOT_HELD], 0);
    // Another place in memory, with what was received so far.
    let data = b.receive();
    assert_eq!(data, bytes(1000, 4));
    let mut connection = state.connection;
    connection.rx_head = connection.rx_tail;
    b.connection = b.guest.install(handle, connection);
    settle(&mut a, &mut b);
    assert_eq!(b.receive(), bytes(500, 5));
    b.guest.state(admin::REMOVE, handle, 0).unwrap();
    assert_eq!(
        b.guest.state(admin::READ, handle, 0).err(),
        Some(Status::NotFound as u32)
    );
    assert_eq!(b.guest.nic.statistics()[stat::CONNECTIONS], 0);
}

fn quiesce__and_resume() {
    let (mut a, mut b) = pair();
    let handle = b.connection.handle;
    b.guest.state(admin::QUIESCE, handle, 0).unwrap();
    a.send(b"wait");
    settle(&mut a, &mut b);
    assert_eq!(b.receive(), b"");
    let (status, ..) = b.guest.command(admin::RESUME, handle, &0u8, 0);
    assert_eq!(status, 0);
    settle(&mut a, &mut b);
    assert_eq!(b.receive(), b"wait");
}

fn post__impossible_positions_quiesce_one_connection() {
    let (mut a, mut b) = pair();
    let second = b.guest.claim(&End::B.tuple(1));
    b.guest.install(second, End::B.state(1, 0));
    b.connection.tx_tail = b.connection.tx_tail.wrapping_add(RING + 1);
    b.post(0);
    b.run();
    assert_eq!(b.connection.stopped, Some(Error::TxOverflow as u32));
    b.guest
        .state(admin::QUIESCE, second, 0)
        .expect("the other one lives");
    b.connection.tx_tail = 0;
    b.guest
        .state(admin::REMOVE, b.connection.handle, 0)
        .unwrap();
    a.connection.rx_head = 1;
    a.post(0);
    a.run();
    assert_eq!(a.connection.stopped, Some(Error::RxUnderflow as u32));
}

fn post__after_one_that_was_refused_does_nothing() {
    let mut a = Side::new(End::A);
    // More than the ring has; then, before anybody can have noticed, a little more.
    a.connection.tx_tail = RING + 1;
    a.post(0);
    a.connection.tx_tail += 100;
    a.post(0);
    a.run();
    assert_eq!(a.connection.stopped, Some(Error::TxOverflow as u32));
    assert_eq!(a.sent(), Vec::<Vec<u8>>::new());
    let read = a.guest.state(admin::READ, a.connection.handle, 0).unwrap();
    assert_eq!(read.connection.tx_tail.get(), 0);
}

fn user_context__reaches_its_own_connections_only() {
    let mut side = Side::new(End::A);
    let mut user = side.guest.create_context(1, 0);
    let own = side.guest.claim(&End::A.tuple(1));
    let mut own = side.guest.install(own, End::A.state(1, 1));
    side.guest.send(&mut user, &mut own, b"mine");
    side.run();
    assert_eq!(side.sent().len(), 1);
    // A handle that was given once is no offence; another's connection is.
    let stale = side.guest.claim(&End::A.tuple(2));
    let (status, ..) = side.guest.command(admin::RELEASE, stale, &0u8, 0);
    assert_eq!(status, 0);
    side.guest.push(&mut user, &simple(command::POST, stale, 0));
    side.guest.run();
    let flags = |side: &Side| side.guest.read::<QueueStatus>(user.status).flags.get();
    assert_eq!(flags(&side) & QUEUE_STOPPED, 0);
    let foreign = simple(command::POST, side.connection.handle, 0);
    let mut queue = user;
    side.guest.push(&mut queue, &foreign);
    side.guest.run();
    let status: QueueStatus = side.guest.read(user.status);
    assert_eq!(status.error.get(), Error::Permission as u32);
    assert_eq!(flags(&side) & QUEUE_STOPPED, QUEUE_STOPPED);
    // The other context goes on.
    side.send(b"alive");
    side.run();
    assert_eq!(side.sent().len(), 1);
    assert_eq!(side.connection.stopped, None);
}

fn user_context__does_not_do_what_is_the_control_planes() {
    for (op, flags) in [
        (command::SET_CWND, 0),
        (command::SET_PATH, 0),
        (command::RESET, 0),
        (command::WATCH, 0),
        (command::POST, post::RETRANSMIT),
        (command::POST, post::KEEPALIVE),
    ] {
        let mut guest = Guest::enabled();
        let mut user = guest.create_context(0, 0);
        let handle = guest.claim(&End::A.tuple(0));
        guest.install(handle, End::A.state(0, 0));
        let mut bad = simple(op, handle, 0);
        bad.flags = flags;
        guest.push(&mut user, &bad);
        guest.run();
        let status: QueueStatus = guest.read(user.status);
        assert_eq!(status.error.get(), Error::Permission as u32, "{op}");
    }
}

fn notifications__wait_for_room_and_become_one() {
    let (mut a, mut b) = pair();
    // Fences fill b's ring.
    for n in 0..guest::ENTRIES {
        b.guest.push(&mut b.queue, &simple(command::FENCE, 0, n));
        b.guest.run();
    }
    for _ in 0..3 {
        a.send(&bytes(1000, 0));
        a.run();
        b.arrive(a.sent());
        b.guest.run();
        a.arrive(b.sent());
    }
    let fences: Vec<Notification> = b.guest.notifications(&mut b.queue);
    assert!(fences.iter().all(|fence| fence.kind == notify::FENCE));
    assert_eq!(fences.len(), guest::ENTRIES as usize);
    b.guest.run();
    let rest = b.guest.notifications(&mut b.queue);
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].rx_tail.get(), 3000);
}

fn notifications__wait_for_their_own_ring_only() {
    let (mut a, mut b) = pair();
    let mut other = b.guest.create_context(1, CONTEXT_PRIVILEGED);
    let handle = b.guest.claim(&End::B.tuple(1));
    b.guest.install(handle, End::B.state(1, 1));
    let from = a.guest.claim(&End::A.tuple(1));
    let mut from = a.guest.install(from, End::A.state(1, 0));
    for n in 0..guest::ENTRIES {
        b.guest.push(&mut b.queue, &simple(command::FENCE, 0, n));
        b.guest.run();
    }
    a.send(b"waits");
    a.guest.send(&mut a.queue, &mut from, b"does not");
    a.guest.run();
    b.arrive(a.sent());
    b.guest.run();
    let told = b.guest.notifications(&mut other);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].connection.get(), handle);
    let fences = b.guest.notifications(&mut b.queue);
    assert_eq!(fences.len(), guest::ENTRIES as usize);
    b.guest.run();
    let told = b.guest.notifications(&mut b.queue);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].connection.get(), b.connection.handle);
}

fn punt__a_reset_is_the_hosts_to_judge() {
    let (mut a, mut b) = pair();
    a.guest.push(
        &mut a.queue,
        &simple(command::RESET, a.connection.handle, 0),
    );
    a.run();
    b.arrive(a.sent());
    b.guest.run();
    let told = b.guest.notifications(&mut b.queue);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].kind, notify::PUNT);
    let word = |at| u32::from_le_bytes(*told[0].data[at..].first_chunk().unwrap());
    assert_eq!(word(0), word(8), "exactly RCV.NXT");
    assert_eq!(told[0].data[12] & 4, 4);
}

fn install__refuses_what_cannot_be() {
    let mut guest = Guest::enabled();
    guest.create_context(0, CONTEXT_PRIVILEGED);
    let handle = guest.claim(&End::A.tuple(0));
    let (good, _) = guest.prepare(handle, End::A.state(0, 0));
    let bad = [
        (Status::ConfigMss, {
            let mut i = good;
            i.connection.path.mss = 0.into();
            i
        }),
        (Status::ConfigRingSize, {
            let mut i = good;
            i.connection.rx_size = 12345.into();
            i
        }),
        (Status::ConfigRingFill, {
            let mut i = good;
            i.connection.tx_tail = (RING + 1).into();
            i
        }),
        (Status::ConfigSendSequence, {
            let mut i = good;
            i.connection.snd_nxt = 0.into();
            i
        }),
        (Status::ConfigReceiveWindow, {
            let mut i = good;
            i.connection.rcv_wnd = u32::MAX.into();
            i
        }),
        (Status::ConfigField, {
            let mut i = good;
            i.connection.context = 7.into();
            i
        }),
        (Status::ConfigField, {
            let mut i = good;
            i.connection.snd_scale = 15;
            i
        }),
        (Status::ConfigField, {
            let mut i = good;
            i.connection.ack_delay = 500_001.into();
            i
        }),
        (Status::ConfigField, {
            let mut i = good;
            i.connection.tuple.local_port = 1.into();
            i
        }),
        (Status::BadAddress, {
            let mut i = good;
            i.record = 0.into();
            i
        }),
        (Status::BadAddress, {
            let mut i = good;
            i.rx_pages = u64::MAX.into();
            i
        }),
        (Status::BadArgument, {
            let mut i = good;
            i.tx_page_shift = 63;
            i
        }),
        (Status::BadArgument, {
            let mut i = good;
            i.tx_page_shift = 255;
            i
        }),
    ];
    for (expected, install) in bad {
        let (status, ..) = guest.command(admin::INSTALL, handle, &install, 0);
        assert_eq!(status, expected as u32, "{install:?}");
    }
    let (status, ..) = guest.command(admin::INSTALL, handle, &good, 0);
    assert_eq!(status, 0);
    let (status, ..) = guest.command(admin::INSTALL, handle, &good, 0);
    assert_eq!(status, Status::WrongState as u32);
}

fn table__full_is_told() {
    let mut guest = Guest::new(Config {
        connections: 3,
        ..Config::default()
    });
    guest.enable(FEATURES);
    let handles: Vec<u32> = (0..3).map(|n| guest.claim(&End::A.tuple(n))).collect();
    let (status, ..) = guest.command(admin::CLAIM, 0, &End::A.tuple(3), 0);
    assert_eq!(status, Status::TableFull as u32);
    let (status, ..) = guest.command(admin::CLAIM, 0, &End::A.tuple(0), 0);
    assert_eq!(status, Status::InUse as u32);
    guest.command(admin::RELEASE, handles[1], &0u8, 0);
    assert!(!handles.contains(&guest.claim(&End::A.tuple(3))));
}
