//! Promises 2, 3, 4, 6 and 10 of the core, held by chance: random bytes, random splits, random lives.

mod engine;
mod files;
