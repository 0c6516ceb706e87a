//! One running command of a remote: its lines, and its end together with all processes that it started.
//!
//! Its standard input stays open while it is to run. A command that reads it notices when this program has gone, also
//! after a kill. Its output is limited, per line and per second.

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

/// How long a command may take to end by itself.
const GRACE: Duration = Duration::from_millis(500);

/// How many lines may come at once, and how many per second after that.
const AT_ONCE: u32 = 2000;
const A_SECOND: u32 = 200;

/// How much of its standard error is stored, in bytes.
const LONGEST_ERROR: usize = 4096;

/// A message of a command's task.
#[derive(Debug)]
pub(crate) struct ProcessMessage {
    /// The number of the command's start.
    pub(crate) start: u64,
    /// The event.
    pub(crate) event: ProcessEvent,
}

/// A line of a command, or a change of it.
#[derive(Debug)]
pub(crate) enum ProcessEvent {
    /// One line.
    Line(Vec<u8>),
    /// It sends more lines than plausible, and is read slowly from now on.
    Slowed,
    /// A line exceeds the limit.
    Endless,
    /// It has ended.
    Ended(Ending),
}

/// A running command; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    task: JoinHandle<()>,
    /// Dropping it ends the command.
    stop: oneshot::Sender<()>,
}

impl Process {
    /// Starts a command, without a shell and in a process group of its own. Belongs inside a tokio runtime.
    ///
    /// # Errors
    /// There is no such program, or it may not be started.
    pub(crate) fn start(
        command: &[String],
        start: u64,
        messages: mpsc::Sender<ProcessMessage>,
    ) -> io::Result<Self> {
        let mut child = spawn(command)?;
        let group = Group::of(&child);
        let streams = child.stdout.take().zip(child.stderr.take());
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let listening = async {
                if let Some((out, err)) = streams {
                    listen(&mut child, out, err, start, &messages).await;
                }
            };
            let is_over = tokio::select! {
                () = listening => true,
                _ = stopped => false,
            };
            if !is_over {
                drop(child.stdin.take());
                group.ask();
                // A command that does not end is killed with its group.
                let _ = timeout(GRACE, child.wait()).await;
            }
        });
        Ok(Self { task, stop })
    }

    /// Ends the command; it has ended when the task has.
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
        /// Opens no console window.
        const CREATE_NO_WINDOW: u32 = 0x0800_0000;
        command.creation_flags(CREATE_NO_WINDOW);
    }
    command.spawn()
}

/// Sends every line, and at last how the command ended.
async fn listen(
    child: &mut Child,
    out: ChildStdout,
    err: ChildStderr,
    start: u64,
    messages: &mpsc::Sender<ProcessMessage>,
) {
    let last_line = tokio::spawn(last_line(err));
    let (mut out, mut begun) = (BufReader::new(out), Vec::new());
    let mut rate_limit = RateLimit::default();
    loop {
        let event = match next_line(&mut out, &mut begun, LONGEST_LINE).await {
            Ok(Some(mut line)) => {
                line.pop_if(|last| *last == b'\r');
                ProcessEvent::Line(line)
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => ProcessEvent::Endless,
            Ok(None) | Err(_) => break,
        };
        if rate_limit.wait().await
            && messages.send(ProcessMessage { start, event: ProcessEvent::Slowed }).await.is_err()
        {
            return;
        }
        let is_endless = matches!(event, ProcessEvent::Endless);
        if messages.send(ProcessMessage { start, event }).await.is_err() || is_endless {
            return;
        }
    }
    let code = timeout(GRACE, child.wait()).await.ok().and_then(Result::ok).and_then(|status| status.code());
    // A process that it started may hold standard error open.
    let last_line = timeout(GRACE, last_line).await.ok().and_then(Result::ok).unwrap_or_default();
    let ending = Ending { code, not_started: None, last_line };
    // The receiver may have gone.
    let _ = messages.send(ProcessMessage { start, event: ProcessEvent::Ended(ending) }).await;
}

/// The limit on the rate of lines.
struct RateLimit {
    left: u32,
    since: Instant,
    has_reported: bool,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self { left: AT_ONCE, since: Instant::now(), has_reported: false }
    }
}

impl RateLimit {
    /// Waits if there were too many lines; true when that happens for the first time.
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
                !std::mem::replace(&mut self.has_reported, true)
            }
        }
    }
}

/// The last line that is not blank.
async fn last_line(mut err: ChildStderr) -> String {
    let mut text = Vec::new();
    let mut chunk = [0; 1024];
    while let Ok(length @ 1..) = err.read(&mut chunk).await {
        text.extend_from_slice(chunk.get(..length).unwrap_or_default());
        let over = text.len().saturating_sub(LONGEST_ERROR);
        text.drain(..over);
    }
    let text = String::from_utf8_lossy(&text);
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned()
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

    /// Asks all of them to end, also stopped ones.
    fn ask(&self) {
        self.signal(rustix::process::Signal::TERM);
        self.signal(rustix::process::Signal::CONT);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        if let Some(leader) = self.leader {
            // They may have ended already.
            let _ = rustix::process::kill_process_group(leader, signal);
        }
    }
}

#[cfg(unix)]
impl Drop for Group {
    /// Kills the remaining processes.
    fn drop(&mut self) {
        self.signal(rustix::process::Signal::KILL);
    }
}

#[cfg(windows)]
impl Group {
    fn of(_child: &Child) -> Self {
        Self {}
    }

    /// Does nothing: a program without a console cannot be asked; it notices the end of its input.
    fn ask(&self) {}
}
