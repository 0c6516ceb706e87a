//! The packages: written from one description, in step with the version and the sums, and installed as a user would.
//!
//! `packaging/generate.py` needs Python 3.11, the packages for npm need Node, the installer a shell and curl; where one is
//! missing, its tests say so and end. The programs that they install are scripts that call the program under test.

mod generate;
mod installer;
mod npm;
mod server;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The systems that the description names, as `dist` names them.
pub(crate) const SYSTEMS: [&str; 6] =
    ["linux-x64", "linux-arm64", "macos-x64", "macos-arm64", "windows-x64", "windows-arm64"];

/// Whether `program` can be run, which its caller needs.
pub(crate) fn has(program: &str, arguments: &[&str]) -> bool {
    let has = Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success());
    if !has {
        eprintln!("skipped: there is no {program} that understands {arguments:?}");
    }
    has
}

pub(crate) fn has_python() -> bool {
    has("python3", &["-c", "import tomllib"])
}

/// A copy of what the generator reads, beside a `dist` with a program and an archive for each system.
pub(crate) struct Release {
    folder: tempfile::TempDir,
}

impl Release {
    /// Archives that only have names and sums.
    pub(crate) fn new() -> Self {
        let release = Self { folder: tempfile::tempdir().unwrap() };
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        copy(&root.join("packaging"), &release.path("packaging"));
        fs::copy(root.join("Cargo.toml"), release.path("Cargo.toml")).unwrap();
        for system in SYSTEMS {
            let (os, arch) = system.split_once('-').unwrap();
            let names: &[&str] = match os {
                "windows" => &["agent-presence.exe", "agent-presencew.exe"],
                _ => &["agent-presence"],
            };
            for name in names {
                release.write(&format!("dist/{os}/{arch}/{name}"), &program());
            }
            release.write(&format!("dist/packages/{}", asset(system)), system);
        }
        release.write(&format!("dist/packages/{}", asset("source")), "sources");
        release.sum();
        release
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// Writes a file that may be executed.
    pub(crate) fn write(&self, below: &str, text: &str) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Writes `SHA256SUMS` of what is in `dist`.
    pub(crate) fn sum(&self) {
        let script = "import hashlib, pathlib\n\
            paths = sorted(path for top in ('linux', 'macos', 'windows', 'packages') for path in pathlib.Path(top).rglob('*'))\n\
            files = [path for path in paths if path.is_file()]\n\
            lines = [f'{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.as_posix()}\\n' for path in files]\n\
            pathlib.Path('SHA256SUMS').write_text(''.join(lines))";
        succeed(Command::new("python3").args(["-c", script]).current_dir(self.path("dist")));
    }

    /// The sum of an archive.
    pub(crate) fn sum_of(&self, system: &str) -> String {
        let sums = fs::read_to_string(self.path("dist/SHA256SUMS")).unwrap();
        let name = format!("  packages/{}", asset(system));
        sums.lines().find_map(|line| line.strip_suffix(&name)).unwrap().to_owned()
    }

    /// Runs the generator.
    pub(crate) fn generate(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("python3");
        command.arg("-B").arg(self.path("packaging/generate.py")).args(arguments).output().unwrap()
    }

    /// Every file below `dist/channels` with its path there.
    pub(crate) fn channels(&self) -> Vec<(String, Vec<u8>)> {
        let root = self.path("dist/channels");
        let mut found = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let below = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                    found.push((below, fs::read(&path).unwrap()));
                }
            }
        }
        found.sort();
        found
    }
}

/// The name of a file of the release.
pub(crate) fn asset(system: &str) -> String {
    let end = if system.starts_with("windows") { "zip" } else { "tar.gz" };
    format!("agent-presence-{VERSION}-{system}.{end}")
}

/// A program that becomes the one under test.
pub(crate) fn program() -> String {
    format!("#!/bin/sh\nexec '{}' \"$@\"\n", env!("CARGO_BIN_EXE_agent-presence"))
}

/// This machine's name in `dist`.
pub(crate) fn this_system() -> String {
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    format!("{}-{arch}", std::env::consts::OS)
}

#[track_caller]
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// All that was printed.
pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
