// SPDX-License-Identifier: GPL-2.0

//! A socket by which tests make the device fail.
//!
//! A line is a command, and is answered by a line: `ok`, or what is wrong, or statistics as JSON.

use crate::{device::Fault, server::Shared, statistics::Statistics};
use anyhow::{Context, Result};
use std::{
    io::{self, BufRead, BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::Arc,
    thread,
};

/// Answers commands at the UNIX socket `path` from now on.
pub fn listen(shared: Arc<Shared>, path: &Path) -> Result<()> {
    // What is left of a server that didn't end well.
    let _ = std::fs::remove_file(path);
    let listener =
        UnixListener::bind(path).with_context(|| format!("control socket {}", path.display()))?;
    thread::Builder::new()
        .name("control".into())
        .spawn(move || {
            for stream in listener.incoming().flatten() {
                // Whoever goes away in the middle doesn't want the answer.
                let _ = serve(&shared, stream);
            }
        })?;
    Ok(())
}

fn serve(shared: &Shared, stream: UnixStream) -> io::Result<()> {
    let mut writer = stream.try_clone()?;
    for line in BufReader::new(stream).lines() {
        let answer = execute(shared, line?.trim());
        writer.write_all(answer.as_bytes())?;
        writer.write_all(b"\n")?;
    }
    Ok(())
}

fn execute(shared: &Shared, command: &str) -> String {
    let fault = match command {
        "hang" => Fault::Hang,
        "gone" => Fault::Gone,
        "resume" => Fault::None,
        "statistics" => {
            let statistics = Statistics::new(&shared.with(|nic| nic.statistics()));
            return serde_json::to_string(&statistics).unwrap_or_else(|error| error.to_string());
        }
        "exit" => std::process::exit(0),
        _ => return "commands are: hang, gone, resume, statistics, exit".into(),
    };
    shared.with(|nic| nic.set_fault(fault));
    shared.wake();
    "ok".into()
}
