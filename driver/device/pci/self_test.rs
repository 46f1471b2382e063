// SPDX-License-Identifier: GPL-2.0
//! What the driver tests of a NIC when it is asked to.

use super::{nic::Nic, port::Port, registers::Registers, Request};
use crate::net::{
    clock::wait_until,
    device_abi::{self as abi, reg},
    netdev::Netdev,
    netdevice::Rtnl,
};
use core::ffi::CStr;
use kernel::time::Delta;

/// A test, and whether it passes.
type Test = (&'static CStr, fn(&Netdev<Port>) -> bool);

/// Tests that disturb nobody.
const ONLINE: [Test; 5] = [
    (c"registers     (online)", |dev| {
        let nic = &dev.nic;
        nic.registers.read(reg::MAGIC) == abi::MAGIC && nic.limits == nic.limits_now()
    }),
    (c"admin queue   (online)", |dev| {
        execute(&dev.nic, abi::ADMIN_NOP)
    }),
    (c"interrupt     (online)", |dev| {
        let before = dev.nic.interrupts();
        execute(&dev.nic, abi::ADMIN_NOP) && soon(|| dev.nic.interrupts() != before)
    }),
    (c"device itself (online)", |dev| {
        execute(&dev.nic, abi::ADMIN_SELF_TEST)
    }),
    (c"link          (online)", |dev| {
        dev.nic.registers.read(reg::STATUS) & abi::STATUS_LINK != 0
    }),
];

/// Names of all tests. The last ones are those that the device is reset for.
pub(super) const NAMES: [&CStr; ONLINE.len() + 2] = {
    let mut names = [c""; ONLINE.len() + 2];
    let mut i = 0;
    while i < ONLINE.len() {
        names[i] = ONLINE[i].0;
        i += 1;
    }
    names[i] = c"reset         (offline)";
    names[i + 1] = c"registers     (offline)";
    names
};

/// Runs the tests; fills in 0 for those that pass. Connections are handed back if `offline` ones are run.
pub(super) fn run(dev: &Netdev<Port>, rtnl: &Rtnl, offline: bool, results: &mut [u64]) {
    // Not what the NIC is by then.
    let (online, others) = results.split_at_mut(ONLINE.len().min(results.len()));
    for (result, (_, passes)) in online.iter_mut().zip(ONLINE) {
        *result = u64::from(!passes(dev));
    }
    if let ([reset, registers], true) = (others, offline) {
        let mut passed = false;
        let done = dev.recovery.restart(rtnl, |nic| passed = writable(nic));
        *reset = u64::from(done.is_err());
        *registers = u64::from(!passed);
    }
}

fn execute(nic: &Nic, op: u8) -> bool {
    nic.execute(Request {
        op,
        ..Request::default()
    })
    .is_ok()
}

/// Whether it `happened` within a while.
fn soon(happened: impl Fn() -> bool) -> bool {
    wait_until(Delta::from_secs(1), Delta::from_millis(1), happened)
}

/// Whether the registers of a device that is disabled keep what is written to them, each for itself.
fn writable(registers: &Registers) -> bool {
    const WRITABLE: [usize; 10] = [
        reg::FEATURES_USED_LO,
        reg::FEATURES_USED_LO + 4,
        reg::ADMIN_SQ_LO,
        reg::ADMIN_SQ_LO + 4,
        reg::ADMIN_CQ_LO,
        reg::ADMIN_CQ_LO + 4,
        reg::ADMIN_STATUS_LO,
        reg::ADMIN_STATUS_LO + 4,
        reg::ADMIN_SQ_ENTRIES,
        reg::ADMIN_CQ_ENTRIES,
    ];
    [0x5a5a_5a00, 0xa5a5_a500, 0u32].iter().all(|pattern| {
        let values = || WRITABLE.iter().zip(*pattern..);
        for (at, value) in values() {
            registers.write(*at, value);
        }
        values().all(|(at, value)| registers.read(*at) == value)
    })
}
