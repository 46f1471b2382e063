// SPDX-License-Identifier: GPL-2.0
//! The socket's part of an offloaded connection: payload buffers, and how far each side has come in them.
//!
//! The data-path and the program each move one end of each ring, as in FlexTOE: the data-path says by notifications how
//! far it has received and how much was acknowledged; the program's side says by host-control requests how much it has
//! read and appended. Neither ever waits for the other.

use super::ToeSocket;
use crate::net::{
    buffer::PayloadBuffer,
    compat::smp_mb,
    context::{new_bh_spinlock, BhDisabled, BhSpinLock, HardIrq},
    sock::{AnySock, PollEvents, Sock},
    tcp_repair::RingBytes,
};
use kernel::{
    iov::{IovIterDest, IovIterSource},
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{Acquire, Atomic, Relaxed, Release},
        Arc,
    },
};

/// Both payload buffers of a connection, shared with its device.
pub(crate) struct PayloadBuffers {
    /// What the peer sent, written by the device.
    pub(crate) rx: PayloadBuffer,
    /// What the program sends, read by the device.
    pub(crate) tx: PayloadBuffer,
}

/// Positions in a connection's payload buffers, and who waits for them to move.
///
/// All positions are free-running: they count bytes since the start, modulo 2^32.
///
/// # Invariants
///
/// `rx_head`, `rx_told` and `tx_tail` change under the socket's lock only, `rx_tail` and `tx_head` by [`Stream::notify`] only, which
/// is called for one notification at a time.
#[pin_data]
pub(crate) struct Stream {
    buffers: Arc<PayloadBuffers>,
    /// Next byte the program reads.
    rx_head: Atomic<u32>,
    /// One past the last byte received in order.
    rx_tail: Atomic<u32>,
    /// Up to where the data-path was told that the program has read.
    rx_told: Atomic<u32>,
    /// Oldest byte not acknowledged.
    tx_head: Atomic<u32>,
    /// Where the program appends.
    tx_tail: Atomic<u32>,
    /// The peer sends no more.
    peer_closed: Atomic<bool>,
    /// The connection is gone: nothing is sent or received any more.
    closed: Atomic<bool>,
    /// The connection goes on elsewhere, with all that is in the buffers. Set under the socket's lock.
    left: Atomic<bool>,
    /// Somebody waits for room in the transmit buffer.
    room_wanted: Atomic<bool>,
    /// The socket, while the program has it open.
    #[pin]
    owner: BhSpinLock<Option<ARef<Sock<ToeSocket>>>>,
}

/// What can be read, by a look under the socket's lock.
pub(crate) struct Received {
    pos: u32,
    len: u32,
}

impl Received {
    /// How many bytes.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }
}

impl Stream {
    /// A stream of `owner` over `buffers`, the first of which holds `readable` bytes already.
    pub(crate) fn new(
        buffers: Arc<PayloadBuffers>,
        readable: u32,
        owner: ARef<Sock<ToeSocket>>,
    ) -> impl PinInit<Self> {
        pin_init!(Self {
            buffers,
            rx_head: Atomic::new(0),
            rx_tail: Atomic::new(readable),
            rx_told: Atomic::new(0),
            tx_head: Atomic::new(0),
            tx_tail: Atomic::new(0),
            peer_closed: Atomic::new(false),
            closed: Atomic::new(false),
            left: Atomic::new(false),
            room_wanted: Atomic::new(false),
            owner <- new_bh_spinlock!(Some(owner), "Stream::owner"),
        })
    }

    /// Bytes that can be read.
    pub(crate) fn readable(&self) -> usize {
        self.rx_tail
            .load(Acquire)
            .wrapping_sub(self.rx_head.load(Relaxed)) as usize
    }

    /// Bytes sent and not acknowledged, or not sent yet.
    pub(crate) fn unacknowledged(&self) -> usize {
        self.tx_tail
            .load(Relaxed)
            .wrapping_sub(self.tx_head.load(Acquire)) as usize
    }

    /// Bytes that can be appended.
    pub(crate) fn room(&self) -> usize {
        self.buffers.tx.size() - self.unacknowledged()
    }

    /// Whether there is so much room that it pays to wake whoever waits for it: a third, as in `sk_stream_is_writeable()`.
    pub(crate) fn has_room(&self) -> bool {
        self.room() >= self.buffers.tx.size() / 3
    }

    /// Has the owner woken once there is room. Look at [`Stream::has_room`] afterwards.
    pub(crate) fn want_room(&self) {
        self.room_wanted.store(true, Relaxed);
        smp_mb();
    }

    /// Whether the peer's stream has ended. Data may be left to read.
    pub(crate) fn peer_closed(&self) -> bool {
        self.peer_closed.load(Acquire)
    }

    /// Whether the connection is gone.
    pub(crate) fn closed(&self) -> bool {
        self.closed.load(Acquire)
    }

    /// Whether the connection goes on elsewhere, and nothing happens here any more. Look under the socket's lock.
    pub(crate) fn left(&self) -> bool {
        self.left.load(Relaxed)
    }

    /// The connection goes on elsewhere. The socket is locked; wake those who wait for it.
    pub(crate) fn leave(&self) {
        self.left.store(true, Relaxed);
    }

    /// What was received and not read: where it lies, its first position, and its length.
    pub(crate) fn unread(&self) -> RingBytes<'_> {
        RingBytes {
            ring: &self.buffers.rx,
            pos: self.rx_head.load(Relaxed),
            len: self.readable() as u32,
        }
    }

    /// What was appended and not acknowledged.
    pub(crate) fn unsent(&self) -> RingBytes<'_> {
        RingBytes {
            ring: &self.buffers.tx,
            pos: self.tx_head.load(Acquire),
            len: self.unacknowledged() as u32,
        }
    }

    /// How far a data-path has come that says it received up to position `rx_tail`, and that bytes before `tx_head` were
    /// acknowledged: bytes received and acknowledged since it last told.
    ///
    /// # Errors
    ///
    /// `EIO` if that can't be: it can neither be behind what it told, nor beyond the buffer or what was appended.
    pub(crate) fn progress(&self, rx_tail: u32, tx_head: u32) -> Result<(u32, u32)> {
        let received = rx_tail.wrapping_sub(self.rx_tail.load(Relaxed));
        let readable = rx_tail.wrapping_sub(self.rx_head.load(Relaxed)) as usize;
        let acknowledged = tx_head.wrapping_sub(self.tx_head.load(Relaxed));
        if readable > self.buffers.rx.size()
            || received as usize > readable
            || acknowledged as usize > self.unacknowledged()
        {
            return Err(EIO);
        }
        Ok((received, acknowledged))
    }

    /// Bytes that can be received before some are read.
    pub(crate) fn receive_room(&self) -> u32 {
        (self.buffers.rx.size() - self.readable()) as u32
    }

    /// What can be read; it stays so while the socket is locked.
    #[inline]
    pub(crate) fn received(&self) -> Received {
        let pos = self.rx_head.load(Relaxed);
        let len = self.rx_tail.load(Acquire).wrapping_sub(pos);
        Received { pos, len }
    }

    /// Copies up to `len` bytes of `received`, beginning `skip` bytes ahead, to `dest`; returns how many.
    ///
    /// Fewer than asked for are copied if `dest` or what was received ends, or `dest` faults.
    #[inline]
    pub(crate) fn copy_out(
        &self,
        received: &Received,
        dest: &mut IovIterDest<'_>,
        skip: usize,
        len: usize,
    ) -> usize {
        let len = len.min(received.len().saturating_sub(skip));
        let pos = received.pos.wrapping_add(skip as u32);
        self.buffers.rx.copy_to_iter(pos, dest, len)
    }

    /// Frees the first `len` bytes of `received`; returns how many freed bytes the data-path must be told of now. The socket
    /// has been locked since `received` was returned.
    ///
    /// It is told of a quarter of the buffer at once, or when the program has read all there is and the peer may be
    /// waiting for the window to open; more often would only cost.
    #[inline]
    pub(crate) fn consume(&self, received: &Received, len: usize) -> Option<u32> {
        let head = received.pos.wrapping_add(len.min(received.len()) as u32);
        self.rx_head.store(head, Relaxed);
        let untold = head.wrapping_sub(self.rx_told.load(Relaxed));
        let tell = untold as usize >= self.buffers.rx.size() / 4;
        tell.then(|| {
            self.rx_told.store(head, Relaxed);
            untold
        })
    }

    /// Freed bytes that the data-path hasn't been told of; it has been now. The socket is locked.
    #[inline]
    pub(crate) fn take_untold(&self) -> u32 {
        let head = self.rx_head.load(Relaxed);
        let untold = head.wrapping_sub(self.rx_told.load(Relaxed));
        if untold != 0 {
            self.rx_told.store(head, Relaxed);
        }
        untold
    }

    /// Appends what `source` has, as far as there is room; returns how many bytes. The data-path must be told of them.
    ///
    /// # Errors
    ///
    /// `EFAULT` when `source` can't be read at all.
    pub(crate) fn append(&self, source: &mut IovIterSource<'_>) -> Result<u32> {
        let tail = self.tx_tail.load(Relaxed);
        let unacknowledged = tail.wrapping_sub(self.tx_head.load(Acquire)) as usize;
        let wanted = (self.buffers.tx.size() - unacknowledged).min(source.len());
        let copied = self.buffers.tx.copy_from_iter(tail, source, wanted) as u32;
        if copied == 0 && wanted > 0 {
            return Err(EFAULT);
        }
        self.tx_tail.store(tail.wrapping_add(copied), Relaxed);
        Ok(copied)
    }

    /// Takes in what the data-path has done, and wakes whoever waits for it.
    pub(crate) fn notify(
        &self,
        received: u32,
        acknowledged: u32,
        peer_closed: bool,
        bh: &BhDisabled,
    ) {
        let mut events = self.advance(received, acknowledged);
        if peer_closed {
            self.peer_closed.store(true, Release);
            events |= PollEvents::IN | PollEvents::RDHUP;
        }
        if events != PollEvents::default() {
            if let Some(owner) = &*self.owner.lock(bh) {
                owner.wake(events);
            }
        }
    }

    /// As [`notify`](Self::notify) in an interrupt; does nothing and returns `false` if a lock is in the way.
    #[inline]
    pub(crate) fn moved(&self, received: u32, acknowledged: u32, irq: &HardIrq) -> bool {
        let Some(owner) = self.owner.try_lock(irq) else {
            return false;
        };
        let events = self.advance(received, acknowledged);
        if events != PollEvents::default() {
            if let Some(owner) = &*owner {
                owner.wake(events);
            }
        }
        true
    }

    /// Moves the data-path's ends of the buffers; returns what there is for those who wait.
    #[inline]
    fn advance(&self, received: u32, acknowledged: u32) -> PollEvents {
        let mut events = PollEvents::default();
        if received != 0 {
            self.rx_tail
                .store(self.rx_tail.load(Relaxed).wrapping_add(received), Release);
            events |= PollEvents::IN;
        }
        if acknowledged != 0 {
            self.tx_head.store(
                self.tx_head.load(Relaxed).wrapping_add(acknowledged),
                Release,
            );
            // Pairs with the barrier of `want_room`: either we see the wish or its maker sees the room.
            smp_mb();
            if self.room_wanted.load(Relaxed) && self.has_room() {
                self.room_wanted.store(false, Relaxed);
                events |= PollEvents::OUT;
            }
        }
        events
    }

    /// The connection is gone, whether it ended well or not; wakes everybody who waits.
    pub(crate) fn close(&self) {
        self.closed.store(true, Release);
        self.with_owner(|owner| owner.wake_all());
    }

    /// The socket, if the program still has it open.
    pub(crate) fn owner(&self) -> Option<ARef<Sock<ToeSocket>>> {
        self.owner.lock(&BhDisabled::new()).clone()
    }

    /// Calls `f` with the socket if the program still has it open. `f` runs under a spinlock: it may wake, no more.
    pub(crate) fn with_owner(&self, f: impl FnOnce(&AnySock)) {
        let bh = BhDisabled::new();
        let owner = self.owner.lock(&bh);
        if let Some(owner) = &*owner {
            f(owner);
        }
    }

    /// The program has closed the socket: nobody is woken any more.
    pub(crate) fn disown(&self) {
        let bh = BhDisabled::new();
        let owner = self.owner.lock(&bh).take();
        drop(owner);
    }
}
