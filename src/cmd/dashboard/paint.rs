//! How things look: a role for each, and what that is with colours and without.
//!
//! Only the terminal's own sixteen colours, which people set to fit their background. No role is known by its colour
//! alone: a word stands beside it.

use ratatui::style::{Color, Modifier, Style};

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Text.
    Plain,
    /// What the eye should find first.
    Strong,
    /// What it may pass over.
    Quiet,
    /// Plenty is left, or all is well.
    Good,
    /// It gets less, or is on its way.
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
