//! The control channel from outside: raw bytes to a daemon, and something that pretends to be one.

#[cfg(windows)]
use std::fs::File;
#[cfg(unix)]
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
#[cfg(unix)]
use std::os::unix::net::{UnixListener, UnixStream};
#[cfg(unix)]
use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::process::{Child, Command};
#[cfg(unix)]
use std::sync::{Arc, Mutex};

#[cfg(unix)]
use agent_presence::core::takeover::{LockRecord, Process};
#[cfg(unix)]
use agent_presence::io::instance;
#[cfg(unix)]
use agent_presence::io::process;
use serde_json::{Value, json};

#[cfg(unix)]
use super::PATIENCE;
use super::home::Home;

/// A connection.
#[cfg(unix)]
pub(crate) type Stream = UnixStream;
/// A connection: a pipe is opened like a file.
#[cfg(windows)]
pub(crate) type Stream = File;

/// Where the daemon of this home listens.
#[cfg(unix)]
pub(crate) fn socket(home: &Home) -> PathBuf {
    home.state().join("control.sock")
}

/// A connection to the daemon, as soon as an instance of its pipe is free.
#[cfg(windows)]
pub(crate) fn connect(home: &Home) -> BufReader<Stream> {
    use agent_presence::control::transport::Address;
    use agent_presence::io::paths::Environment;

    /// `ERROR_PIPE_BUSY`
    const PIPE_BUSY: i32 = 231;
    let place = Address::of(&home.state(), &Environment::default());
    loop {
        match File::options().read(true).write(true).open(place.name()) {
            Err(error) if error.raw_os_error() == Some(PIPE_BUSY) => std::thread::yield_now(),
            opened => return BufReader::new(opened.unwrap()),
        }
    }
}

/// A connection to the daemon. Reading ends in time.
#[cfg(unix)]
pub(crate) fn connect(home: &Home) -> BufReader<Stream> {
    let stream = UnixStream::connect(socket(home)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    BufReader::new(stream)
}

/// Sends one line.
pub(crate) fn say(stream: &mut BufReader<Stream>, line: &str) {
    stream.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// The next line; `None` when the other end has gone.
pub(crate) fn hear(stream: &mut BufReader<Stream>) -> Option<Value> {
    let mut line = String::new();
    match stream.read_line(&mut line) {
        Ok(length) if length > 0 => Some(serde_json::from_str(&line).unwrap()),
        Ok(_) => None,
        // It was closed before it had read everything.
        Err(error) => {
            use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
            assert!(matches!(error.kind(), BrokenPipe | ConnectionReset), "{error}");
            None
        }
    }
}

/// Sends one line and gives the answer.
#[track_caller]
pub(crate) fn ask(home: &Home, line: &str) -> Value {
    let mut stream = connect(home);
    say(&mut stream, line);
    hear(&mut stream).unwrap()
}

/// A request as this version writes it.
pub(crate) fn request(verb: &str, more: Value) -> String {
    let mut request = json!({"protocol": 1, "version": "0.1.0", "verb": verb});
    request.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    request.to_string()
}

/// The lock of a home that the test itself keeps, with a record that names another process or none: this test's own
/// process must never be the one that is to be ended.
#[cfg(unix)]
pub(crate) struct Held(File);

#[cfg(unix)]
impl Held {
    pub(crate) fn new(home: &Home, record: Option<&str>) -> Self {
        fs::create_dir_all(home.state()).unwrap();
        let file = File::create(home.state().join("instance.lock")).unwrap();
        fs2::FileExt::try_lock_exclusive(&file).unwrap();
        if let Some(record) = record {
            fs::write(home.state().join("instance.json"), record).unwrap();
        }
        Self(file)
    }

    pub(crate) fn release(&self) {
        fs2::FileExt::unlock(&self.0).unwrap();
    }
}

/// A process that is no instance of ours.
#[cfg(unix)]
pub(crate) struct Stranger(Child);

#[cfg(unix)]
impl Stranger {
    pub(crate) fn new() -> Self {
        Self(Command::new("sleep").arg("1000").spawn().unwrap())
    }

    /// A record that would be right for this process.
    pub(crate) fn record(&self) -> Value {
        let pid = self.0.id();
        // Between fork and exec it still runs the test's own program.
        let sleeps = |process: &Process| {
            process.exe.as_ref().is_some_and(|exe| *exe != std::env::current_exe().unwrap())
        };
        let process = loop {
            if let Some(process) = process::look(pid).filter(sleeps) {
                break process;
            }
            std::thread::yield_now();
        };
        let own = instance::own_record();
        let record = LockRecord {
            pid,
            start_time: process.start_time,
            exe: process.exe,
            exe_file: process.exe_file,
            uid: process.uid,
            sid: process.sid,
            ..own
        };
        serde_json::to_value(record).unwrap()
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

#[cfg(unix)]
impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Something that answers every request with one line, or takes them and says nothing.
#[cfg(unix)]
#[derive(Clone)]
pub(crate) struct Scripted(Arc<Mutex<Vec<Value>>>);

#[cfg(unix)]
impl Scripted {
    /// `then` is called after each answer, with the connection.
    pub(crate) fn listen(
        path: &Path,
        answer: Option<Value>,
        then: impl Fn(BufReader<UnixStream>) + Send + 'static,
    ) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        // It ends with the test's process.
        std::thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let Some(answer) = &answer else {
                    silent.push(stream);
                    continue;
                };
                if let Some(request) = hear(&mut stream) {
                    kept.lock().unwrap().push(request);
                    say(&mut stream, &answer.to_string());
                    then(stream);
                }
            }
        });
        Self(requests)
    }

    pub(crate) fn requests(&self) -> Vec<Value> {
        self.0.lock().unwrap().clone()
    }
}
