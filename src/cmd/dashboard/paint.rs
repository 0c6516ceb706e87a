//! The look of texts: a role for each kind, and its style with and without colours.
//!
//! Only the terminal's own sixteen colours are used, because people set them to fit their background. No role depends
//! on its colour alone: a word stands beside it.

use ratatui::style::{Color, Modifier, Style};

/// The role of a piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Normal text.
    Plain,
    /// Most important: bold.
    Strong,
    /// Least important: dimmed.
    Quiet,
    /// Much is left, or all is well.
    Good,
    /// Less is left, or something is in progress.
    Fair,
    /// Little or nothing is left, or something is wrong.
    Low,
}

/// Whether there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Paint(pub(super) bool);

impl Paint {
    /// The look of `role`.
    pub(super) fn of(self, role: Role) -> Style {
        let colour = |colour| if self.0 { Style::new().fg(colour) } else { Style::new() };
        match role {
            Role::Plain => Style::new(),
            Role::Strong => Style::new().add_modifier(Modifier::BOLD),
            Role::Quiet => Style::new().add_modifier(Modifier::DIM),
            Role::Good => colour(Color::Green),
            Role::Fair => colour(Color::Yellow),
            Role::Low => colour(Color::Red),
        }
    }
}
