//! Drives an engine through recorded time: the caller says when events come, and deadlines pass in between.
//!
//! The sink is a terminal that takes every card at once, so the output is what would have been shown.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::core::engine::{Engine, Input, Output};
use crate::core::publish::Publisher;
use crate::core::report::Event;
use crate::core::settings::Settings;
use crate::core::time::{Now, elapsed};
use crate::core::timer::Timer;
use crate::host::drive::{Drive, Folders};

/// Few deadlines are due at one moment; more than this would be an endless loop.
const DEADLINES_AT_ONCE: usize = 10_000;

/// An engine with its own clock.
#[derive(Debug)]
pub struct Stage {
    drive: Drive,
    now: Now,
}

impl Stage {
    /// An engine whose clock begins at `from`.
    pub fn new(settings: Settings, zone: TimeZone, from: Timestamp) -> Self {
        let now = Now { mono: Duration::ZERO, wall: from };
        let publisher = Publisher::new(0, &settings).with_terminal(now);
        Self { drive: Drive::new(Engine::new(settings, zone, publisher), Folders::Looked), now }
    }

    /// Advances time to `to`; everything due on the way happens at its own time.
    pub fn advance(&mut self, to: Timestamp, out: &mut dyn FnMut(Event)) {
        let end = self.now.mono.saturating_add(elapsed(self.now.wall, to));
        self.pass(end, |_| true, out);
        self.step_to(end);
        self.now.wall = self.now.wall.max(to);
    }

    /// Passes an input at the present time.
    pub fn input(&mut self, input: Input, out: &mut dyn FnMut(Event)) {
        self.drive.take(self.now, [input]);
        self.drain(out);
    }

    /// Sends the cards that the publish intervals hold back, and ends every session.
    pub fn finish(&mut self, out: &mut dyn FnMut(Event)) {
        let end = self.now.mono.saturating_add(Duration::from_secs(60));
        self.pass(end, |timer| timer == Timer::Publish, out);
        self.drive.engine.end_sessions(self.now);
        self.drain(out);
    }

    fn pass(&mut self, end: Duration, wanted: impl Fn(Timer) -> bool, out: &mut dyn FnMut(Event)) {
        for _ in 0..DEADLINES_AT_ONCE {
            let due = self.drive.engine.poll_deadline().filter(|(at, timer)| *at <= end && wanted(*timer));
            let Some((at, _)) = due else { return };
            self.step_to(at);
            self.input(Input::Tick, out);
        }
    }

    fn step_to(&mut self, mono: Duration) {
        let step = mono.saturating_sub(self.now.mono);
        self.now = Now { mono: self.now.mono + step, wall: crate::core::time::later(self.now.wall, step) };
    }

    fn drain(&mut self, out: &mut dyn FnMut(Event)) {
        while let Some(output) = self.drive.poll(self.now) {
            if let Output::Event(event) = output {
                out(*event);
            }
        }
    }
}
