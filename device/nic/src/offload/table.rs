// SPDX-License-Identifier: GPL-2.0

//! Which connections there are: by handle and by tuple.

use super::{convert::Key, live::Live};
use datapath::{npu::Connection, wire::ethernet::Link};
use pipeline::ConnId;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// Bits of a handle that say where in the table; the rest counts how often that place was given.
const INDEX_BITS: u32 = 20;
const INDEX_MASK: u32 = (1 << INDEX_BITS) - 1;
/// Most connections a table can have.
pub const MAX_CONNECTIONS: u32 = 1 << INDEX_BITS;

/// Most segments held of one connection.
const MAX_HELD: usize = 64;

/// A connection that was installed, and what the host has said of it.
pub struct Flow {
    /// What is shared with the stages.
    pub live: Arc<Live>,
    /// End of what the host has posted.
    pub tx_tail: u32,
    /// End of what the host has freed.
    pub rx_head: u32,
    /// Bytes per second; 0: no limit.
    pub rate: u64,
    /// How long the device may delay acknowledgments, in microseconds; 0: the host sees to them.
    pub ack_delay: u32,
    /// The link-layer header of its segments.
    pub link: Link,
}

impl Flow {
    /// A connection that goes on from `state`.
    pub fn new(live: Arc<Live>, state: &Connection, rate: u64, ack_delay: u32) -> Self {
        let config = state.config();
        Self {
            live,
            tx_tail: config.tx.tail.0,
            rx_head: config.rx.head.0,
            rate,
            ack_delay,
            link: config.path.link,
        }
    }
}

/// How far a connection has come.
pub enum State {
    /// Segments are held.
    Claimed,
    /// Processed.
    Live(Flow),
    /// Kept, and segments are held.
    Quiesced(Flow),
}

/// A connection.
pub struct Entry {
    /// Its name.
    pub handle: u32,
    /// What it is found by.
    pub key: Key,
    /// How far it has come.
    pub state: State,
    /// Frames held.
    pub held: VecDeque<Vec<u8>>,
    /// It is listed as having something to tell.
    pub telling: bool,
}

impl Entry {
    /// What was installed, if anything.
    pub fn flow(&self) -> Option<&Flow> {
        match &self.state {
            State::Claimed => None,
            State::Live(flow) | State::Quiesced(flow) => Some(flow),
        }
    }

    /// What the stages call it.
    pub fn conn(&self) -> ConnId {
        ConnId(self.handle & INDEX_MASK)
    }

    /// Holds a frame; returns whether there was room.
    pub fn hold(&mut self, frame: &[u8]) -> bool {
        let room = self.held.len() < MAX_HELD;
        if room {
            self.held.push_back(frame.to_vec());
        }
        room
    }
}

#[derive(Default)]
struct Place {
    generation: u32,
    entry: Option<Entry>,
}

/// What a handle names.
pub enum Found<T> {
    /// A connection that is there.
    Entry(T),
    /// One that was there once.
    Stale,
    /// Nothing that was ever given.
    Never,
}

/// All connections of the device.
pub struct Table {
    places: Vec<Place>,
    free: VecDeque<u32>,
    by_key: HashMap<Key, u32>,
    max: u32,
}

impl Table {
    /// For up to `max` connections.
    pub fn new(max: u32) -> Self {
        Self {
            places: Vec::new(),
            free: VecDeque::new(),
            by_key: HashMap::new(),
            max: max.min(MAX_CONNECTIONS),
        }
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.by_key.len() as u32
    }

    /// Whether there is one of `key`.
    pub fn has(&self, key: &Key) -> bool {
        self.by_key.contains_key(key)
    }

    /// Adds a claim of `key`, which there must not be yet; `None` if the table is full.
    pub fn add(&mut self, key: Key) -> Option<u32> {
        let index = match self.free.pop_front() {
            Some(index) => index,
            None if (self.places.len() as u32) < self.max => {
                self.places.push(Place::default());
                self.places.len() as u32 - 1
            }
            None => return None,
        };
        let place = self.places.get_mut(index as usize)?;
        place.generation = place.generation % (u32::MAX >> INDEX_BITS) + 1;
        let handle = (place.generation << INDEX_BITS) | index;
        place.entry = Some(Entry {
            handle,
            key,
            state: State::Claimed,
            held: VecDeque::new(),
            telling: false,
        });
        self.by_key.insert(key, handle);
        Some(handle)
    }

    /// Takes a connection out.
    pub fn remove(&mut self, handle: u32) -> Option<Entry> {
        let index = handle & INDEX_MASK;
        let place = self.places.get_mut(index as usize)?;
        let entry = place.entry.take_if(|entry| entry.handle == handle)?;
        self.by_key.remove(&entry.key);
        self.free.push_back(index);
        Some(entry)
    }

    /// The connection of `handle`, if it is there.
    pub fn get(&self, handle: u32) -> Option<&Entry> {
        let place = self.places.get((handle & INDEX_MASK) as usize)?;
        place.entry.as_ref().filter(|entry| entry.handle == handle)
    }

    /// The connection of `handle`, if it is there.
    pub fn get_mut(&mut self, handle: u32) -> Option<&mut Entry> {
        let place = self.places.get_mut((handle & INDEX_MASK) as usize)?;
        place.entry.as_mut().filter(|entry| entry.handle == handle)
    }

    /// What `handle` names.
    pub fn find(&mut self, handle: u32) -> Found<&mut Entry> {
        let generation = handle >> INDEX_BITS;
        match self.places.get_mut((handle & INDEX_MASK) as usize) {
            None => Found::Never,
            Some(_) if generation == 0 => Found::Never,
            Some(place) => match &mut place.entry {
                Some(entry) if entry.handle == handle => Found::Entry(entry),
                _ => Found::Stale,
            },
        }
    }

    /// The handle of the connection of `key`.
    pub fn by_key(&self, key: &Key) -> Option<u32> {
        self.by_key.get(key).copied()
    }

    /// All connections.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.places.iter().filter_map(|place| place.entry.as_ref())
    }

    /// All connections.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.places
            .iter_mut()
            .filter_map(|place| place.entry.as_mut())
    }
}
