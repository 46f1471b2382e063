// SPDX-License-Identifier: GPL-2.0
//! Runs a program with its TCP sockets turned into AF_TOE sockets. See toe_run(1).

#![cfg_attr(test, allow(non_snake_case))]

use clap::Parser;
use std::{
    env,
    ffi::{OsStr, OsString},
    fmt, io,
    os::unix::{ffi::OsStrExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

/// `IPPROTO_TOE` of `uapi/toe.h`.
const IPPROTO_TOE: i32 = 257;

/// The library that replaces socket(2).
const LIBRARY: &str = "libtoe_preload.so";

/// Where the library is installed, should it not lie beside this program.
const LIBRARY_DIRS: &[&str] = &["/usr/local/lib/toe", "/usr/lib/toe"];

/// Run a program with its TCP sockets turned into AF_TOE sockets.
#[derive(Debug, Parser)]
#[command(
    name = "toe_run",
    version,
    after_help = "Exit status: that of PROGRAM; 125 if toe_run failed, 126 if PROGRAM can't be run, 127 if there is none.\n\
        Environment: TOE_RUN_DISABLE=1 has PROGRAM use kernel TCP."
)]
struct Cli {
    /// Fail if the kernel has no AF_TOE, instead of falling back to kernel TCP.
    #[arg(short, long)]
    strict: bool,

    /// Don't warn when the kernel has no AF_TOE.
    #[arg(short, long, conflicts_with = "strict")]
    quiet: bool,

    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM")]
    command: Vec<OsString>,
}

/// Why the program was not run.
#[derive(Debug)]
enum Error {
    NoModule,
    NoLibrary(Vec<PathBuf>),
    BadLibraryPath(PathBuf),
    Exec(OsString, io::Error),
}

impl Error {
    /// As env(1) and nohup(1) have it.
    fn exit_code(&self) -> u8 {
        match self {
            Self::Exec(_, e) if e.kind() == io::ErrorKind::NotFound => 127,
            Self::Exec(..) => 126,
            _ => 125,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoModule => f.write_str("no AF_TOE in this kernel: load the module with 'modprobe toe'"),
            Self::NoLibrary(tried) => {
                write!(f, "no {LIBRARY}: install it beside toe_run or in one of")?;
                tried.iter().try_for_each(|dir| write!(f, " {}", dir.display()))
            }
            Self::BadLibraryPath(path) => {
                write!(f, "{}: a path with a space or colon can't be preloaded: install it elsewhere", path.display())
            }
            Self::Exec(program, error) => write!(f, "{}: {error}", program.to_string_lossy()),
        }
    }
}

fn main() -> ExitCode {
    let error = run(&Cli::parse());
    eprintln!("toe_run: {error}");
    ExitCode::from(error.exit_code())
}

/// Becomes the program; returns only if it can't.
fn run(cli: &Cli) -> Error {
    if (cli.strict || !cli.quiet) && !module_loaded() {
        if cli.strict {
            return Error::NoModule;
        }
        eprintln!("toe_run: using kernel TCP: {}", Error::NoModule);
    }
    let library = match find_library(&library_dirs()) {
        Ok(library) => library,
        Err(error) => return error,
    };
    let mut command = Command::new(&cli.command[0]);
    command.args(&cli.command[1..]).env("LD_PRELOAD", preload(&library, env::var_os("LD_PRELOAD")));
    Error::Exec(cli.command[0].clone(), command.exec())
}

/// Whether the kernel makes AF_TOE sockets.
fn module_loaded() -> bool {
    let socket = |domain| {
        socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::from(IPPROTO_TOE))).is_ok()
    };
    socket(socket2::Domain::IPV4) || socket(socket2::Domain::IPV6)
}

/// Directories to look into, the one this program lies in first.
fn library_dirs() -> Vec<PathBuf> {
    let own = env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_path_buf));
    own.into_iter().chain(LIBRARY_DIRS.iter().map(PathBuf::from)).collect()
}

fn find_library(dirs: &[PathBuf]) -> Result<PathBuf, Error> {
    let found = dirs.iter().map(|dir| dir.join(LIBRARY)).find(|path| path.is_file());
    let library = found.ok_or_else(|| Error::NoLibrary(dirs.to_vec()))?;
    // ld.so(8) splits LD_PRELOAD at both.
    match library.as_os_str().as_bytes().iter().any(|b| b" :".contains(b)) {
        true => Err(Error::BadLibraryPath(library)),
        false => Ok(library),
    }
}

/// LD_PRELOAD with `library` ahead of what it held, and only once.
fn preload(library: &Path, before: Option<OsString>) -> OsString {
    let mut value = library.as_os_str().to_os_string();
    for other in before.unwrap_or_default().as_bytes().split(|b| b" :".contains(b)).map(OsStr::from_bytes) {
        if !other.is_empty() && other != library {
            value.push(":");
            value.push(other);
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn cli__takes_the_programs_options_as_its_own() {
        Cli::command().debug_assert();
        let cli = Cli::try_parse_from(["toe_run", "-q", "redis-server", "--port", "7", "-s"]).unwrap();
        assert!(cli.quiet && !cli.strict);
        assert_eq!(cli.command, ["redis-server", "--port", "7", "-s"]);
        assert!(Cli::try_parse_from(["toe_run"]).is_err());
    }

    #[test]
    fn preload__keeps_what_was_there_and_comes_first_once() {
        let library = Path::new("/usr/lib/toe/libtoe_preload.so");
        let value = |before: Option<&str>| preload(library, before.map(OsString::from)).into_string().unwrap();
        assert_eq!(value(None), "/usr/lib/toe/libtoe_preload.so");
        assert_eq!(value(Some("a.so b.so")), "/usr/lib/toe/libtoe_preload.so:a.so:b.so");
        assert_eq!(value(Some("a.so:/usr/lib/toe/libtoe_preload.so")), "/usr/lib/toe/libtoe_preload.so:a.so");
    }

    #[test]
    fn find_library__refuses_a_path_that_would_be_split() {
        let dir = env::temp_dir().join(format!("toe run test {}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join(LIBRARY), "").unwrap();
        let found = find_library(std::slice::from_ref(&dir));
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(matches!(found, Err(Error::BadLibraryPath(_))));
    }

    #[test]
    fn find_library__says_where_it_looked() {
        let error = find_library(&[PathBuf::from("/nowhere")]).unwrap_err();
        assert_eq!(error.exit_code(), 125);
        assert!(error.to_string().contains("/nowhere"));
    }
}
