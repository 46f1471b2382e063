// SPDX-License-Identifier: GPL-2.0

//! Handing frames that no connection takes to the host's own stack.

use super::{
    steer::{Digest, Verified},
    Pair,
};
use crate::{
    host::Host,
    layout::{rx, Error, RxBuffer, RxCompletion},
};

impl Pair {
    /// Writes a frame to the buffers the host has posted; `false` if there are too few.
    pub fn receive(
        &mut self,
        host: &Host,
        frame: &[u8],
        tag: Option<u16>,
        digest: &Digest,
    ) -> Result<bool, Error> {
        let posted = self.queue.posted(host, &self.rq, self.rq_head)?;
        let most = posted.min(self.queue.room(host, &self.cq)?);
        let mut buffers = Vec::new();
        let mut room = 0;
        while room < frame.len() {
            if buffers.len() as u32 == most {
                return Ok(false);
            }
            let index = self.rq_head.wrapping_add(buffers.len() as u32);
            let buffer: RxBuffer = self.rq.read(host, index)?;
            if buffer.len.get() == 0 {
                return Err(Error::Length);
            }
            room += buffer.len.get() as usize;
            buffers.push(buffer);
        }
        let mut rest = frame;
        let count = buffers.len();
        for (n, buffer) in buffers.into_iter().enumerate() {
            let (part, after) = rest.split_at(rest.len().min(buffer.len.get() as usize));
            rest = after;
            host.memory.write_bytes(buffer.addr.get(), part)?;
            let mut done = RxCompletion::zeroed();
            let mut flags = if n + 1 == count { rx::END } else { 0 };
            done.len = (part.len() as u32).into();
            if n == 0 {
                done.hash = digest.hash.into();
                done.hash_kind = digest.kind;
                flags |= match digest.checksum {
                    Verified::Right => rx::CSUM_OK,
                    Verified::Wrong => rx::CSUM_BAD,
                    Verified::Unknown => 0,
                };
                if let Some(tci) = tag {
                    done.vlan_tci = tci.into();
                    flags |= rx::VLAN;
                }
            }
            done.flags = flags.into();
            self.rq_head = self.rq_head.wrapping_add(1);
            self.queue.complete(host, &self.cq, done)?;
        }
        Ok(true)
    }
}
