//! The publisher, rule by rule. The rules that hold always are checked by [`sim::World`] with every frame.

mod connections;
mod ending;
mod healing;
mod pace;
mod properties;
mod refusals;
mod sim;
