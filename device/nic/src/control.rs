// SPDX-License-Identifier: GPL-2.0

//! A socket by which tests make the device fail and the link bad.
//!
//! A line is a command, and is answered by a line: `ok`, or what is wrong, or statistics as JSON.

use crate::{device::Fault, port::shape::Shape, server::Shared, statistics::Statistics};
use anyhow::{Context, Result};
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::Arc,
    thread,
};

/// Bytes of the longest command; who sends longer ones isn't heard any more.
const MAX_LINE: u64 = 1024;

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
                let shared = Arc::clone(&shared);
                // Whoever goes away in the middle doesn't want the answer.
                thread::spawn(move || serve(&shared, stream));
            }
        })?;
    Ok(())
}

fn serve(shared: &Shared, stream: UnixStream) -> io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while reader
        .by_ref()
        .take(MAX_LINE)
        .read_until(b'\n', &mut line)?
        > 0
    {
        if line.len() as u64 == MAX_LINE {
            break;
        }
        let mut answer = execute(shared, String::from_utf8_lossy(&line).trim());
        answer.push('\n');
        writer.write_all(answer.as_bytes())?;
        line.clear();
    }
    Ok(())
}

fn execute(shared: &Shared, line: &str) -> String {
    let mut words = line.split_whitespace();
    let result = match words.next().unwrap_or_default() {
        "link" => Shape::parse(words).map(|shape| shared.with(|nic| nic.set_shape(&shape))),
        "nonsense" => nonsense(words).and_then(|nonsense| fault(shared, nonsense)),
        command => match (command, words.next()) {
            ("hang", None) => fault(shared, Fault::Hang),
            ("gone", None) => fault(shared, Fault::Gone),
            ("resume", None) => fault(shared, Fault::None),
            ("statistics", None) => return statistics(shared),
            ("exit", None) => std::process::exit(0),
            _ => Err(
                "error: commands are: hang, gone, nonsense SEED [ONE-IN], resume, link [NAME=VALUE...], statistics, exit"
                    .into(),
            ),
        },
    };
    shared.wake();
    result.map_or_else(|error| error, |()| "ok".into())
}

/// The fault that `SEED [ONE-IN]` are the arguments of.
fn nonsense<'a>(words: impl Iterator<Item = &'a str>) -> Result<Fault, String> {
    let numbers: Option<Vec<u64>> = words.map(|word| word.parse().ok()).collect();
    let (seed, one_in) = match numbers.as_deref() {
        Some([seed]) => (*seed, 4),
        Some([seed, one_in @ 1..=0xffff_ffff]) => (*seed, *one_in as u32),
        _ => return Err("error: nonsense takes a seed, and one in how many: two numbers".into()),
    };
    Ok(Fault::Nonsense { seed, one_in })
}

fn fault(shared: &Shared, fault: Fault) -> Result<(), String> {
    shared.with(|nic| nic.set_fault(fault));
    Ok(())
}

fn statistics(shared: &Shared) -> String {
    let statistics = shared.with(|nic| Statistics::new(nic));
    serde_json::to_string(&statistics).unwrap_or_else(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        device::{Config, Nic},
        port::EtherPort,
    };
    use std::{os::fd::BorrowedFd, sync::Mutex, time::Duration};

    /// A port that remembers what shape it was given.
    struct Told(Arc<Mutex<Shape>>);

    impl EtherPort for Told {
        fn receive(&mut self, _: &mut [u8]) -> io::Result<Option<usize>> {
            Ok(None)
        }

        fn send(&mut self, _: &[u8]) -> io::Result<()> {
            Ok(())
        }

        fn readable(&self) -> Option<BorrowedFd<'_>> {
            None
        }

        fn is_up(&mut self) -> bool {
            true
        }

        fn set_shape(&mut self, shape: &Shape) {
            *self.0.lock().unwrap() = shape.clone();
        }
    }

    fn ask(stream: &mut BufReader<UnixStream>, command: &str) -> String {
        let line = format!("{command}\r\n");
        stream.get_mut().write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    }

    #[test]
    fn listen__the_link_is_shaped_over_several_connections() {
        let path = std::env::temp_dir().join(format!("toe-nic-{}.control", std::process::id()));
        let told = Arc::new(Mutex::new(Shape::default()));
        let nic = Nic::new(Config::default(), Box::new(Told(Arc::clone(&told)))).unwrap();
        listen(Shared::new(nic, Duration::ZERO), &path).unwrap();
        let connect = || BufReader::new(UnixStream::connect(&path).unwrap());
        let (mut first, mut second) = (connect(), connect());
        let loss = || told.lock().unwrap().loss;
        assert_eq!(ask(&mut first, "link loss=10000 delay=100"), "ok");
        assert_eq!(loss(), 10_000);
        assert!(ask(&mut second, "link loss=1000001").starts_with("error: "));
        assert!(ask(&mut second, "statistics now").starts_with("error: "));
        for arguments in ["", " x", " 1 0", " 1 2 3"] {
            let answer = ask(&mut second, &format!("nonsense{arguments}"));
            assert!(answer.starts_with("error: "), "{arguments}");
        }
        assert_eq!(ask(&mut second, "nonsense 1 100"), "ok");
        assert!(ask(&mut second, "statistics").starts_with('{'));
        assert_eq!(loss(), 10_000);
        assert_eq!(ask(&mut second, "link"), "ok");
        assert!(told.lock().unwrap().is_plain());
        assert_eq!(ask(&mut first, &"x".repeat(2000)), "");
        std::fs::remove_file(&path).unwrap();
    }
}
