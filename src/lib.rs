//! agent-presence shows friends in Discord what your coding agents are doing.
//!
//! This page is the map. How to use the program is in the README and in `docs`; what it promises to the outside is tested in
//! `tests/`. The library exists for the binary and the tests: no other program is meant to build on its interface.
//!
//! # The picture
//!
//! A pure core takes bytes, facts and the time as arguments and returns decisions. Thin shells move bytes.
//!
//! ```text
//!   session files               settings file           Discord clients            clocks, signals
//!        │ notify + slow rescan      │                       │ sockets, pipes             │
//!  ┌─────▼─────────┐          ┌──────▼──────┐        ┌───────▼────────┐          ┌────────▼───────┐
//!  │ io::intake    │          │io::         │        │ io::discord    │◄─┐       │ io::signals    │
//!  │ own thread    │          │ config_file │        │ a task a link  │  │       │ io::clock      │
//!  └─────┬─────────┘          └──────┬──────┘        └───────┬────────┘  │       └────────┬───────┘
//!        │ SourceEvent               │ Settings              │ LinkEvent │ LinkCommand    │ Tick, ShutDown
//!        └───────────────────────────┴───────────┬───────────┴───────────│────────────────┘
//!                                                ▼   one task, one owner: host, for the daemon
//!  ╔═════════════════════════════════════════════════════════════════════│══════════════════════════╗
//!  ║ core::engine     no clock, no I/O, no async, no locks, cannot fail  │                          ║
//!  ║ bytes → lines → source::codex → Fact → Session → Roster → Card → Publisher                     ║
//!  ║         (LineBuffer)   (foreign JSON ends here)  (which)   (text)  (when, where)               ║
//!  ╚═════════════════════════════════════════════════════════════════════════════════════════════════╝
//! ```
//!
//! The daemon, `replay`, `run --demo`, `preview`, and `status` and `watch` without a daemon are the same
//! [engine](core::engine::Engine) with other shells around it. Each event that it tells goes to the daemon's log and, over
//! [`control`], to everyone who [watches](cmd::watch), in one order that a takeover goes on with.
//!
//! # Layers
//!
//! [`core`] decides and knows nobody. [`io`] touches the world. [`control`] is the channel between processes of one user.
//! [`host`] drives the core. [`cmd`] is what a person meets, the daemon included. Each knows only those before it.
//!
//! # What drives the engine
//!
//! [`host`] does, for all of them. It keeps three rules: hand in every [`Input`](core::engine::Input) with the time at
//! which it happened; then take every [`Output`](core::engine::Output) until there is none, and answer its questions about
//! folders; then sleep until [`poll_deadline`](core::engine::Engine::poll_deadline), which also names what is due then.
//! There is no other timer in it. What differs from shell to shell is who hears the outputs, and in what time.
//!
//! # The way of one line
//!
//! 1. [`io::intake`] sees that a file grew and hands the new bytes to its
//!    [`SessionFile`](core::file::SessionFile). Bytes are read once, into one buffer.
//! 2. [`LineBuffer`](core::lines::LineBuffer) cuts them into lines, whatever chunks they came in. A line that is too
//!    long is known by its beginning and never held whole.
//! 3. [`core::source`] makes a [`Fact`](core::source::Fact) of a line. Nothing behind it knows an agent's JSON.
//! 4. The file folds facts into a [`Session`](core::session::Session): plain data with times. A ledger beside it
//!    tells own usage from copied history and repeated lines, so that nothing counts twice.
//! 5. The engine joins the files of one session, keeps sessions and [limits](core::limits), asks what may be shown
//!    [where](core::privacy), [chooses](core::roster) one session and builds its
//!    [`Card`](core::card::Card).
//! 6. The [`Publisher`](core::publish::Publisher) decides when which link gets that card.
//! 7. A link of [`io::discord`] writes one frame, and reports what Discord answered.
//!
//! # Invariants
//!
//! Each is held by a lint or a test, not by care.
//!
//! | what holds | what holds it |
//! | --- | --- |
//! | `core` has no clock, file, environment, random number, `async`, lock or channel | clippy's forbidden calls, `tests/it/tidy.rs` |
//! | parsing neither fails nor panics, whatever the bytes | no `unwrap`, index or string slice in `src` (clippy); properties |
//! | the chunks in which bytes come change nothing | properties |
//! | a `Card` that Discord would refuse cannot be made | one constructor; properties against Discord's rules |
//! | at most 4 visible changes in any 20 s per link; the last wish wins; nothing is cleared to be set again | thousands of random scripts (`tests/it/publish`) |
//! | no prompt, reply, command or file content is kept beyond its line; no path reaches a card, a report or the log | marker strings in every fixture |
//! | every wait for somebody else ends | `io::discord::deadlines`, `core::publish::timing` |
//! | timers go by the monotonic clock; wall time is for resets and for display | [`Now`](core::time::Now) carries both |
//! | the lock file is never deleted | `tests/it/tidy.rs` |
//! | commands that only look write nothing | `tests/it/cli.rs` |
//! | no `unsafe` | `unsafe_code = "forbid"` |
//!
//! # What is absent, and stays so
//!
//! - **A cache of what was read.** The session files are the only truth. At a start the live ones are counted anew,
//!   at the speed of reading them. Only limits are kept, because the files that told them may be old.
//! - **Polling.** An idle daemon does not wake up, except for a rescan every five minutes. Where a system gives no
//!   events, the few live files are looked at instead.
//! - **A queue of cards.** There is a wish and what each link shows. A slow Discord gets the newest card, not all of them.
//! - **Guesses.** An approval that is awaited is said only where an agent tells it. A
//!   figure that is not known is shown as `–`, a limit that is not known not at all.
//! - **A network connection.** The program talks to local sockets and pipes alone.
//! - **Shared state.** One task owns everything that decides; threads and tasks beside it only send.
//!
//! # Reading order
//!
//! [`core`], then [`host`], then [`cmd::daemon`], then what you came for. A new agent is one folder in [`core::source`] with its row, its place in
//! [`Agent::ALL`](core::source::Agent::ALL), and a folder of fixtures.

pub mod cmd;
pub mod control;
pub mod core;
pub mod error;
pub mod host;
pub mod io;
