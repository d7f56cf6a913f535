//! Stops at every moment of an exchange, against the written table.

mod killed;
mod processes;
