// SPDX-License-Identifier: GPL-2.0

//! Sending what the host's own stack sends.

use super::Pair;
use crate::{
    frames::{Batch, TcpHeaders},
    host::Host,
    layout::{feature, tx, Error, TxDescriptor},
};
use datapath::wire::{ethernet, Sum};

/// What the first descriptor says of a frame.
struct Offloads {
    first: TxDescriptor,
    features: u64,
}

impl Pair {
    /// Gathers up to `budget` frames that the host has submitted; returns how many, or an error that stops the queue.
    pub fn transmit(
        &mut self,
        host: &Host,
        features: u64,
        mtu: usize,
        budget: u32,
        batch: &mut Batch,
    ) -> Result<u32, Error> {
        let mut frames = 0;
        let mut submitted = self.queue.submitted(host, &self.sq)?;
        while submitted > 0 && frames < budget {
            let Some(used) = self.gather(host, features, mtu, submitted, batch)? else {
                self.incomplete = Some(self.queue.sq_head().wrapping_add(submitted));
                break;
            };
            self.queue.done(used);
            submitted -= used;
            frames += 1;
        }
        Ok(frames)
    }

    /// Gathers one frame; returns how many descriptors it has, or nothing if some are still to come.
    fn gather(
        &mut self,
        host: &Host,
        features: u64,
        mtu: usize,
        submitted: u32,
        batch: &mut Batch,
    ) -> Result<Option<u32>, Error> {
        self.frame.clear();
        let head = self.queue.sq_head();
        let mut offloads = None;
        for used in 0..submitted {
            if used == tx::MAX_DESCRIPTORS {
                return Err(Error::Entry);
            }
            let descriptor: TxDescriptor = self.sq.read(host, head.wrapping_add(used))?;
            let flags = descriptor.flags.get();
            if flags & !tx::ALL != 0 {
                return Err(Error::Entry);
            }
            let (from, len) = (self.frame.len(), descriptor.len.get() as usize);
            if len == 0 || from + len > tx::MAX_FRAME {
                return Err(Error::Length);
            }
            self.frame.resize(from + len, 0);
            host.memory
                .read_bytes(descriptor.addr.get(), &mut self.frame[from..])?;
            let offloads = offloads.get_or_insert(Offloads {
                first: descriptor,
                features,
            });
            if flags & tx::END != 0 {
                offloads.finish(&mut self.frame, mtu, batch)?;
                return Ok(Some(used + 1));
            }
        }
        Ok(None)
    }
}

impl Offloads {
    fn has(&self, flag: u16, feature: u64) -> Result<bool, Error> {
        let set = self.first.flags.get() & flag != 0;
        if set && self.features & feature == 0 {
            return Err(Error::Entry);
        }
        Ok(set)
    }

    /// Does to a frame what its descriptor asks for, and adds what comes of it to `batch`.
    fn finish(&self, frame: &mut Vec<u8>, mtu: usize, batch: &mut Batch) -> Result<(), Error> {
        if frame.len() < ethernet::HEADER_LEN {
            return Err(Error::Length);
        }
        let csum = self.has(tx::CSUM, feature::TX_CSUM)?;
        let tso = self.has(tx::TSO, feature::TSO)?;
        let vlan = self.has(tx::VLAN, feature::VLAN_OFFLOAD)?;
        if tso {
            if !csum {
                return Err(Error::Entry);
            }
            self.cut(frame, vlan, mtu, batch)
        } else {
            if csum {
                self.checksum(frame)?;
            }
            if vlan {
                self.insert_tag(frame);
            }
            if frame.len() > mtu + ethernet::HEADER_LEN + ethernet::VLAN_LEN {
                return Err(Error::Length);
            }
            batch.push(frame);
            Ok(())
        }
    }

    /// Completes the checksum that the host has begun.
    fn checksum(&self, frame: &mut [u8]) -> Result<(), Error> {
        let start = usize::from(self.first.csum_start.get());
        let at = start + usize::from(self.first.csum_offset.get());
        let sum = Sum::of(frame.get(start..).ok_or(Error::Length)?);
        let place = frame.get_mut(at..at + 2).ok_or(Error::Length)?;
        let checksum = sum.checksum();
        // In UDP zero says that there is none; in other protocols both are the same.
        place.copy_from_slice(&if checksum == [0, 0] {
            [0xff, 0xff]
        } else {
            checksum
        });
        Ok(())
    }

    fn cut(
        &self,
        frame: &mut Vec<u8>,
        vlan: bool,
        mtu: usize,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let header_len = usize::from(self.first.header_len.get());
        let mss = usize::from(self.first.mss.get());
        let headers = TcpHeaders::find(frame).ok_or(Error::Entry)?;
        if headers.payload != header_len {
            return Err(Error::Entry);
        }
        if mss == 0 || header_len - headers.network + mss > mtu {
            return Err(Error::Length);
        }
        if vlan {
            self.insert_tag(frame);
        }
        let headers = TcpHeaders::find(frame).ok_or(Error::Entry)?;
        headers.cut(frame, mss, batch);
        Ok(())
    }

    fn insert_tag(&self, frame: &mut Vec<u8>) {
        let [t0, t1] = ethernet::TYPE_VLAN.to_be_bytes();
        let [v0, v1] = self.first.vlan_tci.get().to_be_bytes();
        frame.splice(12..12, [t0, t1, v0, v1]);
    }
}
