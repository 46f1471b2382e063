// SPDX-License-Identifier: GPL-2.0

//! A port in memory, for tests and for a NIC that is connected to nothing.

use super::EtherPort;
use std::{
    collections::VecDeque,
    io,
    os::fd::BorrowedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Frames under way.
#[derive(Default)]
pub struct Frames {
    /// To the NIC.
    pub arriving: VecDeque<Vec<u8>>,
    /// From the NIC.
    pub sent: Vec<Vec<u8>>,
}

/// The port.
#[derive(Clone, Default)]
pub struct MemoryPort(Arc<Mutex<Frames>>);

impl MemoryPort {
    /// The frames.
    pub fn frames(&self) -> MutexGuard<'_, Frames> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EtherPort for MemoryPort {
    fn receive(&mut self, frame: &mut [u8]) -> io::Result<Option<usize>> {
        let Some(arrived) = self.frames().arriving.pop_front() else {
            return Ok(None);
        };
        let len = arrived.len().min(frame.len());
        frame[..len].copy_from_slice(&arrived[..len]);
        Ok(Some(len))
    }

    fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        self.frames().sent.push(frame.to_vec());
        Ok(())
    }

    fn readable(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn is_up(&mut self) -> bool {
        true
    }
}

/// A port with no other side.
pub struct NoPort;

impl EtherPort for NoPort {
    fn receive(&mut self, _: &mut [u8]) -> io::Result<Option<usize>> {
        Ok(None)
    }

    fn send(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn readable(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn is_up(&mut self) -> bool {
        false
    }
}
