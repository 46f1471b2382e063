// SPDX-License-Identifier: GPL-2.0
//! What can go wrong, said in one line with what to do about it.

use crate::uapi;
use nix::errno::Errno;
use std::{fmt, process::ExitCode};

/// Why a command failed.
#[derive(Debug)]
pub enum Error {
    /// The kernel has no generic netlink family "toe".
    NotLoaded,
    /// The request needs privileges that the caller lacks.
    NotPermitted,
    /// No netdev has this name in this network namespace.
    NoNetdev(String),
    /// The netdev exists but is no device of AF_TOE.
    NoDevice(String),
    /// The netdev is a device already.
    DeviceExists(String),
    /// The device carries connections.
    DeviceBusy(String),
    /// The kernel refused for another reason; with its own words, if it gave any.
    Refused(Errno, Option<String>),
    /// The kernel's answer makes no sense.
    BadAnswer(String),
    /// The netlink socket failed.
    Socket(std::io::Error),
    /// The output could not be written.
    Output(std::io::Error),
}

impl Error {
    /// The exit code of the tool: see EXIT STATUS in toetool(8).
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::NotLoaded => 3,
            Self::NotPermitted => 4,
            Self::NoNetdev(_) | Self::NoDevice(_) => 5,
            _ => 1,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLoaded => {
                write!(
                    f,
                    "the kernel has no netlink family \"{}\": load the module with 'modprobe toe'",
                    uapi::FAMILY_NAME
                )
            }
            Self::NotPermitted => {
                f.write_str("not permitted: run as root or with CAP_NET_ADMIN in this network namespace")
            }
            Self::NoNetdev(name) => {
                write!(f, "no netdev {name} in this network namespace: 'ip link' lists those there are")
            }
            Self::NoDevice(name) => write!(f, "{name} is no device: make it one with 'toetool dev add {name}'"),
            Self::DeviceExists(name) => write!(f, "{name} is a device already: 'toetool dev show {name}' shows it"),
            Self::DeviceBusy(name) => {
                write!(
                    f,
                    "{name} carries connections: close those that 'toetool conn --dev {name}' lists, or abort them \
                     with --force"
                )
            }
            Self::Refused(errno, None) => write!(f, "the kernel refused: {}", errno.desc()),
            Self::Refused(errno, Some(why)) => write!(f, "the kernel refused: {why} ({})", errno.desc()),
            Self::BadAnswer(what) => {
                write!(f, "the kernel's answer makes no sense: {what}; do the tool and toe.ko come from one build?")
            }
            Self::Socket(error) => write!(f, "netlink: {error}"),
            Self::Output(error) => write!(f, "output: {error}"),
        }
    }
}

impl std::error::Error for Error {}

/// A result whose error is [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
