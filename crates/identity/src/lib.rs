//! Names: jurisdictions, members, systems, servers, services, elements and purposes (DESIGN.md §4).
//!
//! Every name is parsed once, at the edge, into its own type; holding one is the proof that its
//! syntax was checked. Names are cheap to clone (one reference count) and order as their text does.
//! This crate does not say whether a name exists: that is the directory's business.

mod name;

use std::fmt;

pub use name::{
    ElementName, Jurisdiction, MemberId, MethodName, PurposeCode, ServerId, ServiceName, SystemId,
};

/// A text that is not the name it should be. The text itself is not repeated when it is too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidName {
    /// What was expected, for instance `member`.
    pub expected: &'static str,
    /// The text, cut at 80 characters.
    pub found: String,
}

// === impl InvalidName ===

impl InvalidName {
    fn new(expected: &'static str, found: &str) -> Self {
        Self {
            expected,
            found: found.chars().take(80).collect(),
        }
    }
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a {} name: {:?}", self.expected, self.found)
    }
}

impl std::error::Error for InvalidName {}
