//! A server of files on this machine alone, which may cut a download short.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// Serves until the test ends.
pub(crate) struct Server {
    /// Without a slash at its end.
    pub(crate) url: String,
    files: Files,
    cut: Arc<Mutex<bool>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (files, cut) = (Files::default(), Arc::new(Mutex::new(false)));
        let (served, cuts) = (Arc::clone(&files), Arc::clone(&cut));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (served, cuts) = (Arc::clone(&served), Arc::clone(&cuts));
                std::thread::spawn(move || answer(stream, &served, &cuts));
            }
        });
        Self { url, files, cut }
    }

    /// Serves `content` at a path that begins with a slash.
    pub(crate) fn put(&self, path: &str, content: Vec<u8>) {
        self.files.lock().unwrap().insert(path.to_owned(), content);
    }

    /// From now on half of each file arrives.
    pub(crate) fn cut(&self) {
        *self.cut.lock().unwrap() = true;
    }
}

fn answer(mut stream: TcpStream, files: &Files, cut: &Mutex<bool>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let request = lines.next().and_then(Result::ok).unwrap_or_default();
    // A connection that is closed before all was read would be reset.
    for line in lines {
        if line.is_ok_and(|line| line.is_empty()) {
            break;
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default().replace("%2f", "/").replace("%2F", "/");
    let found = files.lock().unwrap().get(&path).cloned();
    let (status, body) = match found {
        Some(body) => ("200 OK", body),
        None => ("404 Not Found", b"{}".to_vec()),
    };
    let sent = if *cut.lock().unwrap() { &body[..body.len() / 2] } else { &body };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    // The other side may have gone away.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(sent));
}
