//! The append-only catalogue of reasons: why a call or a change was refused, in English and French.
//!
//! A [`Reason`] is what leaves a server instead of an error's text. It never carries a value from
//! a call, so it can be shown, counted and logged anywhere. It does not build a gRPC status: each
//! role has one `refusal.rs` that does.

mod catalogue;

pub use catalogue::Reason;

use std::fmt;
use std::str::FromStr;

/// The domain of every reason in `google.rpc.ErrorInfo`.
pub const DOMAIN: &str = "entente";

/// Who must act to put it right. Travels as `metadata.at` and labels metrics and the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum At {
    /// The system that made the call.
    Caller,
    /// The caller's own security server.
    CallerServer,
    /// The central registry, or what it holds.
    Registry,
    /// The provider's security server.
    ProviderServer,
    /// The adapter in front of the source.
    Adapter,
    /// The legacy system that holds the answer.
    Source,
}

/// One of the two official languages; both texts are equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// French.
    Fr,
}

/// A gRPC status code, by its number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GrpcCode(pub i32);

/// A code that is not in the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown reason code")]
pub struct UnknownReason;

/// One line of the catalogue.
struct Row {
    code: &'static str,
    grpc: GrpcCode,
    at: At,
    en: &'static str,
    remedy_en: &'static str,
    fr: &'static str,
    remedy_fr: &'static str,
    doc: &'static str,
}

// === impl Reason ===

impl Reason {
    /// The code as it stands on the wire and in the ledger: `NO_AGREEMENT`.
    pub fn code(self) -> &'static str {
        self.row().code
    }

    /// The reason with this code, if the catalogue has one.
    pub fn parse(code: &str) -> Option<Self> {
        // The catalogue is sorted by code; a test keeps it so.
        Self::ALL
            .binary_search_by(|reason| reason.code().cmp(code))
            .ok()
            .map(|index| Self::ALL[index])
    }

    /// The gRPC status code a caller receives with it.
    pub fn grpc(self) -> GrpcCode {
        self.row().grpc
    }

    /// Who must act, unless the place that refuses knows better.
    pub fn at(self) -> At {
        self.row().at
    }

    /// What happened, in one sentence for a person.
    pub fn text(self, lang: Lang) -> &'static str {
        match lang {
            Lang::En => self.row().en,
            Lang::Fr => self.row().fr,
        }
    }

    /// What to do about it, in one sentence for a person.
    pub fn remedy(self, lang: Lang) -> &'static str {
        match lang {
            Lang::En => self.row().remedy_en,
            Lang::Fr => self.row().remedy_fr,
        }
    }

    /// The documentation line: when this reason is given.
    pub fn doc(self) -> &'static str {
        self.row().doc.trim()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Reason {
    type Err = UnknownReason;

    fn from_str(code: &str) -> Result<Self, Self::Err> {
        Self::parse(code).ok_or(UnknownReason)
    }
}

// === impl At ===

impl At {
    /// All of them, from the caller to the source.
    pub const ALL: [Self; 6] = [
        Self::Caller,
        Self::CallerServer,
        Self::Registry,
        Self::ProviderServer,
        Self::Adapter,
        Self::Source,
    ];

    /// The word on the wire: `provider_server`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::CallerServer => "caller_server",
            Self::Registry => "registry",
            Self::ProviderServer => "provider_server",
            Self::Adapter => "adapter",
            Self::Source => "source",
        }
    }

    /// The place with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|at| at.as_str() == word)
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Lang ===

impl Lang {
    /// Both languages.
    pub const ALL: [Self; 2] = [Self::En, Self::Fr];

    /// The locale of `google.rpc.LocalizedMessage`: `en-CA` or `fr-CA`.
    pub fn locale(self) -> &'static str {
        match self {
            Self::En => "en-CA",
            Self::Fr => "fr-CA",
        }
    }

    /// French when the tag starts with `fr` (`fr`, `fr-CA`, `fr_CA.UTF-8`), else English.
    pub fn from_tag(tag: &str) -> Self {
        match tag.get(..2) {
            Some(start) if start.eq_ignore_ascii_case("fr") => Self::Fr,
            _ => Self::En,
        }
    }
}

// === impl GrpcCode ===

impl GrpcCode {
    /// The arguments are wrong whatever the state of the system.
    pub const INVALID_ARGUMENT: Self = Self(3);
    /// The deadline passed before the answer.
    pub const DEADLINE_EXCEEDED: Self = Self(4);
    /// There is no such thing.
    pub const NOT_FOUND: Self = Self(5);
    /// It is there already.
    pub const ALREADY_EXISTS: Self = Self(6);
    /// The caller is known and may not.
    pub const PERMISSION_DENIED: Self = Self(7);
    /// A limit was reached.
    pub const RESOURCE_EXHAUSTED: Self = Self(8);
    /// The system is not in the state this needs.
    pub const FAILED_PRECONDITION: Self = Self(9);
    /// It was begun and cannot be said to be done.
    pub const ABORTED: Self = Self(10);
    /// Not served here.
    pub const UNIMPLEMENTED: Self = Self(12);
    /// Something broke an invariant.
    pub const INTERNAL: Self = Self(13);
    /// Not now; a later try may pass.
    pub const UNAVAILABLE: Self = Self(14);
    /// Data is broken beyond repair.
    pub const DATA_LOSS: Self = Self(15);
    /// The caller is not who it must be.
    pub const UNAUTHENTICATED: Self = Self(16);

    /// The name in the gRPC specification; codes the catalogue does not use have none.
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::INVALID_ARGUMENT => "INVALID_ARGUMENT",
            Self::DEADLINE_EXCEEDED => "DEADLINE_EXCEEDED",
            Self::NOT_FOUND => "NOT_FOUND",
            Self::ALREADY_EXISTS => "ALREADY_EXISTS",
            Self::PERMISSION_DENIED => "PERMISSION_DENIED",
            Self::RESOURCE_EXHAUSTED => "RESOURCE_EXHAUSTED",
            Self::FAILED_PRECONDITION => "FAILED_PRECONDITION",
            Self::ABORTED => "ABORTED",
            Self::UNIMPLEMENTED => "UNIMPLEMENTED",
            Self::INTERNAL => "INTERNAL",
            Self::UNAVAILABLE => "UNAVAILABLE",
            Self::DATA_LOSS => "DATA_LOSS",
            Self::UNAUTHENTICATED => "UNAUTHENTICATED",
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests;
