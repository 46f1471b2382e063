// SPDX-License-Identifier: GPL-2.0

//! Commands of contexts (section 8.2).

use super::{
    convert::path_from_layout,
    live::{Environment, Live},
    table::{Found, State},
    Context, Offload, Output,
};
use crate::{
    layout::{command, conn, post, Command, Error, Path, PATH_VLAN},
    memory::Unreachable,
};
use datapath::{
    npu::{
        meta::{Command as Request, HostControlError},
        HostControl,
    },
    units::Bytes,
};
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

impl From<Unreachable> for Stop {
    fn from(_: Unreachable) -> Self {
        Self(Error::Buffer)
    }
}

/// The connection is to be quiesced.
struct Stop(Error);

fn word(data: &[u8; 24], at: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&data[at..at + 4]);
    u32::from_le_bytes(bytes)
}

impl Offload {
    /// Executes a command. An error stops the queue it came from.
    pub fn execute(
        &mut self,
        issuer: Issuer,
        command: &Command,
        context: &Context<'_>,
    ) -> Result<(), Error> {
        check(issuer, command)?;
        if matches!(command.op, command::NOP | command::FENCE) {
            return Ok(());
        }
        let entry = match self.table.find(command.connection.get()) {
            Found::Entry(entry) => entry,
            Found::Stale => {
                self.stats.stale += 1;
                return Ok(());
            }
            Found::Never => return Err(Error::Entry),
        };
        if let Issuer::User(id) = issuer {
            let own = entry
                .live()
                .is_some_and(|live| live.connection.config().context == id);
            if !own {
                return Err(Error::Permission);
            }
        }
        let State::Live(live) = &mut entry.state else {
            self.stats.stale += 1;
            return Ok(());
        };
        let mut env = Environment {
            memory: &context.host.memory,
            frames: &mut self.frames,
            now: context.now,
        };
        let result = live.command(command, &mut env);
        let mut output = Output {
            frames: &mut self.frames,
            stats: &mut self.stats,
            dirty: &mut self.dirty,
            telling: &mut self.telling,
        };
        match result {
            Ok(()) => output.changed(entry),
            Err(Stop(error)) => output.quiesce(entry, error),
        }
        Ok(())
    }
}

/// Checks what can be checked of a command without its connection.
fn check(issuer: Issuer, command: &Command) -> Result<(), Error> {
    let flags = match command.op {
        command::POST => post::ALL,
        command::SET_MODE => (conn::NODELAY | conn::CORK) as u8,
        command::NOP
        | command::FENCE
        | command::SET_CWND
        | command::SET_PATH
        | command::RESET
        | command::WATCH => 0,
        // Pacing is no feature of this device.
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

impl Live {
    fn command(&mut self, command: &Command, env: &mut Environment<'_>) -> Result<(), Stop> {
        let data = &command.data;
        match command.op {
            command::POST => self.move_to(word(data, 0), word(data, 4), command.flags, env),
            command::SET_MODE => {
                let flags = u32::from(command.flags);
                self.connection.pre.set_nodelay(flags & conn::NODELAY != 0);
                self.connection.pre.set_cork(flags & conn::CORK != 0);
                self.kick(env)
            }
            command::SET_CWND => {
                self.connection.pre.set_cwnd(Bytes(word(data, 0)));
                self.kick(env)
            }
            command::SET_PATH => self.set_path(data),
            command::RESET => Ok(self.reset(env)?),
            command::WATCH => {
                self.watch();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Takes in the host's positions, which are free-running: one that lies back is far ahead, and refused as such.
    fn move_to(
        &mut self,
        tx_tail: u32,
        rx_head: u32,
        flags: u8,
        env: &mut Environment<'_>,
    ) -> Result<(), Stop> {
        let config = self.connection.config();
        let request = HostControl {
            tx_added: Bytes(tx_tail.wrapping_sub(config.tx.tail.0)),
            rx_freed: Bytes(rx_head.wrapping_sub(config.rx.head.0)),
            commands: requests(flags),
        };
        self.post(&request, env)?
            .map_err(|error| Stop(error.into()))
    }

    fn kick(&mut self, env: &mut Environment<'_>) -> Result<(), Stop> {
        let request = HostControl {
            commands: Request::KICK,
            ..HostControl::default()
        };
        self.post(&request, env)?
            .map_err(|error| Stop(error.into()))
    }

    fn set_path(&mut self, data: &[u8; 24]) -> Result<(), Stop> {
        let path = Path::read_from_bytes(data).map_err(|_| Stop(Error::Path))?;
        let tagged = path.flags & PATH_VLAN != 0;
        let before = self.connection.pre.path().link.header_len();
        let new = path_from_layout(&path);
        if path.flags & !PATH_VLAN != 0 || (tagged && before == 14) {
            return Err(Stop(Error::Path));
        }
        self.connection
            .pre
            .set_path(new)
            .map_err(|_| Stop(Error::Path))
    }
}
