// SPDX-License-Identifier: GPL-2.0
//! Output for people: aligned columns.

use crate::{
    cli::{ConnFilter, StatsFilter},
    model::{Connection, Device, Stats, CONN_COUNTERS},
};
use std::fmt::Write;

/// Lines of cells; columns are as wide as their widest cell, and numbers stand to the right.
struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(ToString::to_string).collect()] }
    }

    fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// One line per row, the header's first.
    fn lines(&self) -> impl Iterator<Item = String> + '_ {
        let columns = self.rows[0].len();
        let width = |c: usize| self.rows.iter().map(|r| r[c].chars().count()).max().unwrap_or(0);
        let numeric = |c: usize| self.rows[1..].iter().all(|r| r[c].bytes().all(|b| b.is_ascii_digit() || b == b'-'));
        let layout: Vec<_> = (0..columns).map(|c| (width(c), numeric(c))).collect();
        self.rows.iter().map(move |row| {
            let mut line = String::new();
            for (cell, &(width, numeric)) in row.iter().zip(&layout) {
                let _ = if numeric { write!(line, "{cell:>width$}  ") } else { write!(line, "{cell:<width$}  ") };
            }
            line.trim_end().to_string()
        })
    }
}

fn number(value: Option<u64>) -> String {
    value.map_or_else(|| "-".to_string(), |v| v.to_string())
}

fn join(lines: impl Iterator<Item = String>) -> String {
    lines.fold(String::new(), |text, line| text + &line + "\n")
}

/// A table of devices.
pub fn devices(devices: &[Device]) -> String {
    let mut table = Table::new(&["DEVICE", "IFINDEX", "KIND", "DATAPATH", "CONNECTIONS", "MAX"]);
    for d in devices {
        table.row(vec![
            d.ifname.clone(),
            d.ifindex.to_string(),
            d.kind.to_string(),
            d.datapath.to_string(),
            d.connections.to_string(),
            number(d.max_connections.map(u64::from)),
        ]);
    }
    join(table.lines())
}

/// A table of connections, each with a second line if `filter` asks for it.
pub fn connections(connections: &[Connection], filter: &ConnFilter) -> String {
    let head = ["STATE", "RECV-Q", "SEND-Q", "LOCAL", "PEER", "CARRIED BY", "RX BYTES", "TX BYTES", "RETRANS"];
    let mut table = Table::new(&head);
    for c in connections {
        let queue = |listening: &str, connected: &str| number(c.counter(listening).or(c.counter(connected)));
        table.row(vec![
            c.state.to_string(),
            queue("accept_queue", "rx_buf_used"),
            queue("backlog", "tx_buf_used"),
            c.local().to_string(),
            c.remote().to_string(),
            c.carrier(),
            number(c.counter("rx_bytes")),
            number(c.counter("tx_bytes")),
            number(c.counter("retransmits")),
        ]);
    }
    let mut lines = table.lines();
    let mut text = join(lines.next().into_iter());
    for (line, c) in lines.zip(connections) {
        text += &line;
        text.push('\n');
        let details = details(c, filter);
        if !details.is_empty() {
            let _ = writeln!(text, "    {}", details.join(" "));
        }
    }
    text
}

/// What the second line of a connection says.
fn details(c: &Connection, filter: &ConnFilter) -> Vec<String> {
    let mut details = Vec::new();
    if filter.info {
        details.push(format!("cookie:{}", c.cookie));
        details.extend(c.uid.map(|uid| format!("uid:{uid}")));
        details.extend(c.inode.map(|inode| format!("inode:{inode}")));
        details.extend(c.congestion.clone());
        let counter = |&(_, name): &(u16, &str)| c.counter(name).map(|value| format!("{name}:{value}"));
        details.extend(CONN_COUNTERS.iter().filter_map(counter));
    }
    details.extend(c.processes.iter().flatten().map(|p| format!("{}({})", p.comm, p.pid)));
    details
}

/// Counters, one a line, under the name of their device.
pub fn stats(all: &[Stats], filter: &StatsFilter) -> String {
    let mut text = String::new();
    for stats in all {
        let title = match (&stats.ifname, stats.ifindex) {
            (Some(name), _) => name.clone(),
            (None, Some(index)) => format!("if{index}"),
            (None, None) => "no device".to_string(),
        };
        text += &title;
        text.push('\n');
        let shown = || {
            stats.counters.iter().flat_map(|(group, counters)| {
                counters.iter().filter(|(_, &v)| v != 0 || filter.all).map(move |(name, value)| (group, name, value))
            })
        };
        let width = shown().map(|(_, name, _)| name.len()).max().unwrap_or(0);
        for (group, name, value) in shown() {
            let _ = writeln!(text, "    {group:<8} {name:<width$}  {value}");
        }
        if shown().next().is_none() {
            text += "    nothing counted\n";
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests as recorded;
    use crate::process::Process;

    #[test]
    fn devices__one_line_each() {
        let expected = "DEVICE  IFINDEX  KIND  DATAPATH  CONNECTIONS    MAX\n\
                        veth0         4  soft  npu                 2  65536\n";
        assert_eq!(devices(&[recorded::device()]), expected);
    }

    #[test]
    fn connections__say_who_carries_them() {
        let expected = "\
STATE        RECV-Q  SEND-Q  LOCAL          PEER            CARRIED BY            RX BYTES  TX BYTES  RETRANS
established       3       -  10.0.0.1:6379  10.0.0.2:40000  veth0              21474836480        77        -
close-wait        -       -  [::1]:80       [::1]:40001     kernel: no-device            -         -        -
listen            -     511  0.0.0.0:6379   *:*             kernel                       -         -        -
";
        assert_eq!(connections(&recorded::connections(), &ConnFilter::default()), expected);
    }

    #[test]
    fn connections__details_on_a_second_line() {
        let mut one = recorded::connections().swap_remove(0);
        one.processes = Some(vec![Process { pid: 7, comm: "redis-server".to_string() }]);
        let filter = ConnFilter { info: true, processes: true, ..ConnFilter::default() };
        let text = connections(&[one], &filter);
        let second = text.lines().nth(2).unwrap();
        assert_eq!(
            second,
            "    cookie:1 inode:1001 dctcp rx_bytes:21474836480 tx_bytes:77 cwnd:14600 rx_buf_used:3 redis-server(7)"
        );
    }

    #[test]
    fn stats__zero_is_left_out_unless_asked_for() {
        let quiet = "no device\n    fallback no-device  2\nveth0\n    event    rx-segs  12\n";
        assert_eq!(stats(&recorded::stats(), &StatsFilter::default()), quiet);
        let all = StatsFilter { all: true, ..StatsFilter::default() };
        assert!(stats(&recorded::stats(), &all).contains("    drop     bad-checksum  0\n"));
    }
}
