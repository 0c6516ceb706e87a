//! What the daemon costs, beside the least that the same work takes: see README.md in the folder above.
//!
//! Both programs follow the same session at the same time, each with a Discord of its own, so that a busy machine is
//! busy for both.
#![cfg_attr(
    unix,
    expect(
        clippy::disallowed_methods,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "a benchmark measures time, and has nothing to do when it cannot begin"
    )
)]

#[cfg(unix)]
mod discord;
#[cfg(unix)]
mod home;
#[cfg(unix)]
mod measure;

#[cfg(unix)]
fn main() {
    // `cargo test --all-targets` starts benchmarks as well, without this.
    if std::env::args().any(|argument| argument == "--bench") {
        measure::all();
    }
}

#[cfg(not(unix))]
fn main() {
    println!("the benchmark needs Unix sockets");
}
