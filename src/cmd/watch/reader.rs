//! Noticing that nobody reads standard output any more, without writing to it, or that who gave standard input has gone.

use std::io::IsTerminal;
use std::time::Duration;

use crate::io::clock;

/// Returns once the reader of standard output has gone away. Never returns where there is none that could, as with a
/// file, or where the system does not tell; a write will then.
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

/// Blocks until the reader has gone; false where that cannot be told.
#[cfg(unix)]
fn wait() -> bool {
    use rustix::event::{PollFd, PollFlags, poll};

    let out = std::io::stdout();
    loop {
        // Not all systems tell of the end if nothing at all is asked for; this is what never comes.
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

/// An input that ends sooner never was one: who starts a program without an input gives it one that is over already.
const NO_INPUT: Duration = Duration::from_secs(5);

/// Returns once standard input has ended. Never returns where nobody gives one, as with `/dev/null`, `ssh -n` or a terminal.
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

/// A write tells.
#[cfg(windows)]
pub async fn gone() {
    std::future::pending().await
}
