//! WSL on a Windows machine: its systems, and the settings for them as remotes.

/// The systems that `wsl.exe --list --quiet` prints: UTF-16, one per line.
pub fn systems(listed: &[u8]) -> Vec<String> {
    let units: Vec<u16> =
        listed.chunks_exact(2).filter_map(|pair| Some(u16::from_le_bytes(pair.try_into().ok()?))).collect();
    let text = match listed.contains(&0) {
        true => String::from_utf16_lossy(&units),
        // The output if WSL_UTF8 is set.
        false => String::from_utf8_lossy(listed).into_owned(),
    };
    let names = text.lines().map(|line| line.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}'));
    let is_plain = |name: &&str| !name.is_empty() && !name.chars().any(|c| c.is_control() || c == '"');
    // Docker's own systems have no user.
    names.filter(is_plain).filter(|name| !name.starts_with("docker-desktop")).map(str::to_owned).collect()
}

/// The lines of the settings file for a system.
pub fn lines(system: &str) -> String {
    let command = ["wsl.exe", "-d", system, "--exec", "agent-presence", "watch", "--json", "--alive", "60s"];
    format!("[[remote]]\nname = \"wsl\"\ncommand = {command:?}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ConfigContext, Effective};

    #[test]
    fn wsl_systems_are_found_in_both_encodings_and_give_valid_settings() {
        let listed = "Ubuntu-24.04\r\ndocker-desktop\r\nMy Debian\r\n\r\n";
        let wide: Vec<u8> = listed.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for listed in [wide.as_slice(), listed.as_bytes()] {
            assert_eq!(systems(listed), ["Ubuntu-24.04", "My Debian"]);
        }
        assert_eq!(systems(b""), [""; 0]);
        let read = Effective::read(&lines("My Debian"), &ConfigContext::default());
        assert_eq!((read.issues, read.settings.remotes[0].command[2].as_str()), (Vec::new(), "My Debian"));
    }
}
