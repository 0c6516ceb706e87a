//! The terminal: takes it over, draws what changed, and restores it at the end, also after a panic.
//!
//! A process has one terminal, so its state is a static.

use std::io::{self, BufWriter, Stdout, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::style::force_color_output;
use ratatui::crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{execute, queue};
use ratatui::layout::Rect;
use tokio::sync::Notify;

use super::view::View;

/// Whether the terminal is taken over. It is restored once.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal, taken over.
#[derive(Debug)]
pub struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    /// The last frame; `None` if everything has to be drawn again.
    drawn: Option<Buffer>,
}

impl Screen {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// Standard output is not a terminal, or it is closed.
    pub fn open(colour: bool) -> io::Result<Self> {
        // The caller has decided about colours.
        force_color_output(colour);
        // A frame is one write.
        let out = BufWriter::with_capacity(64 * 1024, io::stdout());
        let screen = Self { terminal: Terminal::new(CrosstermBackend::new(out))?, drawn: None };
        take()?;
        Ok(screen)
    }

    /// Draws what differs from the last frame; returns the index of the first session shown.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn draw(&mut self, view: &View) -> io::Result<usize> {
        let area = Rect::from((ratatui::layout::Position::ORIGIN, self.terminal.size()?));
        let mut buffer = Buffer::empty(area);
        let first = view.render(area, &mut buffer);
        if self.drawn.as_ref() == Some(&buffer) {
            return Ok(first);
        }
        queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
        if self.drawn.is_none() {
            // `clear` would ask the terminal where its cursor is, and the answer would come among the keys.
            self.terminal.resize(area)?;
        }
        self.terminal.draw(|frame| {
            if frame.area() == area {
                frame.buffer_mut().clone_from(&buffer);
            } else {
                // The window was resized meanwhile.
                view.render(frame.area(), frame.buffer_mut());
            }
        })?;
        execute!(self.terminal.backend_mut(), EndSynchronizedUpdate)?;
        self.drawn = Some(buffer);
        Ok(first)
    }

    /// Something else was printed on the terminal: the next `draw` draws everything.
    pub fn forget(&mut self) {
        self.drawn = None;
    }

    /// Restores the terminal and stops the process, as Ctrl-Z does. [`Stopped`] reports when it continues.
    ///
    /// # Errors
    /// The system refused.
    pub fn suspend(&mut self) -> io::Result<()> {
        #[cfg(unix)]
        {
            restore();
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TSTP)?;
        }
        Ok(())
    }

    /// Takes the terminal over again after the process was stopped.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn reopen(&mut self) -> io::Result<()> {
        restore();
        take()?;
        self.forget();
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

fn take() -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    let taken = enable_raw_mode().and_then(|()| execute!(io::stdout(), EnterAlternateScreen, Hide));
    if taken.is_err() {
        restore();
    }
    taken
}

/// Restores the terminal. It may be closed; then nothing has to be restored.
fn restore() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

/// Reports panics of the drawing thread.
#[derive(Debug)]
pub struct Panics(Arc<Notify>);

impl Panics {
    /// From now on, a panic of this thread, which draws, first restores the terminal and then prints where it happened.
    /// Panics of other threads are handled by the code that started them.
    pub fn watch() -> Self {
        let noticed = Arc::new(Notify::new());
        let panicked = Arc::clone(&noticed);
        let drawing = std::thread::current().id();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().id() == drawing {
                restore();
                // Only the place: a panic's message may hold text of a session file.
                let place = panic.location().map(ToString::to_string).unwrap_or_default();
                let _ = writeln!(io::stderr(), "error: internal error at {place}\nhint: please report it");
                panicked.notify_one();
            }
        }));
        Self(noticed)
    }

    /// Returns after a panic in a task of this thread. A panic outside of tasks ends the thread.
    pub async fn next(&mut self) {
        self.0.notified().await;
    }
}

/// Reports when the process continues after it was stopped.
#[derive(Debug)]
pub struct Stopped {
    #[cfg(unix)]
    continued: tokio::signal::unix::Signal,
}

impl Stopped {
    /// Begins to listen. Belongs inside a tokio runtime.
    ///
    /// # Errors
    /// The system refused.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            continued: {
                use tokio::signal::unix::{SignalKind, signal};
                signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?
            },
        })
    }

    /// Returns when the process continues; never on systems that do not stop processes. Cancel safe.
    pub async fn continued(&mut self) {
        #[cfg(unix)]
        self.continued.recv().await;
        #[cfg(not(unix))]
        std::future::pending::<()>().await;
    }
}
