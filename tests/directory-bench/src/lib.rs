//! What `cargo xtask bench directory` measures: a directory the size of a country, applied change by
//! change as a server does that follows it from nothing, and followed over the network.
//!
//! [`write()`] makes the changes, each truly signed; [`apply()`] is a process of its own, so that memory is
//! that of the directory alone. [`sync()`] has the real registry serve them and real followers follow,
//! each a process of its own too. It judges nothing; goals are xtask's.

mod apply;
mod country;
mod pack;
mod registry;
mod sync;

use std::path::Path;

use anyhow::Context as _;

pub use apply::apply;
pub use country::{Country, write};
pub use registry::serve;
pub use sync::{follow, sync};

/// A country's folder is named for how many members it has.
fn members_of(country: &Path) -> anyhow::Result<u64> {
    let name = country.file_name().and_then(|name| name.to_str());
    let members = name.and_then(|name| name.parse().ok());
    members.context("a folder that is not named for its members")
}
