// SPDX-License-Identifier: GPL-2.0
//! Sending and receiving on an offloaded connection, through its payload buffers.

use super::{after, stream::Stream, Call, Phase, ToeSocket};
use crate::net::{
    errno::{ENOTCONN, EOPNOTSUPP},
    msg::{MsgFlags, RecvMsg, SendMsg},
    sock::{PollEvents, Shut, Sock, SockGuard, Timeout},
};
use kernel::prelude::*;

impl ToeSocket {
    /// `sendmsg(2)`: appends to the transmit buffer, waiting for room.
    pub(super) fn send(sock: &Sock<Self>, msg: &mut SendMsg<'_>) -> Call {
        let flags = msg.flags();
        if flags.intersects(MsgFlags::OOB) {
            return Call::Done(Err(EOPNOTSUPP.into()));
        }
        let mut timeout = None;
        let this = sock.data();
        let mut guard = sock.lock();
        let mut sent = 0;
        let result = loop {
            let Some(connection) = this.connection.get(&guard) else {
                // Handed back meanwhile, with what was appended.
                return Call::Moved(sent);
            };
            let stream = connection.stream();
            if let Err(e) = Self::may_send(sock, stream) {
                break Err(e);
            }
            if msg.iter().is_empty() {
                break Ok(());
            }
            match stream.append(msg.iter()) {
                Ok(0) => {
                    let connection = connection.arc();
                    let stream = connection.stream();
                    let timeout = timeout.get_or_insert_with(|| {
                        sock.send_timeout(flags.intersects(MsgFlags::DONTWAIT))
                    });
                    if let Err(e) = Self::wait_for_room(sock, stream, &mut guard, timeout) {
                        break Err(e);
                    }
                }
                Ok(n) => {
                    sent += n as usize;
                    connection.appended(n, flags.intersects(MsgFlags::MORE));
                }
                Err(e) => break Err(e),
            }
        };
        Call::Done(match result {
            Err(e) if sent == 0 => Err(sock.send_error(flags, e)),
            _ => Ok(sent),
        })
    }

    /// Whether the socket still takes data.
    fn may_send(sock: &Sock<Self>, stream: &Stream) -> Result {
        if sock.has_error() || sock.shut().contains(Shut::SEND) || stream.closed() {
            return Err(EPIPE);
        }
        Ok(())
    }

    fn wait_for_room(
        sock: &Sock<Self>,
        stream: &Stream,
        guard: &mut SockGuard<'_>,
        timeout: &mut Timeout,
    ) -> Result {
        stream.want_room();
        guard.wait_until(timeout, || {
            stream.has_room() || stream.left() || Self::may_send(sock, stream).is_err()
        })
    }

    /// `recvmsg(2)`: takes from the receive buffer, waiting for data.
    pub(super) fn receive(sock: &Sock<Self>, msg: &mut RecvMsg<'_>) -> Call {
        let flags = msg.flags();
        if flags.intersects(MsgFlags::OOB) {
            return Call::Done(Err(EINVAL));
        }
        if flags.intersects(MsgFlags::ERRQUEUE) {
            return Call::Done(Err(EAGAIN));
        }
        let mut timeout = None;
        let target = sock.recv_low_water(flags.intersects(MsgFlags::WAITALL), msg.len());
        let peek = flags.intersects(MsgFlags::PEEK);
        let this = sock.data();
        let mut guard = sock.lock();
        let mut received = 0;
        loop {
            let Some(connection) = this.connection.get(&guard) else {
                // Handed back meanwhile, with what wasn't read.
                msg.received(received);
                return Call::Moved(received);
            };
            let stream = connection.stream();
            let skip = if peek { received } else { 0 };
            let mut available = stream.received();
            let (mut peer_closed, mut ended) = (false, false);
            if received + available.len().saturating_sub(skip) < target {
                // Looked at before the data: what came before the end is in the buffer by then.
                peer_closed = stream.peer_closed();
                ended = stream.closed() || sock.shut().contains(Shut::RECV);
                available = stream.received();
            }
            let wanted = available
                .len()
                .saturating_sub(skip)
                .min(msg.len() - received);
            if wanted > 0 {
                let copied = if flags.intersects(MsgFlags::TRUNC) {
                    wanted
                } else {
                    stream.copy_out(&available, msg.iter(), skip, wanted)
                };
                if !peek {
                    connection.consumed(&available, copied);
                }
                received += copied;
                if copied < wanted {
                    return Call::Done(if received > 0 {
                        Ok(received)
                    } else {
                        Err(EFAULT)
                    });
                }
            }
            if received >= target || received == msg.len() || peer_closed {
                return Call::Done(Ok(received));
            }
            if received > 0 && (ended || sock.has_error()) {
                return Call::Done(Ok(received));
            }
            if let Err(e) = sock.take_error() {
                return Call::Done(Err(e));
            }
            if ended {
                return Call::Done(match this.phase() {
                    Phase::Disconnected => Err(ENOTCONN.into()),
                    _ => Ok(0),
                });
            }
            let skip = if peek { received } else { 0 };
            let connection = connection.arc();
            let stream = connection.stream();
            let timeout = timeout
                .get_or_insert_with(|| sock.recv_timeout(flags.intersects(MsgFlags::DONTWAIT)));
            let waited = guard.wait_until(timeout, || {
                stream.readable() > skip
                    || stream.left()
                    || stream.peer_closed()
                    || stream.closed()
                    || sock.has_error()
                    || sock.shut().contains(Shut::RECV)
            });
            if let Err(e) = waited {
                return Call::Done(after(received, Err(e)));
            }
        }
    }

    /// What is ready on an offloaded connection, as `tcp_poll()` has it.
    pub(super) fn poll_offloaded(sock: &Sock<Self>, stream: &Stream) -> PollEvents {
        let mut events = PollEvents::default();
        let shut = sock.shut();
        let closed = stream.closed();
        let ended = closed || stream.peer_closed() || shut.contains(Shut::RECV);
        if closed || (ended && shut.contains(Shut::SEND)) {
            events |= PollEvents::HUP;
        }
        if ended {
            events |= PollEvents::IN | PollEvents::RDHUP;
        } else {
            let readable = stream.readable();
            if readable > 0 && readable >= sock.recv_low_water(false, usize::MAX) {
                events |= PollEvents::IN;
            }
        }
        if shut.contains(Shut::SEND) || stream.has_room() {
            events |= PollEvents::OUT;
        } else {
            stream.want_room();
            if stream.has_room() {
                events |= PollEvents::OUT;
            }
        }
        if sock.has_error() {
            events |= PollEvents::ERR;
        }
        events
    }
}
