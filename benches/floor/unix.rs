//! The least that the same work takes: a session file that grows, a frame to a socket, nothing else.
//!
//! `floor FOLDER SOCKET` looks at each `.jsonl` file below FOLDER, because a session that goes on grows in the folder of the
//! day on which it began; follows those of the last day, and sends one activity for every piece of them that holds a usage
//! line, the first one at its start. No settings, no limits, no card: what it does not do is the price of the rest.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, read_dir};
use std::io::{Read, Result};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use notify::{EventKind, RecursiveMode, Watcher};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

const HANDSHAKE: u32 = 0;
const COMMAND: u32 = 1;

/// Files that changed within this time are followed.
const LIVE_FOR: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(folder), Some(socket)) = (arguments.next(), arguments.next()) else {
        return Err(std::io::Error::other("usage: floor FOLDER SOCKET"));
    };
    tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(follow(&folder, &socket))
}

async fn follow(folder: &Path, socket: &Path) -> Result<()> {
    let (changed, mut changes) = mpsc::unbounded_channel();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        if !matches!(event.kind, EventKind::Access(_)) {
            event.paths.into_iter().for_each(|path| drop(changed.send(path)));
        }
    })
    .map_err(std::io::Error::other)?;

    let mut discord = UnixStream::connect(socket).await?;
    send(&mut discord, HANDSHAKE, r#"{"v":1,"client_id":"1"}"#).await?;
    receive(&mut discord).await?;

    let mut sessions = Vec::new();
    look(folder, &mut sessions)?;
    let folders = sessions.iter().filter_map(|(_, path)| path.parent());
    for folder in folders.collect::<BTreeSet<_>>() {
        watcher.watch(folder, RecursiveMode::NonRecursive).map_err(std::io::Error::other)?;
    }
    sessions.sort();
    let mut next = sessions.pop().map(|(_, path)| path);
    let mut files = BTreeMap::new();
    for (_, path) in sessions {
        files.insert(path.clone(), File::open(path)?);
    }
    let mut bytes = Vec::new();
    let mut nonce = 0;
    loop {
        if let Some(path) = next.filter(|path| is_session(path)) {
            let file = match files.entry(path) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => {
                    let file = File::open(entry.key())?;
                    entry.insert(file)
                }
            };
            bytes.clear();
            file.read_to_end(&mut bytes)?;
            if memchr::memmem::find(&bytes, b"\"token_count\"").is_some() {
                nonce += 1;
                let pid = std::process::id();
                let activity = format!(r#"{{"details":"Thinking","state":"{} bytes"}}"#, bytes.len());
                let args = format!(r#"{{"pid":{pid},"activity":{activity}}}"#);
                let command = format!(r#"{{"cmd":"SET_ACTIVITY","nonce":"{nonce}","args":{args}}}"#);
                send(&mut discord, COMMAND, &command).await?;
                receive(&mut discord).await?;
            }
        }
        next = changes.recv().await;
        if next.is_none() {
            return Ok(());
        }
    }
}

/// The live sessions below a folder, and when they changed.
fn look(folder: &Path, sessions: &mut Vec<(SystemTime, PathBuf)>) -> Result<()> {
    for entry in read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            look(&entry.path(), sessions)?;
            continue;
        }
        let modified = entry.metadata()?.modified()?;
        if modified.elapsed().is_ok_and(|age| age < LIVE_FOR) && is_session(Path::new(&entry.file_name())) {
            sessions.push((modified, entry.path()));
        }
    }
    Ok(())
}

fn is_session(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "jsonl")
}

async fn send(discord: &mut UnixStream, opcode: u32, body: &str) -> Result<()> {
    let length = u32::try_from(body.len()).map_err(std::io::Error::other)?;
    let mut frame = [opcode.to_le_bytes(), length.to_le_bytes()].concat();
    frame.extend_from_slice(body.as_bytes());
    discord.write_all(&frame).await
}

async fn receive(discord: &mut UnixStream) -> Result<()> {
    let _opcode = discord.read_u32_le().await?;
    let length = discord.read_u32_le().await?;
    let mut body = vec![0; usize::try_from(length).map_err(std::io::Error::other)?];
    discord.read_exact(&mut body).await.map(drop)
}
