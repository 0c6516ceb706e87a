//! Finds the process that listens at a socket, without connecting to it.

use std::path::Path;

#[cfg(any(target_os = "linux", target_os = "android"))]
use crate::io::real_path::is_same;

/// The process that listens at the socket `path`; `None` if the system does not report it, or several do.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn who_listens(path: &Path) -> Option<u32> {
    let sockets = std::fs::read_to_string("/proc/net/unix").ok()?;
    let links: Vec<String> =
        listening_inodes(&sockets, path).map(|inode| format!("socket:[{inode}]")).collect();
    let holds_one = |pid: &u32| {
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let mut targets = files.filter_map(|file| std::fs::read_link(file.path()).ok());
        targets.any(|target| links.iter().any(|link| target.as_os_str() == link.as_str()))
    };
    let names = std::fs::read_dir("/proc").ok()?.flatten().map(|entry| entry.file_name());
    let pids = names.filter_map(|name| name.to_str()?.parse().ok());
    let mut found = pids.filter(holds_one);
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// Not available here without `unsafe` code.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub fn who_listens(_: &Path) -> Option<u32> {
    None
}

/// The inodes of the listening sockets of `/proc/net/unix` that were bound to `path`; its folder may be spelled
/// differently there.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn listening_inodes<'a>(sockets: &'a str, path: &'a Path) -> impl Iterator<Item = &'a str> {
    /// `SO_ACCEPTCON`
    const LISTENS: u32 = 0x1_0000;
    sockets.lines().filter_map(move |line| {
        // Num RefCount Protocol Flags Type St Inode Path
        let mut fields = line.split_ascii_whitespace().skip(3);
        let flags = u32::from_str_radix(fields.next()?, 16).ok()?;
        let inode = fields.nth(2)?;
        let (_, bound) = line.split_once(inode)?;
        let bound = Path::new(bound.trim_start());
        let is_it = bound == path || bound.file_name() == path.file_name() && is_same(bound, path);
        (flags & LISTENS != 0 && is_it).then_some(inode)
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::io::clock;

    #[test]
    fn the_listening_socket_is_found_in_the_systems_list() {
        let list = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 23456 /no/such run/discord-ipc-0\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 34567 /no/such run/discord-ipc-0\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 45678 /no/such run/discord-ipc-1\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 56789 /gone as well/discord-ipc-0\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 67890\n";
        let found: Vec<&str> = listening_inodes(list, Path::new("/no/such run/discord-ipc-0")).collect();
        assert_eq!(found, ["23456"]);
    }

    #[test]
    fn this_process_is_found_behind_its_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        assert_eq!(who_listens(&path), None);
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        // A process that another test starts has a copy of the socket until it runs its program.
        let becomes = |expected: Option<u32>| {
            let until = clock::now().mono + Duration::from_secs(20);
            std::iter::from_fn(|| (clock::now().mono < until).then(|| who_listens(&path)))
                .any(|found| found == expected)
        };
        assert!(becomes(Some(std::process::id())));
        drop(listener);
        assert!(becomes(None));
    }
}
