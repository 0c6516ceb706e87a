//! `doctor`: a healthy set-up, and faults that are each named with a hint how to fix it.

mod checks;
#[cfg(unix)]
mod faults;
