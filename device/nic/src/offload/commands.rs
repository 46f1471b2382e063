// SPDX-License-Identifier: GPL-2.0

//! Commands of contexts (section 8.2).

use super::{
    convert::{interval, path_from_layout, tx_max},
    table::{Found, State},
    Offload,
};
use crate::layout::{command, conn, feature, post, Command, Error, Path, PATH_VLAN};
use datapath::{
    npu::{
        self,
        meta::{Command as Request, HostControlError},
        HostControl, PreState,
    },
    units::Bytes,
    wire::ethernet::HEADER_LEN,
};
use pipeline::ConnId;
use zerocopy::FromBytes;

/// Who gives a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Issuer {
    /// The operating system.
    Privileged,
    /// A process, by this context.
    User(u16),
}

impl From<HostControlError> for Error {
    fn from(error: HostControlError) -> Self {
        match error {
            HostControlError::TxOverflow => Self::TxOverflow,
            HostControlError::RxUnderflow => Self::RxUnderflow,
            HostControlError::AfterFin => Self::AfterFin,
        }
    }
}

fn word(data: &[u8; 24], at: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&data[at..at + 4]);
    u32::from_le_bytes(bytes)
}

/// The first eight bytes of a command's data.
fn value(data: &[u8; 24]) -> u64 {
    u64::from(word(data, 0)) | (u64::from(word(data, 4)) << 32)
}

impl Offload {
    /// Executes a command. An error stops the queue it came from.
    pub fn execute(&mut self, issuer: Issuer, command: &Command) -> Result<(), Error> {
        check(issuer, command, self.features)?;
        if matches!(command.op, command::NOP | command::FENCE) {
            return Ok(());
        }
        let handle = command.connection.get();
        let entry = match self.table.find(handle) {
            Found::Entry(entry) => entry,
            Found::Stale => {
                self.stats.stale += 1;
                return Ok(());
            }
            Found::Never => return Err(Error::Entry),
        };
        if let Issuer::User(id) = issuer {
            let own = entry.flow().is_some_and(|flow| flow.live.context() == id);
            if !own {
                return Err(Error::Permission);
            }
        }
        let Some(conn) = entry.live() else {
            self.stats.stale += 1;
            return Ok(());
        };
        self.command(handle, conn, command)
    }

    fn command(&mut self, handle: u32, conn: ConnId, command: &Command) -> Result<(), Error> {
        let data = &command.data;
        match command.op {
            command::POST => return self.post(handle, conn, command),
            command::SET_MODE => {
                let flags = u32::from(command.flags);
                self.update(conn, |pre| {
                    pre.set_nodelay(flags & conn::NODELAY != 0);
                    pre.set_cork(flags & conn::CORK != 0);
                });
            }
            command::SET_CWND => {
                let cwnd = u32::try_from(value(data)).unwrap_or(u32::MAX);
                self.update(conn, |pre| pre.set_cwnd(Bytes(cwnd)));
            }
            command::SET_RATE => self.set_rate(handle, conn, value(data))?,
            command::SET_PATH => return self.set_path(handle, conn, data),
            command::RESET => return Ok(self.request(conn, pipeline::Request::Reset)?),
            command::WATCH => return Ok(self.request(conn, pipeline::Request::Watch)?),
            _ => return Ok(()),
        }
        let kick = HostControl {
            commands: Request::KICK,
            ..HostControl::default()
        };
        Ok(self.request(conn, pipeline::Request::Control(kick))?)
    }

    /// Takes in the host's positions, which are free-running: one that lies back is far ahead, and refused as such.
    fn post(&mut self, handle: u32, conn: ConnId, command: &Command) -> Result<(), Error> {
        let Some(State::Live(flow)) = self.table.get_mut(handle).map(|entry| &mut entry.state)
        else {
            return Ok(());
        };
        let (tx_tail, rx_head) = (word(&command.data, 0), word(&command.data, 4));
        let request = HostControl {
            tx_added: Bytes(tx_tail.wrapping_sub(flow.tx_tail)),
            rx_freed: Bytes(rx_head.wrapping_sub(flow.rx_head)),
            commands: requests(command.flags),
        };
        (flow.tx_tail, flow.rx_head) = (tx_tail, rx_head);
        Ok(self.request(conn, pipeline::Request::Control(request))?)
    }

    fn set_rate(&mut self, handle: u32, conn: ConnId, rate: u64) -> Result<(), Error> {
        if let Some(State::Live(flow)) = self.table.get_mut(handle).map(|entry| &mut entry.state) {
            flow.rate = rate;
        }
        self.update(conn, |pre| {
            let path = npu::config::Path {
                tx_max: tx_max(rate),
                ..*pre.path()
            };
            // Nothing else changes, so it is as right as it was.
            pre.set_path(path)
        });
        Ok(self.request(conn, pipeline::Request::Limit(interval(rate)))?)
    }

    fn set_path(&mut self, handle: u32, conn: ConnId, data: &[u8; 24]) -> Result<(), Error> {
        let path = Path::read_from_bytes(data).map_err(|_| Error::Entry)?;
        let Some(State::Live(flow)) = self.table.get_mut(handle).map(|entry| &mut entry.state)
        else {
            return Ok(());
        };
        let tagged = path.flags & PATH_VLAN != 0;
        let can_be =
            path.flags & !PATH_VLAN == 0 && !(tagged && flow.link.header_len() == HEADER_LEN);
        let new = path_from_layout(&path, flow.rate);
        let update = |pre: &mut PreState| pre.set_path(new).is_ok();
        if can_be && self.input.update(conn, update) == Ok(true) {
            flow.link = new.link;
            return Ok(());
        }
        Ok(self.quiesce_all(&[(handle, Error::Path)])?)
    }

    fn update<R>(&mut self, conn: ConnId, change: impl FnOnce(&mut PreState) -> R) -> Option<R> {
        self.input.update(conn, change).ok()
    }
}

/// Checks what can be checked of a command without its connection.
fn check(issuer: Issuer, command: &Command, features: u64) -> Result<(), Error> {
    let flags = match command.op {
        command::POST => post::ALL,
        command::SET_MODE => (conn::NODELAY | conn::CORK) as u8,
        command::NOP
        | command::FENCE
        | command::SET_CWND
        | command::SET_PATH
        | command::RESET
        | command::WATCH => 0,
        command::SET_RATE if features & feature::RATE != 0 => 0,
        _ => return Err(Error::Entry),
    };
    if command.flags & !flags != 0 {
        return Err(Error::Entry);
    }
    let privileged = command.op >= command::SET_CWND
        || (command.op == command::POST && command.flags & post::PRIVILEGED != 0);
    if privileged && issuer != Issuer::Privileged {
        return Err(Error::Permission);
    }
    Ok(())
}

fn requests(flags: u8) -> Request {
    [
        (post::FIN, Request::FIN),
        (post::RETRANSMIT, Request::RETRANSMIT),
        (post::ACK_NOW, Request::ACK_NOW),
        (post::PROBE, Request::PROBE),
        (post::KEEPALIVE, Request::KEEPALIVE),
        (post::KICK, Request::KICK),
    ]
    .into_iter()
    .filter(|(bit, _)| flags & bit != 0)
    .fold(Request::NONE, |all, (_, request)| all | request)
}
