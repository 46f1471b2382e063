// SPDX-License-Identifier: GPL-2.0

//! Connections, and how to find the one a segment belongs to.

use crate::nic::ConnId;
use datapath::npu::{PostState, PreState};
use datapath::wire::FourTuple;
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

/// The parts of a connection's state that several threads share. The protocol stage has its own part to itself.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) id: ConnId,
    /// The flow-group.
    pub(crate) group: usize,
    /// The tag of its frames when it was installed, which says its VLAN.
    pub(crate) tag: Option<u16>,
    /// Written by the control plane.
    pub(crate) pre: RwLock<PreState>,
    /// Written by the post-processing stage, whose updates commute.
    pub(crate) post: Mutex<PostState>,
}

/// The low bits of a tag are the VLAN; the others its priority.
const VLAN: u16 = 0xfff;

/// What a connection is found by: 4-tuple and VLAN, with the tuple's hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Key {
    tuple: FourTuple,
    vlan: Option<u16>,
    hash: u32,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u32(self.hash);
    }
}

/// Spreads a hash over 64 bits.
#[derive(Clone, Copy, Default, Debug)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(u32::from(byte));
        }
    }

    fn write_u32(&mut self, n: u32) {
        self.0 = (self.0 ^ u64::from(n)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// Connections by 4-tuple and VLAN.
#[derive(Debug)]
pub(crate) struct Table {
    seed: u64,
    map: HashMap<Key, Arc<Conn>, BuildHasherDefault<Spread>>,
}

impl Table {
    /// An empty table; its hashes can't be foreseen without `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            map: HashMap::default(),
        }
    }

    /// The connection of a frame with this tag.
    pub(crate) fn get(&self, tuple: &FourTuple, tag: Option<u16>) -> Option<&Arc<Conn>> {
        self.map.get(&self.key(tuple, tag))
    }

    /// Adds a connection, in place of one of the same 4-tuple and VLAN.
    pub(crate) fn insert(&mut self, conn: Arc<Conn>) {
        let key = self.key_of(&conn);
        self.map.insert(key, conn);
    }

    /// Removes a connection, if it is here.
    pub(crate) fn remove(&mut self, conn: &Conn) {
        self.map.remove(&self.key_of(conn));
    }

    fn key_of(&self, conn: &Conn) -> Key {
        let pre = conn.pre.read();
        self.key(pre.tuple(), conn.tag)
    }

    fn key(&self, tuple: &FourTuple, tag: Option<u16>) -> Key {
        Key {
            tuple: *tuple,
            vlan: tag.map(|tag| tag & VLAN),
            hash: tuple.hash(self.seed),
        }
    }
}
