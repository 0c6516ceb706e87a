//! Offers to listen to WSL on Windows: prints the settings lines to add. Only the user knows what is installed there.

use std::process::{Command, Stdio};

use crate::core::remote::wsl;
use crate::host::Places;

/// The message; `None` if there is no WSL, or if remotes are set already.
pub(super) fn offer(places: &Places) -> Option<String> {
    if !cfg!(windows) || !places.effective.settings.remotes.is_empty() {
        return None;
    }
    let mut list = Command::new("wsl.exe");
    list.args(["--list", "--quiet"]).stdin(Stdio::null()).stderr(Stdio::null());
    let listed = list.output().ok().filter(|output| output.status.success())?;
    let system = wsl::systems(&listed.stdout).into_iter().next()?;
    Some(format!(
        "WSL is here ({system}). To show its sessions, install agent-presence there and add to {}:\n\n{}\n",
        places.config.path.display(),
        wsl::lines(&system)
    ))
}
