//! agent-presence shows friends in Discord what your coding agents are doing.
//!
//! This page is the map. The README and `docs` explain the program's use; `tests/` checks what it promises to users.
//! The library exists for the binary and the tests: other programs should not build on it.
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
//! The daemon, `replay`, `run --demo`, `preview`, and `status` and `watch` without a daemon use the same
//! [engine](core::engine::Engine) with different shells. Each of its events is written to the daemon's log and sent
//! over [`control`] to every [`watch`](cmd::watch), in one order that continues after a takeover.
//!
//! # Layers
//!
//! [`core`] decides; as a crate of its own it cannot use another layer. [`io`] uses the operating system. [`control`] is the channel between
//! processes of one user. [`host`] drives the core. [`cmd`] has the commands, the daemon included. Each layer uses
//! only those before it.
//!
//! # What drives the engine
//!
//! [`host`] drives it for all of them, by three rules: hand in every [`Input`](core::engine::Input) with its time;
//! then take every [`Output`](core::engine::Output) until there is none, and answer the engine's questions about
//! folders; then sleep until [`poll_deadline`](core::engine::Engine::poll_deadline), which also names the timer. The
//! driver has no other timer. Shells differ in where the outputs go, and how fast.
//!
//! # The path of one line
//!
//! 1. [`io::intake`] sees that a file grew and hands the new bytes to its
//!    [`SessionFile`](core::file::SessionFile). Bytes are read once, into one buffer.
//! 2. [`LineBuffer`](core::lines::LineBuffer) cuts them into lines, independent of the chunks. A line that is too
//!    long is recognised by its beginning and never held whole.
//! 3. [`core::source`] turns a line into a [`Fact`](core::source::Fact). No later step depends on an agent's JSON.
//! 4. The file folds facts into a [`Session`](core::session::Session): plain data with times. A ledger separates own
//!    usage from copied history and repeated lines, so that nothing counts twice.
//! 5. The engine joins the files of one session, keeps sessions and [limits](core::limits), asks
//!    [privacy](core::privacy) what may be shown, [chooses](core::roster) one session and builds its
//!    [`Card`](core::card::Card).
//! 6. The [`Publisher`](core::publish::Publisher) decides which link gets that card, and when.
//! 7. A link of [`io::discord`] writes one frame and reports Discord's answer.
//!
//! # Invariants
//!
//! Each is enforced by a lint or a test.
//!
//! | invariant | enforced by |
//! | --- | --- |
//! | `core` has no clock, file, environment, random number, `async`, lock or channel | a crate of its own, clippy's forbidden calls, `tests/it/tidy.rs` |
//! | parsing neither fails nor panics, for any bytes | no `unwrap`, index or string slice in `src` (clippy); properties |
//! | the chunks in which bytes arrive change nothing | properties |
//! | a `Card` that Discord would refuse cannot be made | one constructor; properties against Discord's rules |
//! | at most 4 visible changes in any 20 s per link; the last wished card wins; nothing is cleared to be set again | thousands of random scripts (`tests/it/publish`) |
//! | no prompt, reply, command or file content is kept beyond its line; no path reaches a card, a report or the log | marker strings in every fixture |
//! | every wait for another process ends | `io::discord::deadlines`, `core::publish::timing` |
//! | timers use the monotonic clock; wall time is for resets and for display | [`Now`](core::time::Now) has both |
//! | the lock file is never deleted | `tests/it/tidy.rs` |
//! | read-only commands write nothing | `tests/it/cli.rs` |
//! | no `unsafe` | `unsafe_code = "forbid"` |
//!
//! # What is absent, and stays so
//!
//! - **A cache of what was read.** The session files are the only source. At a start the live ones are counted again,
//!   at the speed of reading. Only limits are stored, because the files that contain them may be old.
//! - **Polling.** An idle daemon does nothing, except for a rescan every five minutes. On systems without file
//!   events, the few live files are polled.
//! - **A queue of cards.** The publisher has one wished card and the card of each link. A slow Discord gets the
//!   newest card, not all of them.
//! - **Guesses.** A pending approval is shown only if an agent reports it. An unknown figure is shown as `–`, an
//!   unknown limit is not shown.
//! - **A network connection.** The program uses only local sockets and pipes.
//! - **Shared state.** One task owns everything that decides; other threads and tasks only send.
//!
//! # Reading order
//!
//! [`core`], then [`host`], then [`cmd::daemon`], then the part that you need. A new agent is one folder in
//! [`core::source`] with its row, its place in [`Agent::ALL`](core::source::Agent::ALL), and a folder of fixtures.

pub use agent_presence_core as core;

pub mod cmd;
pub mod control;
pub mod error;
pub mod host;
pub mod io;
