//! The parts of this crate that answer or ask, with the real ones at the other end.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod witness;
