//! `bar`: what it says of a report in each form, when it says it, and what a real bar makes of it.

mod forms;
mod program;
