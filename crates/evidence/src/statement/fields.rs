//! The small values a statement is made of, each checked once when it is made or read.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use entente_reason::Reason;
use entente_signing::Digest;

use crate::random::{self, RandomError};

/// The 16 random bytes that name one exchange; the answer repeats them. One per exchange, ever.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId([u8; 16]);

/// The origin of a ledger, as its checkpoints name it: 1 to 255 printable ASCII bytes without
/// space or `+` (C2SP signed-note key names).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogOrigin(Arc<str>);

/// A reason code as it stands in a statement: `[A-Z][A-Z0-9_]{0,63}`.
///
/// A text and not a [`Reason`], because the catalogue is append-only and a peer may know a newer
/// one. [`ReasonCode::known`] maps it to this build's catalogue.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReasonCode(Arc<str>);

/// A text that is not a ledger origin or a reason code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a {expected}")]
pub struct InvalidText {
    expected: &'static str,
}

/// Whether an exchange is real. Live keys never sign test, and a provider never dials its live
/// system for test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Real data, real consequences (1).
    Live,
    /// A trial (2).
    Test,
}

/// How an exchange ended (key 19).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The provider's system answered, with whatever status of its own (0).
    Answered,
    /// It did not.
    Unanswered(Failure),
}

/// Why an exchange has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A server failed after the request was accepted (2).
    Failed(ReasonCode),
    /// The provider's server refused the request (1).
    Refused(ReasonCode),
}

/// The registry view a statement was made under: a tree size and its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Number of changes in the registry's ledger.
    pub size: u64,
    /// RFC 6962 root at that size.
    pub root: Digest,
}

/// How a request relates to others. At least one is set when the field is present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// The exchange this one repeats (1).
    pub retry_of: Option<MessageId>,
    /// The exchange this one is made on behalf of (2).
    pub parent: Option<MessageId>,
    /// The caller's own name for the operation (3), 1 to 128 bytes without control characters.
    /// Not a place for personal data.
    pub operation: Option<String>,
}

/// Who acted, without saying who: how strongly the end user was authenticated, and whether one was
/// there at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Assurance level, 0 to 4.
    pub assurance: u8,
    /// True when no person asked: a batch job or a subscription.
    pub automated: bool,
}

/// The frames a Progress or a Close speaks of, and the stream's hash after the last of them.
///
/// A Progress names 1 to 256 frames counted from 1. A Close names the whole direction: `first` is
/// 0, the opening itself, and `last` its last frame (0 when none followed).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Number of the first frame.
    pub first: u64,
    /// Number of the last frame.
    pub last: u64,
    /// `h` of [`crate::stream`] after the last frame.
    pub hash: Digest,
}

// === impl MessageId ===

impl MessageId {
    /// A fresh one.
    pub fn generate() -> Result<Self, RandomError> {
        random::fill().map(Self)
    }

    /// From its bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// From a slice of exactly 16 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The COSE subject of a direct proof: `urn:entente:mid:<hex>`.
    pub fn urn(&self) -> String {
        format!("urn:entente:mid:{self}")
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MessageId {
    type Err = InvalidText;

    /// 32 lower-case hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, InvalidText> {
        let invalid = InvalidText {
            expected: "message id",
        };
        let lower = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 32 || !text.as_bytes().iter().all(lower) {
            return Err(invalid);
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| invalid)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| invalid)?;
        }
        Ok(Self(bytes))
    }
}

// === impl LogOrigin ===

impl LogOrigin {
    /// The origin as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LogOrigin {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, InvalidText> {
        let graphic = |byte: u8| byte.is_ascii_graphic() && byte != b'+';
        if (1..=255).contains(&text.len()) && text.bytes().all(graphic) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidText {
                expected: "ledger origin",
            })
        }
    }
}

impl fmt::Display for LogOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for LogOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

// === impl ReasonCode ===

impl ReasonCode {
    /// The code as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The reason in this build's catalogue, if it has it.
    pub fn known(&self) -> Option<Reason> {
        Reason::parse(&self.0)
    }
}

impl From<Reason> for ReasonCode {
    fn from(reason: Reason) -> Self {
        Self(reason.code().into())
    }
}

impl FromStr for ReasonCode {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, InvalidText> {
        let rest = |byte: u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_');
        if text.len() <= 64
            && text.starts_with(|first: char| first.is_ascii_uppercase())
            && text.bytes().all(rest)
        {
            Ok(Self(text.into()))
        } else {
            Err(InvalidText {
                expected: "reason code",
            })
        }
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

// === impl Mode ===

impl Mode {
    /// `live` or `test`; also the word bound into a seal session.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }

    pub(crate) const fn code(self) -> u64 {
        match self {
            Self::Live => 1,
            Self::Test => 2,
        }
    }

    pub(crate) const fn from_code(code: u64) -> Option<Self> {
        match code {
            1 => Some(Self::Live),
            2 => Some(Self::Test),
            _ => None,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Mode {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, InvalidText> {
        match text {
            "live" => Ok(Self::Live),
            "test" => Ok(Self::Test),
            _ => Err(InvalidText { expected: "mode" }),
        }
    }
}

// === impl Outcome ===

impl Outcome {
    /// Why, when it was not answered.
    pub const fn reason(&self) -> Option<&ReasonCode> {
        match self {
            Self::Answered => None,
            Self::Unanswered(failure) => Some(failure.reason()),
        }
    }
}

// === impl Failure ===

impl Failure {
    /// Why.
    pub const fn reason(&self) -> &ReasonCode {
        match self {
            Self::Failed(reason) | Self::Refused(reason) => reason,
        }
    }
}

// === impl Links ===

impl Links {
    /// Longest operation name, in bytes.
    pub const MAX_OPERATION: usize = 128;

    /// True when nothing is linked; then the field is absent.
    pub const fn is_empty(&self) -> bool {
        self.retry_of.is_none() && self.parent.is_none() && self.operation.is_none()
    }

    pub(crate) fn operation_is_valid(text: &str) -> bool {
        (1..=Self::MAX_OPERATION).contains(&text.len()) && !text.chars().any(char::is_control)
    }
}

// === impl Actor ===

impl Actor {
    /// The highest assurance level.
    pub const MAX_ASSURANCE: u8 = 4;
}

// === impl Segment ===

impl Segment {
    /// Most frames one Progress may announce.
    pub const MAX_FRAMES: u64 = 256;
}
