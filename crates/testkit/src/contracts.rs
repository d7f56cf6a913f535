//! Random contracts, random messages of them, random ways to write a message on the wire, and a walk
//! over decoded messages that says what may cross.
//!
//! The walk reads annotations through reflection and shares no code with the filter it judges.

mod message;
mod source;
mod walk;

pub use message::{noisy_encode, random_message};
pub use source::{compile_source, random_source, source_of};
pub use walk::{clear, elements};

use std::collections::BTreeSet;

/// Choices drawn from bytes; zero once they are used up, so that fewer bytes mean a simpler case.
#[derive(Debug)]
pub struct Entropy {
    bytes: std::vec::IntoIter<u8>,
    /// Makes every text unique.
    count: usize,
}

/// The texts that must be gone after filtering.
pub type Secrets = BTreeSet<String>;

/// The elements that a random contract's fields may be.
pub const ELEMENTS: [&str; 5] = ["e.a", "e.b", "e.c", "e.d", "e.e"];

/// How every text of a random message begins, and nothing else does.
pub const STEM: &str = "<canary ";

// === impl Entropy ===

impl Entropy {
    /// From bytes that somebody else drew.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: bytes.into().into_iter(),
            count: 0,
        }
    }

    /// `len` bytes that follow from `seed` alone (SplitMix64).
    pub fn seeded(seed: u64, len: usize) -> Self {
        let mut state = seed;
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = state;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            bytes.extend((word ^ (word >> 31)).to_le_bytes());
        }
        bytes.truncate(len);
        Self::new(bytes)
    }

    /// A number below `bound`, which is at most 256.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.bytes.next().unwrap_or_default()) % bound
    }

    /// A text that occurs nowhere else, not even within another.
    pub fn text(&mut self) -> String {
        self.count += 1;
        format!("{STEM}{}>", self.count)
    }
}
