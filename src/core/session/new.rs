//! A session of which only the id is known: the one place that names every field with its empty value.

use std::sync::Arc;

use super::{Session, Work};
use crate::source::{Agent, Surface};
use crate::usage::Usage;

impl Session {
    /// A session without lines: visible, and nothing else is known of it.
    pub fn new(agent: Agent, id: String, home: Arc<str>) -> Self {
        Self {
            agent,
            id,
            home,
            surface: Surface::Unknown,
            visible: true,
            parent: None,
            forked_from: None,
            process: None,
            cwd: None,
            other_folders: Vec::new(),
            has_unlisted_folders: false,
            branch: None,
            model: Arc::default(),
            file_begun_at: None,
            used_before: None,
            started_at: None,
            timer_from: None,
            last_event_at: None,
            last_token_event_at: None,
            turn: None,
            usage: Usage::default(),
            counting: false,
            lower_bound: false,
            restored: false,
            context: None,
            context_used: None,
            work: Work::default(),
            has_ended: false,
            helpers: None,
            registration: None,
            far: None,
        }
    }
}
