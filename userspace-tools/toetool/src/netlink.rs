// SPDX-License-Identifier: GPL-2.0
//! Requests to the generic netlink family "toe" and their answers.

use crate::{
    attr,
    error::{Error, Result},
    uapi,
};
use netlink_packet_core::{
    DecodeError, Emitable, ErrorMessage, NetlinkDeserializable, NetlinkHeader, NetlinkMessage, NetlinkPayload,
    NetlinkSerializable, ParseableParametrized, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST,
};
use netlink_packet_generic::{
    ctrl::{nlas::GenlCtrlAttrs, GenlCtrl, GenlCtrlCmd},
    GenlFamily, GenlHeader, GenlMessage,
};
use netlink_sys::{protocols::NETLINK_GENERIC, Socket, SocketAddr};
use nix::errno::Errno;

/// Bytes of a netlink message's header.
const NLMSG_HEADER: usize = 16;

/// Attribute of an error that carries the kernel's words (`NLMSGERR_ATTR_MSG`).
const NLMSGERR_ATTR_MSG: u16 = 1;

/// Attributes follow the header that an error quotes (`NLM_F_ACK_TLVS`).
const NLM_F_ACK_TLVS: u16 = 0x200;

/// A message of the family: a command and its attributes, not yet looked into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToeMessage {
    /// One of [`uapi::cmd`].
    pub cmd: u8,
    /// The attributes as they travel.
    pub attrs: Vec<u8>,
}

impl GenlFamily for ToeMessage {
    fn family_name() -> &'static str {
        uapi::FAMILY_NAME
    }

    fn command(&self) -> u8 {
        self.cmd
    }

    fn version(&self) -> u8 {
        uapi::FAMILY_VERSION
    }
}

impl Emitable for ToeMessage {
    fn buffer_len(&self) -> usize {
        self.attrs.len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        buffer[..self.attrs.len()].copy_from_slice(&self.attrs);
    }
}

impl ParseableParametrized<[u8], GenlHeader> for ToeMessage {
    fn parse_with_param(buf: &[u8], header: GenlHeader) -> std::result::Result<Self, DecodeError> {
        Ok(Self { cmd: header.cmd, attrs: buf.to_vec() })
    }
}

/// An open channel to the family.
pub struct Channel {
    socket: Socket,
    sequence: u32,
    family: u16,
}

impl Channel {
    /// Opens a netlink socket and looks the family up.
    ///
    /// # Errors
    ///
    /// [`Error::NotLoaded`] when the kernel doesn't know the family.
    pub fn open() -> Result<Self> {
        let mut socket = Socket::new(NETLINK_GENERIC).map_err(Error::Socket)?;
        socket.bind_auto().map_err(Error::Socket)?;
        socket.connect(&SocketAddr::new(0, 0)).map_err(Error::Socket)?;
        socket.set_cap_ack(true).map_err(Error::Socket)?;
        socket.set_ext_ack(true).map_err(Error::Socket)?;
        let mut channel = Self { socket, sequence: 0, family: 0 };
        channel.family = channel.resolve()?;
        Ok(channel)
    }

    /// Asks for one thing, or to have it done.
    pub fn request(&mut self, cmd: u8, attrs: Vec<u8>) -> Result<Vec<Vec<u8>>> {
        self.exchange_toe(cmd, attrs, NLM_F_REQUEST | NLM_F_ACK)
    }

    /// Asks for all there is; one element per thing.
    pub fn dump(&mut self, cmd: u8) -> Result<Vec<Vec<u8>>> {
        self.exchange_toe(cmd, Vec::new(), NLM_F_REQUEST | NLM_F_DUMP)
    }

    fn exchange_toe(&mut self, cmd: u8, attrs: Vec<u8>, flags: u16) -> Result<Vec<Vec<u8>>> {
        let mut message = GenlMessage::from_payload(ToeMessage { cmd, attrs });
        message.set_resolved_family_id(self.family);
        let answers = self.exchange(message, flags)?;
        Ok(answers.into_iter().map(|m| m.payload.attrs).collect())
    }

    fn resolve(&mut self) -> Result<u16> {
        let request = GenlMessage::from_payload(GenlCtrl {
            cmd: GenlCtrlCmd::GetFamily,
            nlas: vec![GenlCtrlAttrs::FamilyName(uapi::FAMILY_NAME.to_string())],
        });
        let answers = self.exchange(request, NLM_F_REQUEST | NLM_F_ACK).map_err(|e| match e {
            Error::Refused(Errno::ENOENT, _) => Error::NotLoaded,
            other => other,
        })?;
        answers
            .iter()
            .flat_map(|m| &m.payload.nlas)
            .find_map(|nla| match nla {
                GenlCtrlAttrs::FamilyId(id) => Some(*id),
                _ => None,
            })
            .ok_or_else(|| Error::BadAnswer("a family without an id".to_string()))
    }

    /// Sends one request and collects the answers up to its end.
    fn exchange<M>(&mut self, message: M, flags: u16) -> Result<Vec<M>>
    where
        M: NetlinkSerializable + NetlinkDeserializable + std::fmt::Debug,
    {
        self.sequence += 1;
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = self.sequence;
        let mut request = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        self.socket.send(&bytes, 0).map_err(Error::Socket)?;

        let mut answers = Vec::new();
        loop {
            let (datagram, _) = self.socket.recv_from_full().map_err(Error::Socket)?;
            if take(&datagram, self.sequence, &mut answers)? {
                return Ok(answers);
            }
        }
    }
}

/// Takes the messages of one datagram that answer request `sequence`; whether the answer is complete with them.
pub(crate) fn take<M>(datagram: &[u8], sequence: u32, answers: &mut Vec<M>) -> Result<bool>
where
    M: NetlinkDeserializable,
{
    let mut rest = datagram;
    while rest.len() >= NLMSG_HEADER {
        let message = NetlinkMessage::<M>::deserialize(rest).map_err(|e| Error::BadAnswer(e.to_string()))?;
        let length = (message.header.length as usize).next_multiple_of(4);
        rest = rest.get(length..).unwrap_or_default();
        if message.header.sequence_number != sequence {
            continue;
        }
        match message.payload {
            NetlinkPayload::InnerMessage(answer) => answers.push(answer),
            NetlinkPayload::Error(error) => {
                return match error.code {
                    None => Ok(true),
                    Some(code) => Err(refusal(code.get(), words(&error, message.header.flags))),
                }
            }
            NetlinkPayload::Done(done) if done.code < 0 => return Err(refusal(done.code, None)),
            NetlinkPayload::Done(_) => return Ok(true),
            _ => {}
        }
    }
    Ok(false)
}

fn refusal(code: i32, words: Option<String>) -> Error {
    match Errno::from_raw(-code) {
        Errno::EPERM => Error::NotPermitted,
        errno => Error::Refused(errno, words),
    }
}

/// The kernel's own words about an error, where it gave any.
fn words(error: &ErrorMessage, flags: u16) -> Option<String> {
    if flags & NLM_F_ACK_TLVS == 0 {
        return None;
    }
    attr::parse(error.header.get(NLMSG_HEADER..)?)
        .filter_map(Result::ok)
        .find(|a| a.kind == NLMSGERR_ATTR_MSG)?
        .string()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A netlink message of type `kind`, as the kernel lays it out.
    fn message(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = ((NLMSG_HEADER + payload.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend(77u32.to_ne_bytes());
        bytes.extend(payload);
        bytes
    }

    fn answers(datagram: &[u8], sequence: u32) -> (Result<bool>, Vec<GenlMessage<ToeMessage>>) {
        let mut answers = Vec::new();
        (take(datagram, sequence, &mut answers), answers)
    }

    #[test]
    fn take__collects_a_dump_up_to_its_end() {
        let one = attr::Builder::default().u32(uapi::dev::IFINDEX, 4).build();
        let payload = [&[uapi::cmd::DEV_GET, 1, 0, 0][..], &one].concat();
        let mut datagram = message(0x20, 2, 9, &payload);
        datagram.extend(message(0x20, 2, 9, &payload));
        let (more, got) = answers(&datagram, 9);
        assert!(!more.unwrap());
        assert_eq!(got.len(), 2);
        assert_eq!(got[0].payload, ToeMessage { cmd: uapi::cmd::DEV_GET, attrs: one });

        let (done, got) = answers(&message(3, 2, 9, &0i32.to_ne_bytes()), 9);
        assert!(done.unwrap() && got.is_empty());
    }

    #[test]
    fn take__skips_answers_to_an_older_request() {
        let (done, got) = answers(&message(3, 2, 8, &0i32.to_ne_bytes()), 9);
        assert!(!done.unwrap() && got.is_empty());
    }

    #[test]
    fn take__gives_the_kernels_words() {
        let mut payload = (-22i32).to_ne_bytes().to_vec();
        payload.extend(message(0x20, 5, 9, &[]));
        payload.extend(attr::Builder::default().string(NLMSGERR_ATTR_MSG, "loopback is taken").build());
        let (result, _) = answers(&message(2, NLM_F_ACK_TLVS, 9, &payload), 9);
        let text = result.unwrap_err().to_string();
        assert_eq!(text, "the kernel refused: loopback is taken (Invalid argument)");
    }

    #[test]
    fn take__tells_a_lack_of_permission() {
        let mut payload = (-1i32).to_ne_bytes().to_vec();
        payload.extend(message(0x20, 5, 9, &[]));
        let (result, _) = answers(&message(2, 0, 9, &payload), 9);
        assert!(matches!(result, Err(Error::NotPermitted)));
    }

    #[test]
    fn take__a_dump_may_end_in_an_error() {
        let (result, _) = answers(&message(3, 2, 9, &(-12i32).to_ne_bytes()), 9);
        assert!(matches!(result, Err(Error::Refused(Errno::ENOMEM, None))));
    }
}
