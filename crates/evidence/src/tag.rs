//! Subject tags: how a person, and only someone with that person's key, finds the entries about
//! them (DESIGN.md §8).
//!
//! `k_sub = HMAC(K_tag, "entente/subject-key/v1" ‖ 00 ‖ subject)` and
//! `tag = HMAC(k_sub, "entente/subject-tag/v1" ‖ 00 ‖ origin ‖ 00 ‖ message id)[..16]`.
//! Lists are padded with random tags to 0, 1, 4 or 16, so their length says little. More than 16
//! subjects go into TAGS entries of the ledger; that is the caller's business.
//!
//! An exchange about more subjects than policy has named is tagged as if [`Subject::many`] were one of
//! them: everybody is given that key beside their own, so it is in every answer.

use std::fmt;

use aws_lc_rs::hmac;

use crate::commitment::Subject;
use crate::random::{self, RandomError};
use crate::statement::{LogOrigin, MessageId};

/// One tag: 16 bytes that mean nothing without the subject's key.
pub type Tag = [u8; 16];

/// A member's tag key for one month, retention class and notice class. Destroyed at the end of
/// retention, after which its tags are noise for ever.
pub struct TagKey(hmac::Key);

/// One subject's key under one [`TagKey`]: what the person is given to find their entries.
pub struct SubjectKey {
    key: hmac::Key,
    bytes: [u8; 32],
}

/// The tags of one statement: 0, 1, 4 or 16 of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags(Vec<Tag>);

/// The tags did not fit, or could not be padded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TagsError {
    /// No random padding could be drawn.
    #[error("could not pad the subject tags")]
    Random(#[from] RandomError),
    /// More than 16: use TAGS entries.
    #[error("{count} subject tags do not fit a statement")]
    TooMany {
        /// How many there were.
        count: usize,
    },
}

// === impl TagKey ===

impl TagKey {
    /// From its 32 secret bytes.
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The key of one subject.
    pub fn subject_key(&self, subject: &Subject) -> SubjectKey {
        self.subject_key_of_bytes(subject.as_bytes())
    }

    /// The key of a subject given as its bytes, `scheme ‖ 00 ‖ normalised id`.
    pub fn subject_key_of_bytes(&self, subject: &[u8]) -> SubjectKey {
        let mut mac = hmac::Context::with_key(&self.0);
        mac.update(b"entente/subject-key/v1\0");
        mac.update(subject);
        SubjectKey::new(hmac_32(mac))
    }
}

impl fmt::Debug for TagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TagKey(secret)")
    }
}

// === impl SubjectKey ===

impl SubjectKey {
    /// From its 32 secret bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &bytes),
            bytes,
        }
    }

    /// Its bytes, to hand to the authenticated person. Secret.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// The subject's tag in one exchange, in the ledger of one origin.
    pub fn tag(&self, origin: &LogOrigin, message: &MessageId) -> Tag {
        let mut mac = hmac::Context::with_key(&self.key);
        mac.update(b"entente/subject-tag/v1\0");
        mac.update(origin.as_str().as_bytes());
        mac.update(&[0]);
        mac.update(message.as_bytes());
        let full = hmac_32(mac);
        let mut tag = [0; 16];
        tag.copy_from_slice(&full[..16]);
        tag
    }
}

impl Drop for SubjectKey {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.bytes);
    }
}

impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectKey(secret)")
    }
}

// === impl Tags ===

impl Tags {
    /// Most tags one statement carries.
    pub const MAX: usize = 16;

    /// No tags: the exchange is about nobody.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// These tags (repeats dropped), padded with random ones to 0, 1, 4 or 16.
    pub fn padded(tags: Vec<Tag>) -> Result<Self, TagsError> {
        Self::padded_with(tags, &random::fill::<{ 16 * Self::MAX }>()?)
    }

    /// As [`Tags::padded`], with the padding drawn from `padding`.
    pub fn padded_with(mut tags: Vec<Tag>, padding: &[u8; 256]) -> Result<Self, TagsError> {
        tags.sort_unstable();
        tags.dedup();
        let size = match tags.len() {
            0 => 0,
            1 => 1,
            2..=4 => 4,
            5..=16 => 16,
            count => return Err(TagsError::TooMany { count }),
        };
        let missing = size - tags.len();
        let (padding, _) = padding.as_chunks::<16>();
        tags.extend_from_slice(&padding[..missing]);
        // Sorted again, so that position does not tell a tag from padding.
        tags.sort_unstable();
        Ok(Self(tags))
    }

    /// Tags as read from a statement: refused unless there are 0, 1, 4 or 16 of them.
    pub(crate) fn from_wire(tags: Vec<Tag>) -> Option<Self> {
        matches!(tags.len(), 0 | 1 | 4 | 16).then_some(Self(tags))
    }

    /// The tags, padding included.
    pub fn as_slice(&self) -> &[Tag] {
        &self.0
    }

    /// True when there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

// === impl TagsError ===

impl TagsError {
    /// Always `INTERNAL`: the caller of this function should have used TAGS entries.
    pub const fn reason(&self) -> entente_reason::Reason {
        entente_reason::Reason::InternalFault
    }
}

fn hmac_32(mac: hmac::Context) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(mac.sign().as_ref());
    out
}
