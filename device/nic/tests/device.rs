// SPDX-License-Identifier: GPL-2.0

//! Registers, the admin queue, raw-frame queue pairs.

#![allow(non_snake_case)]

mod guest;

use guest::{Guest, Queue, ENTRIES};
use toe_nic::{
    device::{Config, Fault, FEATURES},
    layout::{
        admin, control, doorbell, feature, reg, rx, rx_mode, stat, status, tx, AdminCommand, Error,
        QueueStatus, RxBuffer, RxCompletion, Status, TxDescriptor, MAGIC, QUEUE_NEED_KICK,
        QUEUE_STOPPED,
    },
};

over_executors! {
    registers__identity_and_limits
    enable__refuses_what_it_cannot
    admin__answers_in_order_for_ever
    admin__impossible_tail_stops_the_device
    transmit__gathers_a_frame
    transmit__inserts_a_tag
    transmit__bad_descriptors_stop_their_queue_only
    receive__fills_buffers_in_order
    receive__filters_addresses
    sleep__asks_to_be_kicked_unless_there_is_work
    reset__leaves_memory_alone
    sleep__not_kept_from_by_half_a_frame
    fault__a_device_that_hangs_is_mended_by_a_reset
    fault__a_device_that_is_gone_reads_as_ones
}

const OWN: [u8; 6] = [2, 0x74, 0x6f, 0x65, 0, 1];

fn frame_to(destination: [u8; 6], len: usize) -> Vec<u8> {
    let mut frame = destination.to_vec();
    frame.extend([2, 0, 0, 0, 0, 9, 0x88, 0xb5]);
    frame.extend((frame.len()..len).map(|n| n as u8));
    frame
}

fn descriptor(addr: u64, len: usize, flags: u16) -> TxDescriptor {
    let mut descriptor = TxDescriptor::zeroed();
    descriptor.addr = addr.into();
    descriptor.len = (len as u32).into();
    descriptor.flags = flags.into();
    descriptor
}

fn post_buffers(guest: &mut Guest, pair: &mut Queue, count: u32, len: u32) -> Vec<u64> {
    let mut addresses = Vec::new();
    for _ in 0..count {
        let addr = guest.alloc(u64::from(len));
        let mut buffer = RxBuffer::zeroed();
        buffer.addr = addr.into();
        buffer.len = len.into();
        guest.write(pair.rq + u64::from(pair.rq_tail % ENTRIES) * 16, &buffer);
        pair.rq_tail += 1;
        addresses.push(addr);
    }
    guest.ring_doorbell(pair.number, doorbell::RQ_TAIL, pair.rq_tail);
    addresses
}

fn stopped(guest: &Guest, queue: &Queue) -> Option<u32> {
    let status: QueueStatus = guest.read(queue.status);
    (status.flags.get() & QUEUE_STOPPED != 0).then_some(status.error.get())
}

fn registers__identity_and_limits() {
    let mut guest = Guest::new(Config::default());
    let nic = &mut guest.nic;
    assert_eq!(nic.read_register(reg::MAGIC), MAGIC);
    assert_eq!(nic.read_register(reg::MAC_LO), 0x656f_7402);
    assert_eq!(nic.read_register(reg::MAC_HI), 0x0100);
    assert_eq!(nic.read_register(0x0ffc), u32::MAX);
    assert_eq!(nic.read_register(reg::STATUS), status::LINK);
}

fn enable__refuses_what_it_cannot() {
    let mut guest = Guest::new(Config::default());
    guest.enable(FEATURES | feature::RMT);
    assert_eq!(guest.status() & status::FAILED, status::FAILED);
    assert_eq!(guest.nic.read_register(reg::ERROR), Error::Features as u32);
    guest.nic.write_register(reg::CONTROL, control::RESET);
    assert_eq!(guest.status() & status::FAILED, 0);

    guest.nic.write_register(reg::VERSION_USED, 2 << 16);
    guest.nic.write_register(reg::CONTROL, control::ENABLE);
    assert_eq!(guest.nic.read_register(reg::ERROR), Error::Version as u32);

    guest.nic.write_register(reg::CONTROL, control::RESET);
    guest.nic.host.memory.set_bus_master(false);
    guest.nic.write_register(reg::VERSION_USED, 1 << 16);
    guest.set_address(reg::FEATURES_USED_LO, FEATURES);
    guest.nic.write_register(reg::CONTROL, control::ENABLE);
    assert_eq!(
        guest.nic.read_register(reg::ERROR),
        Error::AdminQueue as u32
    );
}

fn admin__answers_in_order_for_ever() {
    let mut guest = Guest::enabled();
    for _ in 0..5 * ENTRIES {
        let done = guest.submit(AdminCommand::zeroed());
        assert_eq!(done.status.get(), Status::Ok as u32);
    }
    let (refused, ..) = guest.command(0x7f, 0, &0u8, 0);
    assert_eq!(refused, Status::BadOp as u32);
    // The link's coming up was told.
    assert_eq!(guest.events.len(), 1);
}

fn admin__impossible_tail_stops_the_device() {
    let mut guest = Guest::enabled();
    guest.ring_doorbell(0, doorbell::SQ_TAIL, ENTRIES + 1);
    guest.run();
    assert_eq!(guest.status() & status::READY, 0);
    assert_eq!(
        guest.nic.read_register(reg::ERROR),
        Error::AdminQueue as u32
    );
    assert_eq!(guest.nic.read_register(reg::ERROR_INFO), Error::Tail as u32);
    guest.nic.write_register(reg::CONTROL, control::RESET);
    guest.enable(FEATURES);
    assert_eq!(guest.status() & status::READY, status::READY);
}

fn transmit__gathers_a_frame() {
    let mut guest = Guest::enabled();
    let mut pair = guest.create_pair(0);
    let frame = frame_to([2; 6], 100);
    let buffer = guest.alloc(100);
    guest.write_bytes(buffer, &frame);
    guest.push(&mut pair, &descriptor(buffer, 30, 0));
    guest.run();
    assert!(guest.port.frames().sent.is_empty());
    guest.push(&mut pair, &descriptor(buffer + 30, 70, tx::END));
    guest.run();
    assert_eq!(guest.port.frames().sent, [frame]);
    let status: QueueStatus = guest.read(pair.status);
    assert_eq!(status.sq_head.get(), 2);
}

fn transmit__inserts_a_tag() {
    let mut guest = Guest::enabled();
    let mut pair = guest.create_pair(0);
    let frame = frame_to([2; 6], 60);
    let buffer = guest.alloc(60);
    guest.write_bytes(buffer, &frame);
    let mut first = descriptor(buffer, 60, tx::END | tx::VLAN);
    first.vlan_tci = 0x6123.into();
    guest.push(&mut pair, &first);
    guest.run();
    let sent = guest.port.frames().sent.remove(0);
    assert_eq!(&sent[..12], &frame[..12]);
    assert_eq!(&sent[12..16], &[0x81, 0x00, 0x61, 0x23]);
    assert_eq!(&sent[16..], &frame[12..]);
}

fn transmit__bad_descriptors_stop_their_queue_only() {
    let bad = [
        (descriptor(64, 60, tx::END), Error::Address),
        (descriptor(u64::MAX - 8, 60, tx::END), Error::Address),
        (descriptor(guest::BASE, 0, tx::END), Error::Length),
        (descriptor(guest::BASE, 8, tx::END), Error::Length),
        (descriptor(guest::BASE, 1 << 30, tx::END), Error::Length),
        (descriptor(guest::BASE, 20_000, tx::END), Error::Length),
        (descriptor(guest::BASE, 60, 0x80 | tx::END), Error::Entry),
        (descriptor(guest::BASE, 60, tx::TSO | tx::END), Error::Entry),
    ];
    for (descriptor, error) in bad {
        let mut guest = Guest::enabled();
        let mut pair = guest.create_pair(0);
        let other = guest.create_pair(1);
        guest.push(&mut pair, &descriptor);
        guest.run();
        assert_eq!(stopped(&guest, &pair), Some(error as u32), "{descriptor:?}");
        assert_eq!(stopped(&guest, &other), None);
        assert_eq!(guest.submit(AdminCommand::zeroed()).status.get(), 0);
        let event = guest.events.last().unwrap();
        assert_eq!(event.value[0].get(), pair.number);
        assert_eq!(event.value[1].get(), error as u32);
        // It can be made again.
        let (status, ..) = guest.command(admin::DESTROY_PAIR, 0, &0u8, 0);
        assert_eq!(status, 0);
        guest.ring_doorbell(pair.number, doorbell::SQ_TAIL, 0);
        let again = guest.create_pair(0);
        guest.run();
        assert_eq!(stopped(&guest, &again), None);
    }
}

fn receive__fills_buffers_in_order() {
    let mut guest = Guest::enabled();
    let mut pair = guest.create_pair(0);
    let buffers = post_buffers(&mut guest, &mut pair, 3, 128);
    let frames = [
        frame_to(OWN, 60),
        frame_to([0xff; 6], 200),
        frame_to(OWN, 60),
    ];
    guest.port.frames().arriving.extend(frames.iter().cloned());
    guest.run();
    let done: Vec<RxCompletion> = guest.completions(&mut pair);
    let lens: Vec<_> = done.iter().map(|done| done.len.get()).collect();
    assert_eq!(lens, [60, 128, 72]);
    let ends: Vec<_> = done.iter().map(|done| done.flags.get() & rx::END).collect();
    assert_eq!(ends, [rx::END, 0, rx::END]);
    assert_eq!(guest.read_bytes(buffers[0], 60), frames[0]);
    let second = [
        guest.read_bytes(buffers[1], 128),
        guest.read_bytes(buffers[2], 72),
    ];
    assert_eq!(second.concat(), frames[1]);
    // There was no buffer for the third.
    assert_eq!(guest.nic.statistics()[stat::RX_NO_BUFFER], 1);
    post_buffers(&mut guest, &mut pair, 1, 128);
    guest.port.frames().arriving.push_back(frames[2].clone());
    guest.run();
    assert_eq!(guest.completions::<RxCompletion>(&mut pair).len(), 1);
}

fn receive__filters_addresses() {
    let mut guest = Guest::enabled();
    let mut pair = guest.create_pair(0);
    post_buffers(&mut guest, &mut pair, 4, 128);
    let other = frame_to([2, 9, 9, 9, 9, 9], 60);
    guest.port.frames().arriving.push_back(other.clone());
    guest.run();
    assert!(guest.completions::<RxCompletion>(&mut pair).is_empty());
    let mut command = AdminCommand::zeroed();
    command.op = admin::SET_RX_MODE;
    command.arg[0] = rx_mode::PROMISCUOUS.into();
    assert_eq!(guest.submit(command).status.get(), 0);
    guest.port.frames().arriving.push_back(other);
    guest.run();
    assert_eq!(guest.completions::<RxCompletion>(&mut pair).len(), 1);
}

fn sleep__asks_to_be_kicked_unless_there_is_work() {
    let mut guest = Guest::enabled();
    let mut pair = guest.create_pair(0);
    assert!(guest.nic.prepare_sleep());
    let flags = |guest: &Guest| guest.read::<QueueStatus>(pair.status).flags.get();
    assert_eq!(flags(&guest), QUEUE_NEED_KICK);
    guest.nic.wake();
    assert_eq!(flags(&guest), 0);
    let buffer = guest.alloc(64);
    let mut queue = pair;
    guest.push(&mut queue, &descriptor(buffer, 60, tx::END));
    assert!(!guest.nic.prepare_sleep());
    assert_eq!(flags(&guest), 0);
    pair = queue;
    guest.run();
    assert_eq!(guest.read::<QueueStatus>(pair.status).sq_head.get(), 1);
}

fn reset__leaves_memory_alone() {
    let mut guest = Guest::enabled();
    let mut pair = guest.create_pair(0);
    post_buffers(&mut guest, &mut pair, 4, 128);
    guest.nic.write_register(reg::CONTROL, control::RESET);
    guest.port.frames().arriving.push_back(frame_to(OWN, 60));
    guest.run();
    assert!(guest.completions::<RxCompletion>(&mut pair).is_empty());
    assert_eq!(guest.status() & status::READY, 0);
}

fn sleep__not_kept_from_by_half_a_frame() {
    let mut guest = Guest::enabled();
    let mut pair = guest.create_pair(0);
    let buffer = guest.alloc(64);
    guest.push(&mut pair, &descriptor(buffer, 30, 0));
    guest.run();
    assert!(guest.nic.prepare_sleep());
    guest.push(&mut pair, &descriptor(buffer, 30, tx::END));
    assert!(!guest.nic.prepare_sleep());
}

fn fault__a_device_that_hangs_is_mended_by_a_reset() {
    let mut guest = Guest::enabled();
    let mut pair = guest.create_pair(0);
    let buffer = guest.alloc(64);
    guest.nic.set_fault(Fault::Hang);
    guest.push(&mut pair, &descriptor(buffer, 60, tx::END));
    guest.run();
    assert_eq!(guest.read::<QueueStatus>(pair.status).sq_head.get(), 0);
    assert_eq!(guest.status() & status::READY, status::READY);
    guest.nic.write_register(reg::CONTROL, control::RESET);
    guest.enable(FEATURES);
    assert_eq!(guest.submit(AdminCommand::zeroed()).status.get(), 0);
}

fn fault__a_device_that_is_gone_reads_as_ones() {
    let mut guest = Guest::enabled();
    guest.nic.set_fault(Fault::Gone);
    assert_eq!(guest.nic.read_register(reg::MAGIC), u32::MAX);
    guest.nic.write_register(reg::CONTROL, control::RESET);
    assert_eq!(guest.status(), u32::MAX);
    guest.nic.set_fault(Fault::None);
    assert_eq!(guest.nic.read_register(reg::MAGIC), MAGIC);
    assert_eq!(guest.status() & status::READY, 0);
}
