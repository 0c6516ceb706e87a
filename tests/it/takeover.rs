//! A second daemon: one that is healthy hands over, one that hangs is ended if it is the one that its record names,
//! and nobody else is ever signalled.

#[cfg(unix)]
mod displaced;
mod healthy;
#[cfg(unix)]
mod hung;
mod left_over;
mod many;
