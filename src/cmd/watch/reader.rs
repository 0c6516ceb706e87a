//! Notices that the reader of standard output has gone, without writing to it, and that standard input has ended.

use std::io::IsTerminal;
use std::time::Duration;

use crate::io::clock;

/// Returns when the reader of standard output has gone. Never returns if there is no reader, as for a file, or if the
/// system does not report it; then a write fails.
#[cfg(unix)]
pub async fn gone() {
    let (sender, gone) = tokio::sync::oneshot::channel();
    let waiting = std::thread::Builder::new().name("reader".to_owned()).spawn(move || {
        if wait() {
            // Who waited may have ended.
            let _ = sender.send(());
        }
    });
    if waiting.is_err() || gone.await.is_err() {
        std::future::pending().await
    }
}

/// Blocks until the reader has gone; false if the system does not report that.
#[cfg(unix)]
fn wait() -> bool {
    use rustix::event::{PollFd, PollFlags, poll};

    let out = std::io::stdout();
    loop {
        // Some systems report the end only if some event is asked for; this one never comes.
        let mut asked = [PollFd::new(&out, PollFlags::RDBAND)];
        match poll(&mut asked, None) {
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
            Ok(_) => {
                let [told] = asked;
                return told.revents().intersects(PollFlags::HUP | PollFlags::ERR);
            }
        }
    }
}

/// An input that ends sooner is none: programs that start without input get one that has already ended.
const NO_INPUT: Duration = Duration::from_secs(5);

/// Returns when standard input has ended. Never returns if there is none, as with `/dev/null`, `ssh -n` or a terminal.
pub async fn input_ended() {
    let (sender, ended) = tokio::sync::oneshot::channel();
    let input = std::io::stdin();
    if input.is_terminal() {
        return std::future::pending().await;
    }
    let begin = clock::now().mono;
    let waiting = std::thread::Builder::new().name("input".to_owned()).spawn(move || {
        // The content is ignored.
        let over = std::io::copy(&mut input.lock(), &mut std::io::sink());
        if over.is_ok() && clock::now().mono.saturating_sub(begin) > NO_INPUT {
            // Who waited may have ended.
            let _ = sender.send(());
        }
    });
    if waiting.is_err() || ended.await.is_err() {
        std::future::pending().await
    }
}

/// A write fails instead.
#[cfg(windows)]
pub async fn gone() {
    std::future::pending().await
}
