//! What is typed, and what is meant by it.

use std::io;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;

/// More than anybody types before it is read.
const QUEUE: usize = 64;
/// How far a page goes.
const PAGE: isize = 10;

/// What somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// Nothing that is known here.
    Nothing,
    /// To see no more.
    Quit,
    /// The help, or no help.
    Help(bool),
    /// A pause, or the end of one.
    Pause,
    /// Other sessions.
    Scroll(isize),
    /// The window has another size.
    Resized,
    /// Back to the shell for a while.
    Suspend,
}

/// Everything that is typed from now on; ends when the terminal does.
///
/// The thread waits for keys until the process ends or the receiver is gone.
pub(super) fn read() -> io::Result<mpsc::Receiver<Event>> {
    let (sender, typed) = mpsc::channel(QUEUE);
    std::thread::Builder::new().name("keys".to_owned()).spawn(move || {
        while let Ok(event) = event::read() {
            if sender.blocking_send(event).is_err() {
                return;
            }
        }
    })?;
    Ok(typed)
}

/// What is meant; with the help open, any key closes it.
pub(super) fn wish(typed: &Event, help: bool) -> Wish {
    let key = match typed {
        Event::Key(key) if key.kind != KeyEventKind::Release => key,
        Event::Resize(..) => return Wish::Resized,
        _ => return Wish::Nothing,
    };
    match (of_key(*key), help) {
        (wish @ (Wish::Suspend | Wish::Resized), _) => wish,
        (Wish::Quit, true) if !is_control(*key) => Wish::Help(false),
        (Wish::Quit, _) => Wish::Quit,
        (_, true) => Wish::Help(false),
        (wish, false) => wish,
    }
}

fn of_key(key: KeyEvent) -> Wish {
    match key.code {
        KeyCode::Char('c' | 'd') if is_control(key) => Wish::Quit,
        KeyCode::Char('z') if is_control(key) => Wish::Suspend,
        KeyCode::Char('l') if is_control(key) => Wish::Resized,
        _ if is_control(key) => Wish::Nothing,
        KeyCode::Char('q' | 'Q') | KeyCode::Esc => Wish::Quit,
        KeyCode::Char('p' | 'P') => Wish::Pause,
        KeyCode::Char('?' | 'h') | KeyCode::F(1) => Wish::Help(true),
        KeyCode::Up | KeyCode::Char('k') => Wish::Scroll(-1),
        KeyCode::Down | KeyCode::Char('j') => Wish::Scroll(1),
        KeyCode::PageUp => Wish::Scroll(-PAGE),
        KeyCode::PageDown => Wish::Scroll(PAGE),
        KeyCode::Home | KeyCode::Char('g') => Wish::Scroll(isize::MIN),
        KeyCode::End | KeyCode::Char('G') => Wish::Scroll(isize::MAX),
        _ => Wish::Nothing,
    }
}

fn is_control(key: KeyEvent) -> bool {
    key.modifiers.contains(KeyModifiers::CONTROL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(code: KeyCode, modifiers: KeyModifiers) -> Event {
        Event::Key(KeyEvent::new(code, modifiers))
    }

    fn plain(code: KeyCode) -> Event {
        typed(code, KeyModifiers::NONE)
    }

    #[test]
    fn keys_mean_something() {
        for code in [KeyCode::Char('q'), KeyCode::Esc] {
            assert_eq!(wish(&plain(code), false), Wish::Quit);
        }
        assert_eq!(wish(&typed(KeyCode::Char('c'), KeyModifiers::CONTROL), false), Wish::Quit);
        assert_eq!(wish(&typed(KeyCode::Char('c'), KeyModifiers::CONTROL), true), Wish::Quit);
        assert_eq!(wish(&typed(KeyCode::Char('z'), KeyModifiers::CONTROL), true), Wish::Suspend);
        assert_eq!(wish(&plain(KeyCode::Char('p')), false), Wish::Pause);
        assert_eq!(wish(&plain(KeyCode::Char('?')), false), Wish::Help(true));
        assert_eq!(wish(&plain(KeyCode::Down), false), Wish::Scroll(1));
        assert_eq!(wish(&plain(KeyCode::Char('k')), false), Wish::Scroll(-1));
        assert_eq!(wish(&plain(KeyCode::Char('c')), false), Wish::Nothing);
        assert_eq!(wish(&Event::Resize(1, 1), true), Wish::Resized);
    }

    #[test]
    fn any_key_closes_the_help() {
        for code in
            [KeyCode::Char('q'), KeyCode::Esc, KeyCode::Char('?'), KeyCode::Char('p'), KeyCode::Char('x')]
        {
            assert_eq!(wish(&plain(code), true), Wish::Help(false));
        }
    }

    #[test]
    fn a_key_that_is_let_go_means_nothing() {
        let mut key = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE);
        key.kind = KeyEventKind::Release;
        assert_eq!(wish(&Event::Key(key), false), Wish::Nothing);
    }
}
