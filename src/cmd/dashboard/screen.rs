//! The terminal: taken over, drawn to where something changed, and given back as it was, whatever happens.
//!
//! There is one terminal, so what is known of it is the process's.

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

/// Whether the terminal is taken over; it is given back once.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal, taken over.
#[derive(Debug)]
pub struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    /// What is on it.
    drawn: Option<Buffer>,
}

impl Screen {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// Standard output is none, or there is nobody at it.
    pub fn open(colour: bool) -> io::Result<Self> {
        // It was asked already whether colours are wanted.
        force_color_output(colour);
        // A frame is one write.
        let out = BufWriter::with_capacity(64 * 1024, io::stdout());
        let screen = Self { terminal: Terminal::new(CrosstermBackend::new(out))?, drawn: None };
        take()?;
        Ok(screen)
    }

    /// Draws what differs from what is there, and gives the first session shown.
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
                // It was resized just now.
                view.render(frame.area(), frame.buffer_mut());
            }
        })?;
        execute!(self.terminal.backend_mut(), EndSynchronizedUpdate)?;
        self.drawn = Some(buffer);
        Ok(first)
    }

    /// What is there is not what was drawn: everything is drawn anew.
    pub fn forget(&mut self) {
        self.drawn = None;
    }

    /// Gives the terminal back and stops the process, as Ctrl-Z does with others. [`Stopped`] tells when it goes on.
    ///
    /// # Errors
    /// The system refused.
    pub fn suspend(&mut self) -> io::Result<()> {
        #[cfg(unix)]
        {
            give_back();
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TSTP)?;
        }
        Ok(())
    }

    /// Takes the terminal over again after the process was stopped.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn reopen(&mut self) -> io::Result<()> {
        give_back();
        take()?;
        self.forget();
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn take() -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    let taken = enable_raw_mode().and_then(|()| execute!(io::stdout(), EnterAlternateScreen, Hide));
    if taken.is_err() {
        give_back();
    }
    taken
}

/// Puts the terminal back as it was. It may be gone; then there is nothing to put back.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

/// Tells of defects in this program.
#[derive(Debug)]
pub struct Defects(Arc<Notify>);

impl Defects {
    /// From now on a panic of this thread, which is the one that draws, gives the terminal back before it says where it
    /// happened. Panics of other threads are dealt with by who started them.
    pub fn notice() -> Self {
        let noticed = Arc::new(Notify::new());
        let told = Arc::clone(&noticed);
        let drawing = std::thread::current().id();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().id() == drawing {
                give_back();
                // Only the place: a panic's words may hold what was being read.
                let place = panic.location().map(ToString::to_string).unwrap_or_default();
                let _ = writeln!(io::stderr(), "error: internal error at {place}\nhint: please report it");
                told.notify_one();
            }
        }));
        Self(noticed)
    }

    /// Returns after one in a task of this thread; one outside of tasks ends the thread.
    pub async fn next(&mut self) {
        self.0.notified().await;
    }
}

/// Tells when the process goes on after it was stopped.
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

    /// Returns when it goes on; never on systems that do not stop processes. Nothing is lost when the wait is given up.
    pub async fn continued(&mut self) {
        #[cfg(unix)]
        self.continued.recv().await;
        #[cfg(not(unix))]
        std::future::pending::<()>().await;
    }
}
