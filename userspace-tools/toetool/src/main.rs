// SPDX-License-Identifier: GPL-2.0
//! Shows and configures AF_TOE: devices, connections, counters. See toetool(8).

#![cfg_attr(test, allow(non_snake_case))]

mod attr;
mod cli;
mod error;
mod model;
mod netlink;
mod process;
#[cfg(test)]
mod recorded;
mod text;
mod uapi;

use clap::Parser;
use cli::{Cli, Command, ConnFilter, DevCommand, StatsFilter};
use error::{Error, Result};
use model::{Connection, Device, Stats};
use netlink::Channel;
use nix::errno::Errno;
use serde::Serialize;
use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};
use uapi::{cmd, dev, Datapath, DevKind};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads the output has seen enough.
        Err(Error::Output(e)) if e.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("toetool: {error}");
            error.exit_code()
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    let mut channel = Channel::open()?;
    match &cli.command {
        Command::Dev(DevCommand::Add { netdev, kind, datapath }) => dev_add(&mut channel, netdev, *kind, *datapath),
        Command::Dev(DevCommand::Del { netdev, force }) => dev_del(&mut channel, netdev, *force),
        Command::Dev(DevCommand::Show { netdev }) => {
            let devices = dev_show(&mut channel, netdev.as_deref())?;
            print(cli, &devices, || text::devices(&devices))
        }
        Command::Conn(filter) => {
            let connections = conn(&mut channel, filter)?;
            print(cli, &connections, || text::connections(&connections, filter))
        }
        Command::Stats(filter) => {
            let all = stats(&mut channel, filter)?;
            print(cli, &all, || text::stats(&all, filter))
        }
    }
}

/// Prints `value` as JSON or `text`, as the command line asks.
fn print<T: Serialize>(cli: &Cli, value: &T, text: impl FnOnce() -> String) -> Result<()> {
    let mut text = match cli.json {
        true => serde_json::to_string_pretty(value).map_err(|e| Error::Output(e.into()))?,
        false => text(),
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    io::stdout().write_all(text.as_bytes()).map_err(Error::Output)
}

fn ifindex(netdev: &str) -> Result<u32> {
    nix::net::if_::if_nametoindex(netdev).map_err(|_| Error::NoNetdev(netdev.to_string()))
}

fn dev_add(channel: &mut Channel, netdev: &str, kind: Option<DevKind>, datapath: Datapath) -> Result<()> {
    let mut attrs = attr::Builder::default().u32(dev::IFINDEX, ifindex(netdev)?).u32(dev::DATAPATH, datapath.into());
    if let Some(kind) = kind {
        attrs = attrs.u32(dev::KIND, kind.into());
    }
    channel.request(cmd::DEV_ADD, attrs.build()).map(drop).map_err(|e| match e {
        Error::Refused(Errno::EEXIST, _) => Error::DeviceExists(netdev.to_string()),
        Error::Refused(Errno::ENODEV, _) => Error::NoNetdev(netdev.to_string()),
        other => other,
    })
}

fn dev_del(channel: &mut Channel, netdev: &str, force: bool) -> Result<()> {
    let mut attrs = attr::Builder::default().u32(dev::IFINDEX, ifindex(netdev)?);
    if force {
        attrs = attrs.bytes(dev::FORCE, Vec::new());
    }
    channel.request(cmd::DEV_DEL, attrs.build()).map(drop).map_err(|e| match e {
        Error::Refused(Errno::ENODEV, _) => Error::NoDevice(netdev.to_string()),
        Error::Refused(Errno::EBUSY, _) => Error::DeviceBusy(netdev.to_string()),
        other => other,
    })
}

fn all_devices(channel: &mut Channel) -> Result<Vec<Device>> {
    channel.dump(cmd::DEV_GET)?.iter().map(|attrs| Device::decode(attrs)).collect()
}

fn dev_show(channel: &mut Channel, netdev: Option<&str>) -> Result<Vec<Device>> {
    let Some(name) = netdev else {
        return all_devices(channel);
    };
    let attrs = attr::Builder::default().u32(dev::IFINDEX, ifindex(name)?);
    let answers = channel.request(cmd::DEV_GET, attrs.build()).map_err(|e| match e {
        Error::Refused(Errno::ENODEV, _) => Error::NoDevice(name.to_string()),
        other => other,
    })?;
    answers.iter().map(|attrs| Device::decode(attrs)).collect()
}

fn conn(channel: &mut Channel, filter: &ConnFilter) -> Result<Vec<Connection>> {
    let devices = all_devices(channel)?;
    if let Some(name) = &filter.dev {
        known_device(&devices, name)?;
    }
    let mut connections = Vec::new();
    for attrs in channel.dump(cmd::CONN_GET)? {
        let connection = Connection::decode(&attrs, &devices)?;
        if filter.takes(&connection) {
            connections.push(connection);
        }
    }
    if filter.processes {
        let holders = process::holders(Path::new("/proc"));
        for connection in &mut connections {
            let found = connection.inode.and_then(|inode| holders.get(&inode));
            connection.processes = Some(found.into_iter().flatten().cloned().collect());
        }
    }
    Ok(connections)
}

fn stats(channel: &mut Channel, filter: &StatsFilter) -> Result<Vec<Stats>> {
    let devices = all_devices(channel)?;
    if let Some(name) = &filter.netdev {
        known_device(&devices, name)?;
    }
    let mut all: Vec<Stats> = Vec::new();
    for attrs in channel.dump(cmd::STATS_GET)? {
        let mut stats = Stats::decode(&attrs, &devices)?;
        if !filter.group.is_empty() {
            stats.counters.retain(|group, _| filter.group.contains(group));
        }
        if filter.netdev.is_some() && filter.netdev != stats.ifname {
            continue;
        }
        match all.last_mut().filter(|last| last.ifindex == stats.ifindex) {
            Some(last) => last.merge(stats),
            None => all.push(stats),
        }
    }
    Ok(all)
}

fn known_device(devices: &[Device], name: &str) -> Result<()> {
    match devices.iter().any(|d| d.ifname == name) {
        true => Ok(()),
        false => ifindex(name).and_then(|_| Err(Error::NoDevice(name.to_string()))),
    }
}
