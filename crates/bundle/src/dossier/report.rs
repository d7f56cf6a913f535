//! What a dossier proves, what it does not, and what in it is wrong.

use entente_clock::Timestamp;
use entente_evidence::commitment::Field;
use entente_evidence::proof::Form;
use entente_evidence::statement::Kind;
use entente_identity::{Jurisdiction, MemberId, ServerId};
use entente_ledger::note::NoteKey;
use entente_timestamp::Authorities;

/// What whoever verifies believes already.
#[derive(Debug, Default)]
pub struct Trust {
    /// The key of the ledger of a registry: that of either party.
    pub registry: Option<NoteKey>,
    /// The time-stamping authorities that count.
    pub authorities: Option<Authorities>,
}

/// What came of it. Nothing is proven by a dossier with faults.
#[derive(Debug, Default)]
pub struct Report {
    /// What is proven.
    pub proven: Vec<Proven>,
    /// What is not.
    pub gaps: Vec<Gap>,
    /// What is wrong.
    pub faults: Vec<Fault>,
}

/// Something proven. Variants are alphabetical.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proven {
    /// The registry bound a key to a server: its own, or its ledger's.
    Bound {
        /// The server.
        server: ServerId,
        /// Where in the registry's ledger.
        index: u64,
    },
    /// A member's certificate stands above the session.
    Certified {
        /// The server whose session it is.
        server: ServerId,
    },
    /// A value is the one committed to.
    Disclosed {
        /// Whether in the answer.
        is_of_answer: bool,
        /// Which field.
        field: Field,
    },
    /// An entry is in a ledger, under its checkpoint.
    Logged {
        /// The ledger.
        origin: String,
        /// Where.
        index: u64,
        /// What kind of entry.
        kind: &'static str,
        /// The checkpoint's size.
        size: u64,
    },
    /// The provider's ledger holds the request where its answer promised.
    Promised {
        /// Where.
        index: u64,
    },
    /// One registry recognised the other, whose ledger has the key in this bundle.
    Recognised {
        /// Whose registry said so.
        by: Jurisdiction,
        /// Whose registry it recognised.
        jurisdiction: Jurisdiction,
        /// Where in the ledger of the one that said so.
        index: u64,
    },
    /// The registry bound the seal's key to its member.
    SealBound {
        /// The member.
        member: MemberId,
        /// Where in the registry's ledger.
        index: u64,
    },
    /// A member sealed all of this.
    Sealed {
        /// The member.
        member: MemberId,
        /// When, by its own word.
        at: Timestamp,
    },
    /// A server signed a statement, in a session that its key certified.
    Signed {
        /// The server.
        server: ServerId,
        /// What it is.
        kind: Kind,
        /// When, by its own word.
        at: Timestamp,
        /// Whether alone or with others.
        form: Form,
    },
    /// The whole bundle was there when an authority said it was.
    BundleStamped {
        /// At the latest.
        by: Timestamp,
    },
    /// So many witnesses as the registry's policy asks for have seen a ledger's checkpoint, and no other tree.
    Witnessed {
        /// The ledger.
        origin: String,
        /// The checkpoint's size.
        size: u64,
        /// When they had.
        at: Timestamp,
        /// What the policy calls those who cosigned.
        by: Vec<String>,
    },
    /// An entry was there when an authority said it was.
    Stamped {
        /// The ledger.
        origin: String,
        /// The entry.
        index: u64,
        /// At the latest.
        by: Timestamp,
    },
}

/// Something not proven. Variants are alphabetical.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gap {
    /// There is no answer.
    Answer,
    /// The authority of the time stamps was not checked.
    Authority,
    /// A key was in force then: what the registry revoked is not in a bundle.
    InForce,
    /// The instructions are not as this version writes them: their commands are whoever's who sealed it.
    Instructions,
    /// A server's ledger is not in it.
    Ledger {
        /// The server.
        server: ServerId,
    },
    /// A statement's entry is not in it.
    NotLogged {
        /// The server.
        server: ServerId,
        /// What the statement is.
        kind: Kind,
    },
    /// A certificate, of the seal or above a session, is not shown to be the member's.
    MemberNotBound {
        /// The member it names.
        member: MemberId,
    },
    /// A key is not shown to be the server's.
    NotBound {
        /// The server.
        server: ServerId,
    },
    /// The registries recognised each other then: what they suspended or ended is not in a bundle.
    Recognition,
    /// Whose registry it is was not compared with anything, and none that is believed recognises it here.
    Registry {
        /// Its key, to be compared.
        key: String,
    },
    /// A time stamp is by no authority that counts, or does not hold.
    Stamp {
        /// The ledger.
        origin: String,
        /// The size of the tree it is over.
        size: u64,
    },
    /// No authority vouches for when entries were there.
    Time {
        /// The ledger.
        origin: String,
        /// The entries.
        entries: Vec<u64>,
    },
    /// No quorum of witnesses cosigned a ledger's checkpoint, or the policy is not in it, or asks for none:
    /// its server may have shown others another ledger.
    Witnesses {
        /// The server.
        server: ServerId,
    },
}

/// Something wrong, and in which part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {what}")]
pub struct Fault {
    /// The part, by its name in the bundle.
    pub part: String,
    /// What is wrong.
    pub what: &'static str,
}
