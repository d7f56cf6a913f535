//! Stops at every moment of an exchange, against the written table.

mod again;
mod killed;
mod processes;
mod simulated;
