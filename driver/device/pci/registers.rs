// SPDX-License-Identifier: GPL-2.0
//! The NIC's registers and doorbell pages.

use crate::net::{
    compat::DevresBar,
    device_abi::{self as abi, reg, Doorbell, PAGE_SIZE},
    dma::full_barrier,
};
use core::mem::offset_of;
use kernel::{
    device::Bound,
    io::{poll::read_poll_timeout, Io},
    pci,
    prelude::*,
    time::Delta,
};

/// A queue's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QueueNumber(pub(super) u32);

impl QueueNumber {
    /// The admin queue.
    pub(super) const ADMIN: Self = Self(abi::QUEUE_ADMIN);
}

/// What a queue that is to be created is armed with to interrupt for nothing: the index before the first.
pub(super) const NO_INTERRUPT: u32 = u32::MAX;

/// What the host writes to a queue's doorbell page.
#[derive(Clone, Copy)]
pub(super) enum Bell {
    /// End of the entries to be executed.
    SubmissionTail,
    /// Interrupt when this one is done.
    SubmissionArm,
    /// First completion not consumed.
    CompletionHead,
    /// Interrupt when this one is written.
    CompletionArm,
    /// End of the buffers posted.
    BufferTail,
}

impl Bell {
    const fn offset(self) -> usize {
        match self {
            Self::SubmissionTail => offset_of!(Doorbell, sq_tail),
            Self::SubmissionArm => offset_of!(Doorbell, sq_arm),
            Self::CompletionHead => offset_of!(Doorbell, cq_head),
            Self::CompletionArm => offset_of!(Doorbell, cq_arm),
            Self::BufferTail => offset_of!(Doorbell, rq_tail),
        }
    }
}

/// Both BARs. Once the device is gone, registers read as all ones and writes do nothing.
pub(super) struct Registers {
    registers: DevresBar,
    doorbells: DevresBar,
}

impl Registers {
    /// Maps the BARs of `dev`.
    pub(super) fn new(dev: &pci::Device<Bound>) -> Result<Self> {
        let map = |bar| dev.iomap_region(bar, c"toe")?.into_devres();
        Ok(Self {
            registers: map(abi::BAR_REGISTERS)?,
            doorbells: map(abi::BAR_DOORBELLS)?,
        })
    }

    /// The register at `offset`; all ones if there is none.
    pub(super) fn read(&self, offset: usize) -> u32 {
        self.registers
            .try_access()
            .and_then(|bar| bar.try_read32(offset).ok())
            .unwrap_or(u32::MAX)
    }

    /// The two registers at `offset`.
    pub(super) fn read64(&self, offset: usize) -> u64 {
        u64::from(self.read(offset)) | u64::from(self.read(offset + 4)) << 32
    }

    pub(super) fn write(&self, offset: usize, value: u32) {
        if let Some(bar) = self.registers.try_access() {
            // A write beyond a BAR that is too short is as good as one to a device that is gone.
            let _ = bar.try_write32(value, offset);
        }
    }

    /// Writes the two registers at `offset`.
    pub(super) fn write64(&self, offset: usize, value: u64) {
        self.write(offset, value as u32);
        self.write(offset + 4, (value >> 32) as u32);
    }

    /// Writes to a queue's doorbell page; what was written to memory before is visible before.
    #[inline]
    pub(super) fn ring(&self, queue: QueueNumber, bell: Bell, value: u32) {
        if let Some(bar) = self.doorbells.try_access() {
            let _ = bar.try_write32(value, queue.0 as usize * PAGE_SIZE + bell.offset());
        }
    }

    /// As [`ring`](Self::ring), for two at once, in order.
    #[inline]
    pub(super) fn ring_both(&self, queue: QueueNumber, bells: [Bell; 2], value: u32) {
        if let Some(bar) = self.doorbells.try_access() {
            for bell in bells {
                let _ = bar.try_write32(value, queue.0 as usize * PAGE_SIZE + bell.offset());
            }
        }
    }

    /// Has the device look at a queue's doorbell page, if `asleep` says that it may not.
    #[inline]
    pub(super) fn kick(&self, queue: QueueNumber, asleep: impl FnOnce() -> bool) {
        full_barrier();
        if asleep() {
            self.write((1 + queue.0 as usize) * PAGE_SIZE, 1);
        }
    }

    /// Resets the device and waits until it has; `EIO` if it doesn't.
    pub(super) fn reset(&self) -> Result {
        self.write(reg::CONTROL, abi::CONTROL_RESET);
        self.wait(|status| status & abi::STATUS_RESETTING == 0)
            .map(|_| ())
    }

    /// Waits until the status is as `right` wants it; returns it. `EIO` if that doesn't happen in time.
    pub(super) fn wait(&self, right: impl Fn(u32) -> bool) -> Result<u32> {
        let status = || match self.read(reg::STATUS) {
            u32::MAX => Err(EIO),
            status => Ok(status),
        };
        let (step, limit) = (Delta::from_millis(1), Delta::from_secs(2));
        read_poll_timeout(status, |&status| right(status), step, limit).map_err(|_| EIO)
    }
}
