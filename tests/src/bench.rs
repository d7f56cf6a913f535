//! The processes that `cargo xtask bench exchange` starts besides the product's own: an echo, a raw
//! proxy, a registry and a load.
//!
//! All of them use `entente-tls` and tonic as the product does, so that what is measured is the
//! exchange and not a better or worse HTTP/2.

mod door;
mod echo;
mod federation;
mod hop;
mod keys;
mod load;
mod usage;

pub use door::{Dial, Listen};
pub use echo::echo;
pub use federation::Federation;
pub use hop::hop;
pub use keys::{Holder, write_keys};
pub use load::{Load, Summary};
pub use usage::{Machine, Server, USER_HZ};

/// The only method of the benchmark's contract (`tests/proto`).
pub const METHOD: &str = "/entente.bench.v1.Echo/Call";

/// The descriptor set of the benchmark's contract, with its imports.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/echo.binpb"));

/// The largest message an echo or a proxy takes, in bytes.
pub const MAX_MESSAGE: usize = 16 * 1024 * 1024;
