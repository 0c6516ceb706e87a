//! One running command of a remote: its lines, and its end together with all that it has started.
//!
//! Its standard input is open for as long as it is to run. A command that reads it notices when nobody listens any more, also
//! where this process is killed. What it says is bounded, line by line and by the second.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::control::client::next_line;
use crate::core::remote::{Ending, LONGEST_LINE};

/// How long a command may take to end itself.
const GRACE: Duration = Duration::from_millis(500);

/// Lines that may come at once; then so many a second.
const AT_ONCE: u32 = 2000;
const A_SECOND: u32 = 200;

/// How much of its standard error is kept.
const SAID: usize = 4096;

/// What a command has said, or become.
#[derive(Debug)]
pub(crate) struct Heard {
    /// Which start of a command it is about.
    pub(crate) start: u64,
    /// What.
    pub(crate) what: What,
}

/// What there is to hear of a command.
#[derive(Debug)]
pub(crate) enum What {
    /// One line.
    Line(Vec<u8>),
    /// It tells more than can be true, and is read slowly.
    Slowed,
    /// A line that has no end.
    Endless,
    /// It has ended.
    Ended(Ending),
}

/// A command that runs; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    task: JoinHandle<()>,
    /// Dropped, it ends the command.
    stop: oneshot::Sender<()>,
}

impl Process {
    /// Starts a command, without a shell and in a process group of its own. Belongs inside a tokio runtime.
    ///
    /// # Errors
    /// There is no such program, or it may not be started.
    pub(crate) fn start(command: &[String], start: u64, heard: mpsc::Sender<Heard>) -> io::Result<Self> {
        let mut child = spawn(command)?;
        let group = Group::of(&child);
        let streams = child.stdout.take().zip(child.stderr.take());
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let listening = async {
                if let Some((out, err)) = streams {
                    listen(&mut child, out, err, start, &heard).await;
                }
            };
            let is_over = tokio::select! {
                () = listening => true,
                _ = stopped => false,
            };
            if !is_over {
                drop(child.stdin.take());
                group.ask();
                // One that does not end itself is ended with the group.
                let _ = timeout(GRACE, child.wait()).await;
            }
        });
        Ok(Self { task, stop })
    }

    /// Ends the command; it is over when the task is.
    pub(crate) fn end(self) -> JoinHandle<()> {
        let Self { task, stop } = self;
        drop(stop);
        task
    }
}

fn spawn(command: &[String]) -> io::Result<Child> {
    let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    #[cfg(unix)]
    command.process_group(0);
    #[cfg(windows)]
    {
        /// No console appears.
        const CREATE_NO_WINDOW: u32 = 0x0800_0000;
        command.creation_flags(CREATE_NO_WINDOW);
    }
    command.spawn()
}

/// Tells every line, and at last how it has ended.
async fn listen(
    child: &mut Child,
    out: ChildStdout,
    err: ChildStderr,
    start: u64,
    heard: &mpsc::Sender<Heard>,
) {
    let said = tokio::spawn(last_line(err));
    let (mut out, mut begun) = (BufReader::new(out), Vec::new());
    let mut pace = Pace::default();
    loop {
        let what = match next_line(&mut out, &mut begun, LONGEST_LINE).await {
            Ok(Some(mut line)) => {
                line.pop_if(|last| *last == b'\r');
                What::Line(line)
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => What::Endless,
            Ok(None) | Err(_) => break,
        };
        if pace.wait().await && heard.send(Heard { start, what: What::Slowed }).await.is_err() {
            return;
        }
        let is_endless = matches!(what, What::Endless);
        if heard.send(Heard { start, what }).await.is_err() || is_endless {
            return;
        }
    }
    let code = timeout(GRACE, child.wait()).await.ok().and_then(Result::ok).and_then(|status| status.code());
    // Something that it has started may hold standard error open.
    let said = timeout(GRACE, said).await.ok().and_then(Result::ok).unwrap_or_default();
    let ending = Ending { code, not_started: None, said };
    // Nobody listens any more, which is as good.
    let _ = heard.send(Heard { start, what: What::Ended(ending) }).await;
}

/// How fast lines are read.
struct Pace {
    left: u32,
    since: Instant,
    has_told: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self { left: AT_ONCE, since: Instant::now(), has_told: false }
    }
}

impl Pace {
    /// Waits where there were too many lines; whether that is so for the first time.
    async fn wait(&mut self) -> bool {
        let more = self.since.elapsed().as_millis().saturating_mul(A_SECOND.into()) / 1000;
        if more > 0 {
            let more = u32::try_from(more).unwrap_or(AT_ONCE);
            self.left = self.left.saturating_add(more).min(AT_ONCE);
            self.since = Instant::now();
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                false
            }
            None => {
                sleep(Duration::from_secs(1) / A_SECOND).await;
                !std::mem::replace(&mut self.has_told, true)
            }
        }
    }
}

/// The last line that says something.
async fn last_line(mut err: ChildStderr) -> String {
    let mut said = Vec::new();
    let mut chunk = [0; 1024];
    while let Ok(length @ 1..) = err.read(&mut chunk).await {
        said.extend_from_slice(chunk.get(..length).unwrap_or_default());
        let over = said.len().saturating_sub(SAID);
        said.drain(..over);
    }
    let said = String::from_utf8_lossy(&said);
    said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned()
}

/// The processes of one command.
struct Group {
    #[cfg(unix)]
    leader: Option<rustix::process::Pid>,
}

#[cfg(unix)]
impl Group {
    fn of(child: &Child) -> Self {
        let leader = child.id().and_then(|pid| i32::try_from(pid).ok());
        Self { leader: leader.and_then(rustix::process::Pid::from_raw) }
    }

    /// Asks all of them to end, also those that are stopped.
    fn ask(&self) {
        self.signal(rustix::process::Signal::TERM);
        self.signal(rustix::process::Signal::CONT);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        if let Some(leader) = self.leader {
            // There is none left, which is as good.
            let _ = rustix::process::kill_process_group(leader, signal);
        }
    }
}

#[cfg(unix)]
impl Drop for Group {
    /// Kills the processes that are left.
    fn drop(&mut self) {
        self.signal(rustix::process::Signal::KILL);
    }
}

#[cfg(windows)]
impl Group {
    fn of(_child: &Child) -> Self {
        Self {}
    }

    /// A program without a console cannot be asked; it notices that its input is over.
    fn ask(&self) {}
}
