// SPDX-License-Identifier: GPL-2.0

//! A device that answers nonsense.

#![allow(non_snake_case)]

mod guest;

use guest::{
    connection::End,
    side::{bytes, Side},
};
use toe_nic::{
    device::Fault,
    layout::{control, reg, status, RecordCopy},
};

over_executors! {
    record__can_always_be_read
    reset__ends_it
}

/// Whether one of a record's copies is whole and says what was received.
fn recorded(side: &Side, received: u32, rcv_nxt: u32) -> bool {
    (0..2)
        .map(|n| {
            side.guest
                .read::<RecordCopy>(side.connection.record + n * 128)
        })
        .filter(|copy| copy.begin == copy.end)
        .any(|copy| copy.rx_tail.get() == received && copy.rcv_nxt.get() == rcv_nxt)
}

fn record__can_always_be_read() {
    let mut told = 0;
    for seed in 0..20 {
        let (mut a, mut b) = (Side::new(End::A), Side::new(End::B));
        let begin = End::B.state(0, 0).rcv_nxt.get();
        b.guest.nic.set_fault(Fault::Nonsense { seed, one_in: 2 });
        for round in 1..20 {
            a.send(&bytes(1000, 0));
            a.run();
            b.arrive(a.sent());
            b.guest.run();
            let received = 1000 * round;
            assert!(recorded(&b, received, begin.wrapping_add(received)));
            a.arrive(b.sent());
        }
        told += b.guest.nic.host.nonsense.told();
    }
    assert!(told > 20 * 19 / 4);
}

fn reset__ends_it() {
    let mut side = Side::new(End::A);
    let nonsense = Fault::Nonsense { seed: 1, one_in: 1 };
    side.guest.nic.set_fault(nonsense);
    let right = status::READY | status::LINK;
    assert_ne!(side.guest.status() | status::LINK, right);
    side.guest.nic.write_register(reg::CONTROL, control::RESET);
    for _ in 0..100 {
        assert_eq!(side.guest.status() & !status::LINK, 0);
    }
}
