// SPDX-License-Identifier: GPL-2.0

//! Writes all frames of a port to a file that tcpdump and Wireshark read.

use super::{shape::Shape, EtherPort};
use anyhow::{Context, Result};
use std::{
    fs::File,
    io::{self, BufWriter, Write},
    os::fd::BorrowedFd,
    path::Path,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// Marks a file whose times are in nanoseconds.
const MAGIC: u32 = 0xa1b2_3c4d;
const LINKTYPE_ETHERNET: u32 = 1;
/// Longest piece of a frame that is written.
const SNAP: usize = 65535;

/// A port whose frames are recorded.
pub struct Recorder<P> {
    port: P,
    file: BufWriter<File>,
    failed: bool,
}

impl<P: EtherPort> Recorder<P> {
    /// Records the frames of `port` in the file `path`.
    pub fn new(port: P, path: &Path) -> Result<Self> {
        let create = || -> io::Result<_> {
            let mut file = BufWriter::new(File::create(path)?);
            file.write_all(&header())?;
            file.flush()?;
            Ok(file)
        };
        Ok(Self {
            port,
            file: create().with_context(|| format!("capture file {}", path.display()))?,
            failed: false,
        })
    }

    fn record(&mut self, frame: &[u8]) {
        if self.failed {
            return;
        }
        let time = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let snap = frame.get(..SNAP).unwrap_or(frame);
        let words = [
            time.as_secs() as u32,
            time.subsec_nanos(),
            snap.len() as u32,
            frame.len() as u32,
        ];
        let written = self
            .file
            .write_all(&words.map(u32::to_le_bytes).concat())
            .and_then(|()| self.file.write_all(snap));
        if let Err(error) = written {
            self.failed = true;
            eprintln!("toe-nic: the capture ends here: {error}");
        }
    }
}

fn header() -> Vec<u8> {
    let version = 2u32 | (4 << 16);
    [MAGIC, version, 0, 0, SNAP as u32, LINKTYPE_ETHERNET]
        .map(u32::to_le_bytes)
        .concat()
}

impl<P: EtherPort> EtherPort for Recorder<P> {
    fn receive(&mut self, frame: &mut [u8]) -> io::Result<Option<usize>> {
        let received = self.port.receive(frame)?;
        if let Some(frame) = received.and_then(|len| frame.get(..len)) {
            self.record(frame);
        }
        Ok(received)
    }

    fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        self.port.send(frame)?;
        self.record(frame);
        Ok(())
    }

    fn readable(&self) -> Option<BorrowedFd<'_>> {
        self.port.readable()
    }

    fn is_up(&mut self) -> bool {
        self.port.is_up()
    }

    fn tick(&mut self, now: Instant) -> Option<Instant> {
        self.port.tick(now)
    }

    fn rest(&mut self) {
        // An error shows with the next frame.
        let _ = self.file.flush();
        self.port.rest();
    }

    fn set_shape(&mut self, shape: &Shape) {
        self.port.set_shape(shape);
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::MemoryPort;
    use super::*;

    #[test]
    fn record__both_directions() {
        let path = std::env::temp_dir().join(format!("toe-nic-{}.pcap", std::process::id()));
        let port = MemoryPort::default();
        let mut recorder = Recorder::new(port.clone(), &path).unwrap();
        recorder.send(&[1; 60]).unwrap();
        port.frames().arriving.push_back(vec![2; 70]);
        recorder.receive(&mut [0; 100]).unwrap();
        recorder.rest();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(bytes.len(), 24 + 16 + 60 + 16 + 70);
        assert_eq!(bytes[24 + 8..24 + 16], [60, 0, 0, 0, 60, 0, 0, 0]);
        assert_eq!(bytes[40..100], [1; 60]);
        assert_eq!(bytes[116..], [2; 70]);
    }
}
