//! The registry and its followers, over real connections on loopback.

mod bounds;
mod denials;
mod fake;
mod faults;
mod join;
mod refusals;
mod restart;
mod town;
