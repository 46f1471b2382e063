// SPDX-License-Identifier: GPL-2.0

//! Instructions per segment: counted by stepping through a child process one at a time, so exact, repeatable, and
//! independent of performance counters, which virtual machines often lack.

mod workload;

use nix::sys::ptrace;
use nix::sys::signal::{raise, Signal};
use nix::sys::wait::{waitpid, WaitStatus};
use nix::unistd::Pid;
use std::error::Error;
use std::process::{Command, Stdio};
use workload::{BATCH, WORKLOADS};

/// Says to the child which workload to run, and how many segments.
const CHILD: &str = "DATAPATH_BENCH_INSTRUCTIONS";
const FEW: u32 = 4;
const MANY: u32 = FEW + 200;
const _: () = assert!(MANY + WARM_UP <= BATCH);
const WARM_UP: u32 = 100;

fn main() {
    if let Ok(task) = std::env::var(CHILD) {
        run_child(&task);
        return;
    }
    for (name, _) in WORKLOADS {
        // The difference between two runs is free of what begins and ends them.
        match count(name, MANY).and_then(|many| Ok(many - count(name, FEW)?)) {
            Ok(steps) => {
                let each = steps as f64 / f64::from(MANY - FEW);
                println!("instructions/{name:<12} {each:8.1} per segment");
            }
            Err(error) => println!("instructions/{name:<12}      n/a ({error})"),
        }
    }
}

/// Runs a workload between two signals, at which the parent begins and ends to count.
fn run_child(task: &str) {
    let (name, segments) = task.split_once(' ').expect("name and number");
    let segments: u32 = segments.parse().expect("a number");
    let (_, make) = WORKLOADS
        .iter()
        .find(|(known, _)| *known == name)
        .expect("a workload");
    let mut workload = make();
    for _ in 0..WARM_UP {
        workload.step();
    }
    workload.refill();
    ptrace::traceme().expect("to be traced");
    raise(Signal::SIGUSR1).expect("a signal");
    for _ in 0..segments {
        workload.step();
    }
    raise(Signal::SIGUSR2).expect("a signal");
    workload.check();
}

fn count(name: &str, segments: u32) -> Result<u64, Box<dyn Error>> {
    let mut child = Command::new(std::env::current_exe()?)
        .env(CHILD, format!("{name} {segments}"))
        .stdin(Stdio::null())
        .spawn()?;
    let steps = step_through(Pid::from_raw(child.id() as i32));
    if steps.is_err() {
        let _ = child.kill();
    }
    let _ = child.wait();
    steps
}

fn step_through(child: Pid) -> Result<u64, Box<dyn Error>> {
    expect(child, Signal::SIGUSR1)?;
    let mut steps = 0;
    loop {
        ptrace::step(child, None)?;
        match waitpid(child, None)? {
            WaitStatus::Stopped(_, Signal::SIGTRAP) => steps += 1,
            WaitStatus::Stopped(_, Signal::SIGUSR2) => break,
            other => return Err(format!("unexpected {other:?}").into()),
        }
    }
    ptrace::cont(child, None)?;
    match waitpid(child, None)? {
        WaitStatus::Exited(_, 0) => Ok(steps),
        other => Err(format!("unexpected {other:?}").into()),
    }
}

fn expect(child: Pid, signal: Signal) -> Result<(), Box<dyn Error>> {
    match waitpid(child, None)? {
        WaitStatus::Stopped(_, stopped) if stopped == signal => Ok(()),
        other => Err(format!("unexpected {other:?}").into()),
    }
}
