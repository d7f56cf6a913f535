//! Frames: the sealed pieces of one direction, in order, each under its own nonce.

use std::fmt;

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce};
use bytes::{Bytes, BytesMut};
use entente_signing::Digest;

use super::{SealError, SealRandom};
use crate::opening::Openings;

/// Seals the frames of one direction of one exchange. Numbers them itself, so no nonce repeats.
pub struct FrameSealer {
    frames: Frames,
    random: SealRandom,
}

/// Opens the frames of one direction of one exchange, in order.
pub struct FrameOpener {
    frames: Frames,
}

struct Frames {
    key: LessSafeKey,
    opening: Digest,
    next: u64,
    finished: bool,
}

// === impl FrameSealer ===

impl FrameSealer {
    pub(super) const fn new(key: LessSafeKey, random: SealRandom, opening: Digest) -> Self {
        Self {
            frames: Frames::new(key, opening),
            random,
        }
    }

    /// `r`, to send in clear.
    pub const fn random(&self) -> &[u8; 32] {
        self.random.as_bytes()
    }

    /// Seals the next frame where it lies and appends the 16-byte tag. A unary message is one final
    /// frame.
    ///
    /// # Errors
    /// When the final frame was sealed already, or the frame is too large.
    pub fn seal(&mut self, mut frame: BytesMut, is_final: bool) -> Result<Bytes, SealError> {
        if frame.len() > Openings::MAX_PLAINTEXT {
            return Err(SealError::TooLarge);
        }
        let (nonce, aad) = self.frames.step(is_final)?;
        let tag = self
            .frames
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(aad), &mut frame)
            .map_err(|_| SealError::TooLarge)?;
        frame.extend_from_slice(tag.as_ref());
        Ok(frame.freeze())
    }
}

impl fmt::Debug for FrameSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameSealer")
            .field("next", &self.frames.next)
            .finish_non_exhaustive()
    }
}

// === impl FrameOpener ===

impl FrameOpener {
    /// Length of the tag after every frame, in bytes.
    pub const TAG_LEN: usize = 16;

    pub(super) const fn new(key: LessSafeKey, opening: Digest) -> Self {
        Self {
            frames: Frames::new(key, opening),
        }
    }

    /// Opens the next frame: where it lies when nobody else holds `sealed`, else in a copy.
    ///
    /// # Errors
    /// When the final frame was opened already, or this one was not sealed as the next under this
    /// key, with this final flag and statement. After a failure nothing more opens.
    pub fn open(&mut self, sealed: Bytes, is_final: bool) -> Result<Bytes, SealError> {
        if sealed.len() > Openings::MAX_PLAINTEXT + Self::TAG_LEN {
            return Err(SealError::TooLarge);
        }
        let (nonce, aad) = self.frames.step(is_final)?;
        let mut frame = match sealed.try_into_mut() {
            Ok(frame) => frame,
            Err(shared) => BytesMut::from(shared.as_ref()),
        };
        let opened = self
            .frames
            .key
            .open_in_place(nonce, Aad::from(aad), &mut frame)
            .map(|plaintext| plaintext.len());
        if let Ok(len) = opened {
            frame.truncate(len);
            Ok(frame.freeze())
        } else {
            self.frames.finished = true;
            Err(SealError::Frame)
        }
    }
}

impl fmt::Debug for FrameOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameOpener")
            .field("next", &self.frames.next)
            .finish_non_exhaustive()
    }
}

// === impl Frames ===

impl Frames {
    const fn new(key: LessSafeKey, opening: Digest) -> Self {
        Self {
            key,
            opening,
            next: 0,
            finished: false,
        }
    }

    /// Nonce and additional data of the next frame.
    fn step(&mut self, is_final: bool) -> Result<(Nonce, [u8; 33]), SealError> {
        if self.finished || self.next >= MAX_FRAMES {
            return Err(SealError::Finished);
        }
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.next.to_be_bytes());
        let mut aad = [0; 33];
        aad[..32].copy_from_slice(self.opening.as_bytes());
        aad[32] = u8::from(is_final);
        self.next += 1;
        self.finished = is_final;
        Ok((Nonce::assume_unique_for_key(nonce), aad))
    }
}

/// Frames under one key; the counter stops here, far before it could wrap.
const MAX_FRAMES: u64 = 1 << 32;
