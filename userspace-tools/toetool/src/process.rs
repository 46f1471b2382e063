// SPDX-License-Identifier: GPL-2.0
//! Which processes hold a socket, from /proc, as ss(8) finds out.

use serde::Serialize;
use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::Path,
};

/// A process that holds a socket.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its command name.
    pub comm: String,
}

/// The processes that hold sockets, by the socket's inode. What the caller may not look into is left out.
pub fn holders(proc_dir: &Path) -> HashMap<u64, BTreeSet<Process>> {
    let mut holders: HashMap<u64, BTreeSet<Process>> = HashMap::new();
    for entry in fs::read_dir(proc_dir).into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let comm = fs::read_to_string(entry.path().join("comm")).unwrap_or_default().trim_end().to_string();
        for fd in fs::read_dir(entry.path().join("fd")).into_iter().flatten().flatten() {
            if let Some(inode) = fs::read_link(fd.path()).ok().as_deref().and_then(socket_inode) {
                holders.entry(inode).or_default().insert(Process { pid, comm: comm.clone() });
            }
        }
    }
    holders
}

fn socket_inode(link: &Path) -> Option<u64> {
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn holders__finds_this_process() {
        let (socket, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
        let link = fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap();
        let inode = socket_inode(&link).unwrap();
        let holders = holders(Path::new("/proc"));
        assert!(holders[&inode].iter().any(|p| p.pid == std::process::id() && !p.comm.is_empty()));
    }

    #[test]
    fn socket_inode__knows_sockets_from_files() {
        assert_eq!(socket_inode(Path::new("socket:[42]")), Some(42));
        assert_eq!(socket_inode(Path::new("pipe:[42]")), None);
        assert_eq!(socket_inode(Path::new("/dev/null")), None);
    }
}
