//! The running hash over the frames of one direction (DESIGN.md §5, "Streams").
//!
//! `h₀` is the statement hash of the direction's opening;
//! `hₙ = SHA-256("entente/stream/v1" ‖ 00 ‖ hₙ₋₁ ‖ Cₙ)`, `Cₙ` the salted commitment of frame n.
//! Both sides keep the chain; a Progress announces `h` before its frames, a Close repeats the last.

use entente_signing::Digest;

use crate::commitment::{self, Field, Salt};
use crate::statement::Segment;

/// The chain of one direction, at its newest frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameChain {
    frames: u64,
    hash: Digest,
}

// === impl FrameChain ===

impl FrameChain {
    /// The chain of a direction opened by the statement with this hash.
    pub const fn open(opening: Digest) -> Self {
        Self {
            frames: 0,
            hash: opening,
        }
    }

    /// Adds the next frame.
    #[must_use]
    pub fn then(self, commitment: &Digest) -> Self {
        Self {
            frames: self.frames.saturating_add(1),
            hash: link(&self.hash, commitment),
        }
    }

    /// Number of the newest frame; the first is 1, and 0 means none.
    pub const fn frames(&self) -> u64 {
        self.frames
    }

    /// `h` after the newest frame.
    pub const fn hash(&self) -> Digest {
        self.hash
    }

    /// What a Close of this direction says.
    pub const fn close(&self) -> Segment {
        Segment {
            first: 0,
            last: self.frames,
            hash: self.hash,
        }
    }

    /// What a Progress says of the frames after `since`; nothing when there are none.
    pub fn progress(&self, since: &Self) -> Option<Segment> {
        (self.frames > since.frames).then(|| Segment {
            first: since.frames.saturating_add(1),
            last: self.frames,
            hash: self.hash,
        })
    }
}

/// `hₙ` from `hₙ₋₁` and the commitment of frame n.
pub fn link(previous: &Digest, commitment: &Digest) -> Digest {
    Digest::of_parts(&[
        b"entente/stream/v1\0",
        previous.as_bytes(),
        commitment.as_bytes(),
    ])
}

/// `Cₙ`: the commitment of one frame, as field 1.
pub fn frame_commitment(salt: &Salt, frame: &[u8]) -> Digest {
    commitment::commit(Field::PAYLOAD, salt, &[frame])
}
