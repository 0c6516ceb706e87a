//! Noticing that nobody reads standard output any more, without writing to it.

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

/// A write tells.
#[cfg(windows)]
pub async fn gone() {
    std::future::pending().await
}
