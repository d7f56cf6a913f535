//! What `cargo xtask bench directory` measures: a directory the size of a country, applied change by
//! change as a server does that follows it from nothing.
//!
//! [`write()`] makes the changes, each truly signed; [`apply()`] is a process of its own, so that memory is
//! that of the directory alone. It judges nothing; goals are xtask's.

mod apply;
mod country;
mod pack;

pub use apply::apply;
pub use country::{Country, write};
