//! `agent-presencew`: what Windows starts at login. It starts `agent-presence.exe run` without a console and ends.
//!
//! A program with a console shows a window for as long as it runs; this one has none, and what it starts gets one
//! that is never shown. Its arguments are handed on. On other systems it only says that it is not needed.
#![cfg_attr(windows, windows_subsystem = "windows")]

use std::process::ExitCode;

#[cfg(windows)]
fn main() -> ExitCode {
    use std::os::windows::process::CommandExt;
    use std::process::{Command, Stdio};

    /// The process flag of that name.
    const CREATE_NO_WINDOW: u32 = 0x0800_0000;

    let Ok(own) = std::env::current_exe() else { return ExitCode::FAILURE };
    let started = Command::new(own.with_file_name("agent-presence.exe"))
        .arg("run")
        .args(std::env::args_os().skip(1))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .creation_flags(CREATE_NO_WINDOW)
        .spawn();
    // Without a console nobody can be told why; the exit code is all there is.
    if started.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(not(windows))]
fn main() -> ExitCode {
    use std::io::Write;

    let message = "error: could not start: agent-presencew is for Windows\nhint: use `agent-presence run`";
    // Nobody is left to tell when standard error is gone.
    let _ = writeln!(std::io::stderr(), "{message}");
    ExitCode::FAILURE
}
