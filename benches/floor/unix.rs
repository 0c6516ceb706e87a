//! The least that the same work takes: a session file that grows, a frame to a socket, nothing else.
//!
//! `floor FOLDER SOCKET` follows the `.jsonl` files in FOLDER and sends one activity for every piece of them that holds a
//! usage line, the first one at its start. No settings, no limits, no card: what it does not do is the price of the rest.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::{Read, Result};
use std::path::{Path, PathBuf};

use notify::{EventKind, RecursiveMode, Watcher};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

const HANDSHAKE: u32 = 0;
const COMMAND: u32 = 1;

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
    watcher.watch(folder, RecursiveMode::NonRecursive).map_err(std::io::Error::other)?;

    let mut discord = UnixStream::connect(socket).await?;
    send(&mut discord, HANDSHAKE, r#"{"v":1,"client_id":"1"}"#).await?;
    receive(&mut discord).await?;

    let sessions = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut sessions: Vec<PathBuf> = sessions.filter(|path| is_session(path)).collect();
    sessions.sort();
    let mut next = sessions.pop();
    let mut files = BTreeMap::new();
    for path in sessions {
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
