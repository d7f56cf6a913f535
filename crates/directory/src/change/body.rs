//! What a change says: one type per kind, one number per kind.

use entente_identity::{Jurisdiction, MemberId};
use entente_signing::cbor::{CborError, Reader, Writer};
use entente_signing::{Digest, VerifyingKey};

use super::{
    KeyRole, LedgerKey, MandateEnd, MandateGrant, MemberClass, Name, Policy, ProposalAct,
    Recognise, RecognitionAct, Registrars, ServerRegister, ServerUpdate, ServicePublish,
    ServiceRetire, SessionRevoke, ShardOpen,
};
use crate::codec::{BodyError, Fields, Map, digest, key, list, parsed, short_text, u32};

macro_rules! kinds {
    ($( $(#[$doc:meta])* $variant:ident($body:ty) = $number:literal, )*) => {
        /// One change of the directory.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Change { $( $(#[$doc])* $variant($body), )* }

        /// The kind of a change; its number is on the wire for ever.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $( $(#[$doc])* $variant = $number, )* }

        impl Change {
            /// What kind of change it is.
            pub const fn kind(&self) -> Kind {
                match self { $( Self::$variant(_) => Kind::$variant, )* }
            }

            pub(crate) fn write(&self, out: &mut Writer) {
                let mut fields = Fields::new();
                match self { $( Self::$variant(body) => body.fields(&mut fields), )* }
                fields.end(out);
            }

            pub(crate) fn read(kind: Kind, reader: &mut Reader<'_>) -> Result<Self, BodyError> {
                Ok(match kind { $( Kind::$variant => Self::$variant(<$body>::read(reader)?), )* })
            }
        }

        impl Kind {
            /// Every kind, by number.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )* ];

            /// The kind with this number.
            pub const fn from_number(number: u64) -> Option<Self> {
                match number { $( $number => Some(Self::$variant), )* _ => None }
            }

            /// The name of the kind.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => stringify!($variant), )* }
            }
        }
    };
}

kinds! {
    /// The registry begins.
    Genesis(Genesis) = 1,
    /// A member is admitted.
    MemberAdmit(MemberAdmit) = 2,
    /// A member is suspended.
    MemberSuspend(MemberAct) = 3,
    /// A suspension is lifted.
    MemberResume(MemberAct) = 4,
    /// A membership ends.
    MemberEnd(MemberAct) = 5,
    /// A member gets another key.
    KeyAdd(KeyAdd) = 6,
    /// A member's key is revoked.
    KeyRevoke(KeyRevoke) = 7,
    /// A server is registered.
    ServerRegister(ServerRegister) = 8,
    /// A server's record changes.
    ServerUpdate(ServerUpdate) = 9,
    /// A ledger shard is opened.
    ShardOpen(ShardOpen) = 10,
    /// Sessions of a server are revoked.
    SessionRevoke(SessionRevoke) = 11,
    /// A service, or a version of it, is published.
    ServicePublish(ServicePublish) = 12,
    /// A service is no longer offered, or will not be from a moment on.
    ServiceRetire(ServiceRetire) = 13,
    /// An agreement is proposed, and signed by who proposes it.
    AgreementPropose(AgreementAct) = 14,
    /// A party signs an agreement.
    AgreementAccept(AgreementAct) = 15,
    /// A party ends an agreement.
    AgreementRevoke(AgreementAct) = 16,
    /// A party halts an agreement.
    AgreementSuspend(AgreementAct) = 17,
    /// The party that halted an agreement lifts the halt.
    AgreementResume(AgreementAct) = 18,
    /// The policy is replaced.
    Policy(Policy) = 19,
    /// The registry says what everything so far adds up to.
    State(StateClaim) = 20,
    /// Another jurisdiction's registry is recognised.
    Recognise(Recognise) = 21,
    /// A recognition is suspended.
    RecognitionSuspend(RecognitionAct) = 22,
    /// A recognition is in force again.
    RecognitionResume(RecognitionAct) = 23,
    /// A recognition ends.
    RecognitionRevoke(RecognitionAct) = 24,
    /// A registrar agrees to what another proposed.
    ProposalApprove(ProposalAct) = 25,
    /// A registrar takes a proposal off the table.
    ProposalWithdraw(ProposalAct) = 26,
    /// Other registrars are put in office.
    Registrars(Registrars) = 27,
    /// The registry's checkpoints are signed with another key.
    LedgerKey(LedgerKey) = 28,
    /// A body of oversight may read members' ledgers.
    MandateGrant(MandateGrant) = 29,
    /// It may no longer.
    MandateEnd(MandateEnd) = 30,
}

/// The first change of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    /// The names it speaks for.
    pub jurisdiction: Jurisdiction,
    /// The origin of its ledger: `registry.<jurisdiction>/changes`.
    pub origin: String,
    /// The Ed25519 key that signs its checkpoints.
    pub ledger: VerifyingKey,
    /// P-256 keys of the registrars.
    pub registrars: Vec<VerifyingKey>,
    /// How many registrars a weakening takes.
    pub quorum: u32,
    /// The first policy.
    pub policy: Policy,
    /// See [`Registrars::clerk`].
    pub clerk: Option<VerifyingKey>,
}

/// A public key and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// Its one use.
    pub role: KeyRole,
    /// The P-256 key.
    pub key: VerifyingKey,
}

/// The registrar admits an applicant, as applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberAdmit {
    /// The member.
    pub member: MemberId,
    /// What kind of institution.
    pub class: MemberClass,
    /// Its name.
    pub name: Name,
    /// Its keys: exactly those of the application.
    pub keys: Vec<NewKey>,
    /// The application, signed by each of those keys ([`super::Application`]).
    pub application: Vec<u8>,
}

/// The registrar suspends, resumes or ends a membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberAct {
    /// The member.
    pub member: MemberId,
    /// Why, as a code: `[A-Z][A-Z0-9_]*`.
    pub reason: Option<String>,
}

/// The recovery key adds a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyAdd {
    /// The member.
    pub member: MemberId,
    /// The key.
    pub key: NewKey,
    /// Signature by the new key over [`KeyAdd::proof_message`].
    pub proof: [u8; 64],
}

/// A key is revoked, by the recovery key or by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRevoke {
    /// The member.
    pub member: MemberId,
    /// SHA-256 of the key's SubjectPublicKeyInfo.
    pub key: Digest,
}

/// What a party does to an agreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgreementAct {
    /// The agreement; a blob.
    pub agreement: Digest,
    /// Counts the acts of this agreement, from 1.
    pub sequence: u64,
    /// Hash of the change that was the act before; absent for the first.
    pub previous: Option<Digest>,
    /// Why, as a code: `[A-Z][A-Z0-9_]*`.
    pub reason: Option<String>,
}

/// What the registry says the state is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateClaim {
    /// [`crate::State::state_hash`] before this change.
    pub hash: Digest,
    /// [`crate::RULES_VERSION`] the registry runs.
    pub rules: u32,
}

// === impl Kind ===

impl Kind {
    /// The number on the wire.
    pub const fn number(self) -> u64 {
        self as u64
    }

    /// Whether a policy may put it under the quorum of the registrars: what they do, and what permits. Taking
    /// away never waits for anybody.
    pub const fn may_take_quorum(self) -> bool {
        matches!(
            self,
            Self::MemberAdmit
                | Self::MemberResume
                | Self::Policy
                | Self::Recognise
                | Self::RecognitionResume
                | Self::MandateGrant
        )
    }

    /// Whether it takes away. Such a change takes effect on sight of its author's signature
    /// ([`crate::State::deny`]); any other only from the ledger, and so does one of these that puts off
    /// what was announced.
    pub const fn denies(self) -> bool {
        matches!(
            self,
            Self::MemberSuspend
                | Self::MemberEnd
                | Self::KeyRevoke
                | Self::SessionRevoke
                | Self::ServiceRetire
                | Self::AgreementRevoke
                | Self::AgreementSuspend
                | Self::RecognitionSuspend
                | Self::RecognitionRevoke
                | Self::MandateEnd
        )
    }
}

// === impl Genesis ===

impl Genesis {
    /// The origin of a jurisdiction's registry ledger.
    pub fn origin_of(jurisdiction: &Jurisdiction) -> String {
        format!("registry.{jurisdiction}/changes")
    }

    fn fields(&self, to: &mut Fields) {
        to.text(1, self.jurisdiction.as_str())
            .text(2, &self.origin)
            .bytes(3, self.ledger.spki_der())
            .list(4, self.registrars.iter(), |out, key| {
                out.bytes(key.spki_der());
            })
            .uint(5, u64::from(self.quorum))
            .map(6, |inner| self.policy.fields(inner));
        if let Some(clerk) = &self.clerk {
            to.bytes(7, clerk.spki_der());
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, BodyError> {
        let mut map = Map::open(reader)?;
        let body = Self {
            jurisdiction: map.required(1, parsed)?,
            origin: map.required(2, short_text)?,
            ledger: map.required(3, key)?,
            registrars: map.required(4, |r| list(r, key))?,
            quorum: map.required(5, u32)?,
            policy: map.required(6, Policy::read)?,
            clerk: map.optional(7, key)?,
        };
        map.end()?;
        Ok(body)
    }
}

// === impl NewKey ===

impl NewKey {
    pub(super) fn write(&self, out: &mut Writer) {
        out.array(2)
            .uint(self.role.number())
            .bytes(self.key.spki_der());
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, BodyError> {
        if reader.array()? != 2 {
            return Err(CborError::Unexpected.into());
        }
        let role = KeyRole::read(reader)?;
        let key = key(reader)?;
        Ok(Self { role, key })
    }
}

// === impl MemberAdmit ===

impl MemberAdmit {
    fn fields(&self, to: &mut Fields) {
        to.text(1, self.member.as_str())
            .text(2, self.class.as_str());
        self.name.write(to.key(3));
        to.list(4, self.keys.iter(), |out, key| key.write(out))
            .bytes(5, &self.application);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, BodyError> {
        let mut map = Map::open(reader)?;
        let body = Self {
            member: map.required(1, parsed)?,
            class: map.required(2, parsed)?,
            name: map.required(3, Name::read)?,
            keys: map.required(4, |r| list(r, NewKey::read))?,
            application: map.required(5, |r| r.bytes().map(<[u8]>::to_vec))?,
        };
        map.end()?;
        Ok(body)
    }
}

// === impl MemberAct ===

impl MemberAct {
    fn fields(&self, to: &mut Fields) {
        to.text(1, self.member.as_str());
        if let Some(reason) = &self.reason {
            to.text(2, reason);
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, BodyError> {
        let mut map = Map::open(reader)?;
        let body = Self {
            member: map.required(1, parsed)?,
            reason: map.optional(2, reason_code)?,
        };
        map.end()?;
        Ok(body)
    }
}

// === impl KeyAdd ===

impl KeyAdd {
    /// What the new key signs.
    pub fn proof_message(member: &MemberId, key: &NewKey) -> Vec<u8> {
        let mut out = Writer::new();
        out.array(2).text(member.as_str());
        key.write(&mut out);
        [b"entente/key-proof/v1\0", out.as_slice()].concat()
    }

    fn fields(&self, to: &mut Fields) {
        to.text(1, self.member.as_str());
        self.key.write(to.key(2));
        to.bytes(3, &self.proof);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, BodyError> {
        let mut map = Map::open(reader)?;
        let body = Self {
            member: map.required(1, parsed)?,
            key: map.required(2, NewKey::read)?,
            proof: map.required(3, |r| r.bytes_exact())?,
        };
        map.end()?;
        Ok(body)
    }
}

// === impl KeyRevoke ===

impl KeyRevoke {
    fn fields(&self, to: &mut Fields) {
        to.text(1, self.member.as_str()).digest(2, &self.key);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, BodyError> {
        let mut map = Map::open(reader)?;
        let body = Self {
            member: map.required(1, parsed)?,
            key: map.required(2, digest)?,
        };
        map.end()?;
        Ok(body)
    }
}

// === impl AgreementAct ===

impl AgreementAct {
    fn fields(&self, to: &mut Fields) {
        to.digest(1, &self.agreement).uint(2, self.sequence);
        if let Some(previous) = &self.previous {
            to.digest(3, previous);
        }
        if let Some(reason) = &self.reason {
            to.text(4, reason);
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, BodyError> {
        let mut map = Map::open(reader)?;
        let body = Self {
            agreement: map.required(1, digest)?,
            sequence: map.required(2, |r| r.uint())?,
            previous: map.optional(3, digest)?,
            reason: map.optional(4, reason_code)?,
        };
        map.end()?;
        Ok(body)
    }
}

// === impl StateClaim ===

impl StateClaim {
    fn fields(&self, to: &mut Fields) {
        to.digest(1, &self.hash).uint(2, u64::from(self.rules));
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, BodyError> {
        let mut map = Map::open(reader)?;
        let body = Self {
            hash: map.required(1, digest)?,
            rules: map.required(2, u32)?,
        };
        map.end()?;
        Ok(body)
    }
}

/// A code, never free text: changes are public for ever, and free text would hold names.
pub(super) fn reason_code(reader: &mut Reader<'_>) -> Result<String, CborError> {
    let code = reader.text()?;
    let valid = code.len() <= 64
        && code.starts_with(|c: char| c.is_ascii_uppercase())
        && code
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    valid.then(|| code.to_owned()).ok_or(CborError::Range)
}
