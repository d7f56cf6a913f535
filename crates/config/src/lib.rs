//! Configuration: strict YAML 1.2 into typed values, and errors that show the offending line.
//!
//! A role declares one `serde` struct with `#[serde(deny_unknown_fields)]` and reads it with
//! [`load`]; there is no second validation step, because every value is parsed into a type that
//! can only hold what is allowed ([`ListenAddr`], [`ByteSize`], [`DurationText`], …). Duplicate
//! keys, unknown keys, merge keys, unknown tags, several documents in one file and YAML 1.1
//! booleans are refused. Size, depth and alias expansion are bounded.
//!
//! This crate does not know any role's keys, and reads no environment variable on its own: a role
//! lists the few it allows as [`Override`]s.

mod document;
mod error;
mod nearest;
mod overrides;
mod path;
mod pkcs11;
mod places;
mod scalar;
mod secret;
mod value;

pub use document::{Located, MAX_DEPTH, MAX_DOCUMENT_BYTES, load, parse, parse_in};
pub use error::ConfigError;
pub use nearest::nearest;
pub use overrides::{Override, load_with, set};
pub use path::{Endpoint, FilePath, ListenAddr};
pub use pkcs11::Pkcs11Uri;
pub use places::places;
pub use secret::{MAX_SECRET_BYTES, Secret, SecretError, SecretFile};
pub use value::{ByteSize, DurationText, InvalidValue, Rate};
