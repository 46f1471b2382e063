// SPDX-License-Identifier: GPL-2.0

//! Jumbo frames: packets of 9000 bytes, raw and of connections.

#![allow(non_snake_case)]

mod guest;

use guest::{
    connection::{End, RING},
    side::{bytes, settle, Side},
    Guest, ENTRIES,
};
use toe_nic::{
    layout::{
        admin, doorbell, post, reg, rx, stat, tx, AdminCommand, QueueStatus, RxBuffer,
        RxCompletion, Status, TxDescriptor, QUEUE_STOPPED,
    },
    port::MAX_FRAME,
};

over_executors! {
    set_mtu__up_to_what_the_register_says
    transmit__a_frame_of_pages
    receive__in_one_buffer_or_in_several
    connection__segments_of_8960_bytes
}

const MTU: usize = 9000;
/// The longest frame there is: with a tag.
const FRAME: usize = MTU + 14 + 4;

fn set_mtu(guest: &mut Guest, mtu: usize) -> u32 {
    let mut command = AdminCommand::zeroed();
    command.op = admin::SET_MTU;
    command.arg[0] = (mtu as u32).into();
    guest.submit(command).status.get()
}

fn frame(len: usize) -> Vec<u8> {
    let mut frame = End::A.address().to_vec();
    frame.extend([2, 0, 0, 0, 0, 9, 0x88, 0xb5]);
    frame.extend((frame.len()..len).map(|n| (n % 251) as u8));
    frame
}

fn set_mtu__up_to_what_the_register_says() {
    let mut guest = Guest::enabled();
    assert_eq!(guest.nic.read_register(reg::MAX_MTU), MTU as u32);
    for mtu in [68, 1500, MTU] {
        assert_eq!(set_mtu(&mut guest, mtu), 0, "{mtu}");
    }
    for mtu in [0, 67, MTU + 1, u32::MAX as usize] {
        assert_eq!(
            set_mtu(&mut guest, mtu),
            Status::BadArgument as u32,
            "{mtu}"
        );
    }
}

fn transmit__a_frame_of_pages() {
    let mut guest = Guest::enabled();
    let mut pair = guest.create_pair(0);
    let frame = frame(FRAME);
    let buffer = guest.alloc(FRAME as u64);
    guest.write_bytes(buffer, &frame);
    for (n, part) in frame.chunks(4096).enumerate() {
        let mut descriptor = TxDescriptor::zeroed();
        descriptor.addr = (buffer + n as u64 * 4096).into();
        descriptor.len = (part.len() as u32).into();
        descriptor.flags = if part.len() < 4096 { tx::END } else { 0 }.into();
        guest.push(&mut pair, &descriptor);
    }
    guest.run();
    assert!(guest.port.frames().sent == [frame]);
    // One byte more than the MTU allows stops the queue.
    assert_eq!(set_mtu(&mut guest, MTU - 1), 0);
    let mut descriptor = TxDescriptor::zeroed();
    descriptor.addr = buffer.into();
    descriptor.len = (FRAME as u32).into();
    descriptor.flags = tx::END.into();
    guest.push(&mut pair, &descriptor);
    guest.run();
    let status: QueueStatus = guest.read(pair.status);
    assert_eq!(status.flags.get() & QUEUE_STOPPED, QUEUE_STOPPED);
}

fn receive__in_one_buffer_or_in_several() {
    let frame = frame(FRAME);
    for (len, count) in [(MAX_FRAME, 1), (2048, 5)] {
        let mut guest = Guest::enabled();
        let mut pair = guest.create_pair(0);
        let mut buffers = Vec::new();
        for n in 0..2 * count {
            let mut buffer = RxBuffer::zeroed();
            buffers.push(guest.alloc(len as u64));
            buffer.addr = buffers[n].into();
            buffer.len = (len as u32).into();
            guest.write(pair.rq + (n as u64 % u64::from(ENTRIES)) * 16, &buffer);
        }
        guest.ring_doorbell(pair.number, doorbell::RQ_TAIL, 2 * count as u32);
        let too_long = vec![0xff; MAX_FRAME + 1];
        let frames = [frame.clone(), too_long, frame.clone(), frame.clone()];
        guest.port.frames().arriving.extend(frames);
        guest.run();
        let done = guest.completions::<RxCompletion>(&mut pair);
        assert_eq!(done.len(), 2 * count);
        for (n, done) in done.chunks(count).enumerate() {
            let parts = done.iter().zip(&buffers[n * count..]);
            let parts: Vec<_> = parts
                .map(|(done, at)| guest.read_bytes(*at, done.len.get() as usize))
                .collect();
            assert!(parts.concat() == frame);
            assert_eq!(done.last().unwrap().flags.get() & rx::END, rx::END);
        }
        let stats = guest.nic.statistics();
        assert_eq!(
            (stat::RX_ERRORS, stats[stat::RX_ERRORS]),
            (stat::RX_ERRORS, 1)
        );
        assert_eq!(stats[stat::RX_NO_BUFFER], 1);
        let drops: Vec<_> = guest.nic.drops().filter(|(_, count)| *count > 0).collect();
        assert_eq!(drops, [("too-long", 1), ("no-buffer", 1)]);
    }
}

fn connection__segments_of_8960_bytes() {
    let mss = MTU - 40;
    let side = |end: End| {
        let mut state = end.state(0, 0);
        // 12 bytes are timestamps.
        state.path.mss = (mss as u16 - 12).into();
        Side::with(end, state)
    };
    let (mut a, mut b) = (side(End::A), side(End::B));
    let sent = bytes(RING as usize, 1);
    a.send(&sent);
    a.run();
    let frames = a.sent();
    assert_eq!(frames.iter().map(Vec::len).max(), Some(14 + MTU));
    assert_eq!(frames.len(), sent.len().div_ceil(mss - 12));
    b.arrive(frames);
    settle(&mut a, &mut b);
    b.post(post::ACK_NOW);
    settle(&mut a, &mut b);
    assert!(b.receive() == sent);
    assert_eq!(a.connection.tx_head, a.connection.tx_tail);
}
