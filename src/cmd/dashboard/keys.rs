//! Keys, and the action of each.

use std::io;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;

/// How many events wait to be read: more than a person types meanwhile.
const QUEUE: usize = 64;
/// The rows of a page.
const PAGE: isize = 10;

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing: another key.
    Nothing,
    /// End the dashboard.
    Quit,
    /// Open or close the help.
    Help(bool),
    /// Pause, or end the pause.
    Pause,
    /// Scroll the sessions by so many rows.
    Scroll(isize),
    /// Draw everything again; the window may have another size.
    Resized,
    /// Stop the process, back to the shell.
    Suspend,
}

/// The terminal's events from now on; the channel closes when the terminal does.
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

/// The action of an event; with the help open, any key closes it.
pub(super) fn action(typed: &Event, help: bool) -> Action {
    let key = match typed {
        Event::Key(key) if key.kind != KeyEventKind::Release => key,
        Event::Resize(..) => return Action::Resized,
        _ => return Action::Nothing,
    };
    match (of_key(*key), help) {
        (action @ (Action::Suspend | Action::Resized), _) => action,
        (Action::Quit, true) if !is_control(*key) => Action::Help(false),
        (Action::Quit, _) => Action::Quit,
        (_, true) => Action::Help(false),
        (action, false) => action,
    }
}

fn of_key(key: KeyEvent) -> Action {
    match key.code {
        KeyCode::Char('c' | 'd') if is_control(key) => Action::Quit,
        KeyCode::Char('z') if is_control(key) => Action::Suspend,
        KeyCode::Char('l') if is_control(key) => Action::Resized,
        _ if is_control(key) => Action::Nothing,
        KeyCode::Char('q' | 'Q') | KeyCode::Esc => Action::Quit,
        KeyCode::Char('p' | 'P') => Action::Pause,
        KeyCode::Char('?' | 'h') | KeyCode::F(1) => Action::Help(true),
        KeyCode::Up | KeyCode::Char('k') => Action::Scroll(-1),
        KeyCode::Down | KeyCode::Char('j') => Action::Scroll(1),
        KeyCode::PageUp => Action::Scroll(-PAGE),
        KeyCode::PageDown => Action::Scroll(PAGE),
        KeyCode::Home | KeyCode::Char('g') => Action::Scroll(isize::MIN),
        KeyCode::End | KeyCode::Char('G') => Action::Scroll(isize::MAX),
        _ => Action::Nothing,
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
    fn each_key_has_its_action() {
        for code in [KeyCode::Char('q'), KeyCode::Esc] {
            assert_eq!(action(&plain(code), false), Action::Quit);
        }
        assert_eq!(action(&typed(KeyCode::Char('c'), KeyModifiers::CONTROL), false), Action::Quit);
        assert_eq!(action(&typed(KeyCode::Char('c'), KeyModifiers::CONTROL), true), Action::Quit);
        assert_eq!(action(&typed(KeyCode::Char('z'), KeyModifiers::CONTROL), true), Action::Suspend);
        assert_eq!(action(&plain(KeyCode::Char('p')), false), Action::Pause);
        assert_eq!(action(&plain(KeyCode::Char('?')), false), Action::Help(true));
        assert_eq!(action(&plain(KeyCode::Down), false), Action::Scroll(1));
        assert_eq!(action(&plain(KeyCode::Char('k')), false), Action::Scroll(-1));
        assert_eq!(action(&plain(KeyCode::Char('c')), false), Action::Nothing);
        assert_eq!(action(&Event::Resize(1, 1), true), Action::Resized);
    }

    #[test]
    fn any_key_closes_the_help() {
        for code in
            [KeyCode::Char('q'), KeyCode::Esc, KeyCode::Char('?'), KeyCode::Char('p'), KeyCode::Char('x')]
        {
            assert_eq!(action(&plain(code), true), Action::Help(false));
        }
    }

    #[test]
    fn the_release_of_a_key_does_nothing() {
        let mut key = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE);
        key.kind = KeyEventKind::Release;
        assert_eq!(action(&Event::Key(key), false), Action::Nothing);
    }
}
