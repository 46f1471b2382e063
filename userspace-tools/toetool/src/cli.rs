// SPDX-License-Identifier: GPL-2.0
//! The command line.

use crate::{
    model::Connection,
    uapi::{ConnPath, ConnState, CounterGroup, Datapath, DevKind},
};
use clap::{Args, Parser, Subcommand};

/// Show and configure AF_TOE, the offloaded TCP sockets.
#[derive(Debug, Parser)]
#[command(
    name = "toetool",
    version,
    after_help = "Exit status: 0 done; 1 refused or failed; 2 wrong usage; \
    3 module toe not loaded; 4 not permitted; 5 no such netdev or device."
)]
pub struct Cli {
    /// Print JSON, for scripts.
    #[arg(long, global = true)]
    pub json: bool,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Devices: the netdevs that carry offloaded connections.
    #[command(subcommand)]
    Dev(DevCommand),
    /// Connections: who carries each, or why no device does, and counters.
    Conn(ConnFilter),
    /// Counters of each device, and of connections that no device carries.
    Stats(StatsFilter),
}

/// What to do with devices.
#[derive(Debug, Subcommand)]
pub enum DevCommand {
    /// Make a netdev a device.
    Add {
        /// Name of the netdev.
        netdev: String,
        /// Who runs the data-path; without it, the NIC if it can, else the kernel.
        #[arg(long, value_enum)]
        kind: Option<DevKind>,
        /// Which data-path to run.
        #[arg(long, value_enum, default_value_t = Datapath::Npu)]
        datapath: Datapath,
    },
    /// Make a netdev an ordinary one again.
    Del {
        /// Name of the netdev.
        netdev: String,
        /// Abort the connections that it carries.
        #[arg(short, long)]
        force: bool,
    },
    /// Show devices.
    Show {
        /// Name of the netdev; all devices without it.
        netdev: Option<String>,
    },
}

/// Which connections to show, and how much of them.
#[derive(Debug, Default, Args)]
pub struct ConnFilter {
    /// Only those in one of these states.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STATE")]
    pub state: Vec<ConnState>,
    /// Only those carried this way.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PATH")]
    pub path: Vec<ConnPath>,
    /// Only those with this port at either end.
    #[arg(long)]
    pub port: Option<u16>,
    /// Only those with this port at our end.
    #[arg(long, value_name = "PORT")]
    pub local_port: Option<u16>,
    /// Only those with this port at the peer's end.
    #[arg(long, value_name = "PORT")]
    pub remote_port: Option<u16>,
    /// Only those carried by this device.
    #[arg(long, value_name = "NETDEV")]
    pub dev: Option<String>,
    /// Show all that is known of each connection, on a second line.
    #[arg(short, long)]
    pub info: bool,
    /// Show the processes that hold the socket.
    #[arg(short, long)]
    pub processes: bool,
}

impl ConnFilter {
    /// Whether `connection` is to be shown.
    pub fn takes(&self, connection: &Connection) -> bool {
        let any = |port: u16| connection.local_port == Some(port) || connection.remote_port == Some(port);
        (self.state.is_empty() || self.state.contains(&connection.state))
            && (self.path.is_empty() || self.path.contains(&connection.path))
            && self.port.is_none_or(any)
            && self.local_port.is_none_or(|port| connection.local_port == Some(port))
            && self.remote_port.is_none_or(|port| connection.remote_port == Some(port))
            && (self.dev.is_none() || self.dev == connection.ifname)
    }
}

/// Which counters to show.
#[derive(Debug, Default, Args)]
pub struct StatsFilter {
    /// Only those of this device; without it, those of all devices and of none.
    pub netdev: Option<String>,
    /// Only those of these groups.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "GROUP")]
    pub group: Vec<CounterGroup>,
    /// Show counters that are zero, too. JSON holds them always.
    #[arg(short, long)]
    pub all: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::connections;
    use clap::CommandFactory;

    fn shown(args: &[&str]) -> Vec<u64> {
        let cli = Cli::try_parse_from([&["toetool", "conn"], args].concat()).unwrap();
        let Command::Conn(filter) = cli.command else { panic!() };
        connections().iter().filter(|c| filter.takes(c)).map(|c| c.cookie).collect()
    }

    #[test]
    fn cli__is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn filter__each_condition_narrows() {
        assert_eq!(shown(&[]), [1, 2, 3]);
        assert_eq!(shown(&["--state", "established,listen"]), [1, 3]);
        assert_eq!(shown(&["--path", "fallback"]), [2]);
        assert_eq!(shown(&["--port", "6379"]), [1, 3]);
        assert_eq!(shown(&["--port", "40001"]), [2]);
        assert!(shown(&["--local-port", "40001"]).is_empty());
        assert_eq!(shown(&["--remote-port", "40000"]), [1]);
        assert_eq!(shown(&["--dev", "veth0"]), [1]);
        assert_eq!(shown(&["--port", "6379", "--state", "listen"]), [3]);
    }

    #[test]
    fn cli__json_may_come_last() {
        assert!(Cli::try_parse_from(["toetool", "dev", "show", "--json"]).unwrap().json);
    }

    #[test]
    fn cli__refuses_what_it_does_not_know() {
        assert!(Cli::try_parse_from(["toetool", "dev", "add", "eth0", "--kind", "hard"]).is_err());
        assert!(Cli::try_parse_from(["toetool", "conn", "--state", "fin-wait1"]).is_err());
    }
}
