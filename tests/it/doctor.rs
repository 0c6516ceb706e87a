//! `doctor`: a healthy set-up, and faults that are each named with a hint that mends it.

mod checks;
#[cfg(unix)]
mod faults;
