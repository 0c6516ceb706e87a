//! The dashboard: what it draws, and what it does in a real terminal.

mod pictures;
mod reports;
#[cfg(unix)]
mod terminal;
mod view;
