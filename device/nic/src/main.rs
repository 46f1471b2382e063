// SPDX-License-Identifier: GPL-2.0

//! The TOE NIC as a program: see `toe-nic --help`.

use anyhow::{bail, Result};
use clap::Parser;
use pipeline::Stages;
use std::{path::PathBuf, process::ExitCode, sync::Arc, thread, time::Duration};
use toe_nic::{
    control,
    device::{Config, Nic},
    port::{
        memory::NoPort, pcap::Recorder, shape::Shape, shaper::Shaper, tap::TapPort, wire::WirePort,
        EtherPort,
    },
    server::{self, Shared},
    statistics::Statistics,
};

/// A model of the TOE NIC: a PCI device served over vfio-user to a virtual machine, started before it.
///
/// QEMU (10.1 or later) needs its memory shared,
///   -object memory-backend-memfd,id=m0,size=1G,share=on -machine memory-backend=m0
/// and the device, on a PCI Express bus:
///   -device '{"driver":"vfio-user-pci","socket":{"type":"unix","path":"SOCKET"}}'
#[derive(Parser)]
#[command(name = "toe-nic", version, verbatim_doc_comment)]
struct Options {
    /// UNIX socket at which the device is served.
    #[arg(value_name = "SOCKET")]
    socket: PathBuf,
    /// Connect the port to a TAP interface, which is made if there is none.
    #[arg(long, value_name = "NAME", group = "port")]
    tap: Option<String>,
    /// Connect the port to another toe-nic that is given the same path.
    #[arg(long, value_name = "PATH", group = "port")]
    wire: Option<PathBuf>,
    /// The permanent Ethernet address.
    #[arg(long, value_parser = parse_mac, default_value = "02:74:6f:65:00:01")]
    mac: [u8; 6],
    /// Contexts.
    #[arg(long, default_value_t = Config::default().contexts)]
    contexts: u16,
    /// Raw-frame queue pairs.
    #[arg(long, default_value_t = Config::default().pairs)]
    pairs: u16,
    /// Most connections offloaded at once.
    #[arg(long, default_value_t = Config::default().connections)]
    connections: u32,
    /// Most entries of a ring.
    #[arg(long, default_value_t = Config::default().entries)]
    entries: u32,
    /// What runs the data-path: 'inline', on one thread, or 'pipelined' with any of ',pre=N,post=N,dma=N,groups=N': how many
    /// threads for pre-processing, post-processing and DMA (may be 0), and flow-groups, each with two threads.
    #[arg(long, default_value_t)]
    stages: Stages,
    /// Write all frames of the port to a file that tcpdump reads.
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// UNIX socket for commands: hang, gone, nonsense SEED [ONE-IN], resume, link [NAME=VALUE...], statistics, exit.
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
    /// Microseconds to look for work before sleeping; the host has to kick a device that sleeps.
    #[arg(long, default_value_t = 50)]
    spin: u64,
    /// Print statistics every so many seconds.
    #[arg(long, value_name = "SECONDS")]
    statistics: Option<u64>,
    /// Print statistics as JSON, one object a line.
    #[arg(long)]
    json: bool,
    /// The link's properties.
    #[command(flatten, next_help_heading = "Link")]
    shape: Shape,
}

fn parse_mac(text: &str) -> Result<[u8; 6], String> {
    let bytes: Option<Vec<u8>> = text
        .split(':')
        .map(|byte| u8::from_str_radix(byte, 16).ok())
        .collect();
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| "an Ethernet address is six bytes such as 02:74:6f:65:00:01".into())
}

fn port(options: &Options) -> Result<Box<dyn EtherPort>> {
    let mut port: Box<dyn EtherPort> = match (&options.tap, &options.wire) {
        (Some(name), _) => Box::new(TapPort::open(name)?),
        (None, Some(path)) => Box::new(WirePort::open(path)?),
        (None, None) => Box::new(NoPort),
    };
    port = Box::new(Shaper::new(port, options.shape.clone()));
    if let Some(path) = &options.pcap {
        port = Box::new(Recorder::new(port, path)?);
    }
    Ok(port)
}

fn print_statistics(shared: &Shared, json: bool) {
    let statistics = shared.with(|nic| Statistics::new(nic));
    match serde_json::to_string(&statistics) {
        Ok(text) if json => println!("{text}"),
        _ => println!("{}", statistics.line()),
    }
}

fn run(options: &Options) -> Result<()> {
    let config = Config {
        contexts: options.contexts,
        pairs: options.pairs,
        connections: options.connections,
        entries: options.entries,
        mac: options.mac,
        stages: options.stages,
        ..Config::default()
    };
    if let Err(message) = config.check() {
        bail!(message);
    }
    let nic = Nic::new(config, port(options)?)?;
    let shared = Shared::new(nic, Duration::from_micros(options.spin));
    if let Some(path) = &options.control {
        control::listen(Arc::clone(&shared), path)?;
    }
    if let Some(seconds) = options.statistics {
        let (shared, json) = (Arc::clone(&shared), options.json);
        thread::spawn(move || loop {
            thread::sleep(Duration::from_secs(seconds.max(1)));
            print_statistics(&shared, json);
        });
    }
    server::serve(shared, &options.socket)
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("toe-nic: {error:#}");
            ExitCode::FAILURE
        }
    }
}
