//! The contents of an agreement, field by field.
//!
//! Every type here is what YAML is parsed into and what canonical JSON is written from, so the order
//! of sets is fixed and absent means absent. Texts people read are in both languages, always.

mod rules;
mod terms;

use std::collections::{BTreeMap, BTreeSet};

use entente_clock::Timestamp;
use entente_identity::{ElementName, Jurisdiction, MemberId, PurposeCode, ServiceName, SystemId};
use entente_signing::Digest;
use serde::{Deserialize, Serialize};

pub use rules::RuleBroken;
pub use terms::{AgreementName, Hours, InvalidTerm, RetentionClass, SubjectClass, Text, Weekday};

/// Everything the parties agreed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The format and its version.
    pub format: Format,
    /// The short name people use: `DEMO-001`.
    pub id: AgreementName,
    /// Counts up from 1 with each amendment of the same `id`.
    pub version: u32,
    /// What it is called.
    pub title: Text,
    /// The hash of the agreement this one replaces.
    #[serde(
        default,
        with = "terms::digest_option",
        skip_serializing_if = "Option::is_none"
    )]
    pub supersedes: Option<Digest>,
    /// What kind of instrument it is.
    pub binding: Binding,
    /// Who is bound; at least two, each once.
    pub parties: Vec<Party>,
    /// For each direction data flows: the ground to disclose and the ground to collect.
    pub authorities: Vec<Authority>,
    /// What the data may be used for.
    pub purposes: Vec<Purpose>,
    /// What is permitted. Nothing else is.
    pub clauses: Vec<Clause>,
    /// How exchanges under this agreement are shown to people.
    pub log: LogProfile,
    /// Bodies that may look, and suspend.
    pub oversight: Vec<Oversight>,
    /// How soon a breach is reported to the other parties, 1 to 720 hours.
    pub breach_notice_hours: u32,
    /// The right to audit. Its absence is a fault [`crate::lint`] reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Audit>,
    /// How old a server's view of the registry may be, 1 to 168 hours; the policy may ask for less.
    pub maximum_staleness_hours: u32,
    /// When the parties look at it again.
    #[serde(
        default,
        with = "terms::instant_option",
        skip_serializing_if = "Option::is_none"
    )]
    pub review_by: Option<Timestamp>,
    /// The first instant at which it may be in force.
    #[serde(with = "terms::instant")]
    pub not_before: Timestamp,
    /// The instant at which it is over; at most five years after `not_before`.
    #[serde(with = "terms::instant")]
    pub not_after: Timestamp,
}

/// The format of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// The first.
    #[serde(rename = "entente/agreement/v1")]
    V1,
}

/// What kind of instrument the agreement is in law.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Binding {
    /// A non-binding administrative arrangement.
    AdministrativeArrangement,
    /// A contract.
    Contract,
    /// A memorandum of understanding.
    Memorandum,
    /// Required by statute or regulation.
    StatutoryInstrument,
}

/// An institution bound by the agreement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// The institution.
    pub member: MemberId,
    /// Its part in it.
    pub role: Role,
    /// Who answers for it.
    pub steward: Steward,
}

/// A party's part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Both provides and receives.
    Both,
    /// A community whose data it is, which co-signs.
    CommunityAuthority,
    /// Receives data.
    Recipient,
    /// Provides data.
    Source,
}

/// The office that answers for an agreement: organisational contact details, published as such.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Steward {
    /// The office, in both languages.
    pub office: Text,
    /// Where to write or call, at most 200 characters.
    pub contact: String,
}

/// The legal grounds of one direction of flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authority {
    /// The party that discloses.
    pub from: MemberId,
    /// The party that collects.
    pub to: MemberId,
    /// What lets `from` disclose.
    pub disclose: Ground,
    /// What lets `to` collect and use.
    pub collect: Ground,
    /// The privacy impact assessment, by its published reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assessment: Option<String>,
}

/// A provision of law.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ground {
    /// Whose law.
    pub jurisdiction: Jurisdiction,
    /// The act, in both languages.
    pub act: Text,
    /// The section: `s. 8(2)(f)`.
    pub section: String,
}

/// A purpose, as the agreement narrows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Purpose {
    /// A code of the registry's list.
    pub code: PurposeCode,
    /// What it means here, in both languages.
    pub text: Text,
}

/// One permission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clause {
    /// Its number, ascending from 1; every entry names it.
    pub number: u32,
    /// What it permits, in both languages.
    pub title: Text,
    /// The systems that may ask.
    pub consumers: BTreeSet<SystemId>,
    /// The systems that may answer.
    pub providers: BTreeSet<SystemId>,
    /// The service.
    pub service: ServiceName,
    /// SHA-256 of the descriptor set the parties read when they agreed.
    #[serde(with = "terms::digest")]
    pub descriptor_set: Digest,
    /// By simple method name: the elements asked and released.
    pub methods: BTreeMap<String, MethodTerms>,
    /// Whose data it is.
    pub subjects: BTreeSet<SubjectClass>,
    /// How it is exchanged.
    pub mode: Mode,
    /// Ceilings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<Volume>,
    /// When calls may be made; absent is always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
    /// Whether a named official stands behind each call.
    pub user_required: bool,
    /// Whether each call names a case.
    pub case_required: bool,
    /// The least assurance of the end user, 0 to 4.
    pub assurance: u8,
    /// How long the recipient keeps what it got.
    pub retention: Retention,
    /// Whether the recipient may pass it on. Its absence is a fault [`crate::lint`] reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onward: Option<Onward>,
    /// What the recipient may not do with it. Its absence is a fault [`crate::lint`] reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_limit: Option<Text>,
    /// How the recipient guards it, from a closed list. None is a fault [`crate::lint`] reports.
    pub safeguards: BTreeSet<Safeguard>,
    /// Which of the agreement's purposes.
    pub purposes: BTreeSet<PurposeCode>,
}

/// What may cross in each direction of one method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MethodTerms {
    /// Elements a request may hold.
    pub request: BTreeSet<ElementName>,
    /// Elements an answer may hold.
    pub release: BTreeSet<ElementName>,
}

/// How a clause's data is exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Many records at a time.
    Bulk,
    /// Notices of what happened.
    Event,
    /// One question, one answer.
    Query,
}

/// Ceilings on use, for all servers of the consumer together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// Calls in a UTC day.
    pub calls_per_day: u32,
    /// Calls in any second.
    pub calls_per_second: u32,
}

/// How long the recipient keeps what it received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// The class, which names the key that is destroyed at its end.
    pub class: RetentionClass,
    /// Days from receipt, 1 to 36,525.
    pub days: u32,
    /// Days for which the payload itself is kept with the evidence; absent is never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_payload_days: Option<u32>,
}

/// Whether data may be passed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Onward {
    /// The rule.
    pub rule: OnwardRule,
    /// To whom, for [`OnwardRule::Listed`]; otherwise empty.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub to: BTreeSet<MemberId>,
}

/// The rule for passing data on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnwardRule {
    /// Only to those named.
    Listed,
    /// To nobody.
    None,
    /// As the recipient's own law allows.
    Open,
}

/// A safeguard an auditor can test for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Safeguard {
    /// Access given by role, and reviewed.
    AccessByRole,
    /// Every access recorded.
    AccessLogged,
    /// Destruction attested in writing.
    DestructionAttested,
    /// Encrypted where it is stored.
    EncryptedAtRest,
    /// Held inside Canada.
    HeldInCanada,
    /// No attempt to identify persons again.
    NoReidentification,
    /// Staff screened.
    StaffScreened,
    /// Staff trained in privacy.
    StaffTrained,
}

/// How exchanges are shown to the persons concerned and to overseers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogProfile {
    /// When the person may be told.
    pub notice_class: NoticeClass,
    /// How much of the official is shown.
    pub actor_disclosure: ActorDisclosure,
}

/// When the person may be told of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeClass {
    /// After a delay set by law.
    Deferred,
    /// At once.
    Immediate,
    /// Only the commissioner sees it.
    Withheld,
}

/// How much of the official behind a call is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActorDisclosure {
    /// By name.
    Named,
    /// Not at all.
    None,
    /// By a pseudonym that stays the same.
    Pseudonym,
    /// By role.
    Role,
}

/// A body that oversees the agreement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oversight {
    /// The body as a member, when it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<MemberId>,
    /// Its name, in both languages.
    pub name: Text,
    /// What it may do, in both languages.
    pub mandate: Text,
}

/// The right to audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// Which parties may audit the others.
    pub by: BTreeSet<MemberId>,
    /// How often, in months, 1 to 60.
    pub every_months: u32,
    /// Days of notice, 0 to 365.
    pub notice_days: u32,
    /// The right itself, in both languages.
    pub right: Text,
}

// === impl Document ===

impl Document {
    /// The party with this name.
    pub fn party(&self, member: &MemberId) -> Option<&Party> {
        self.parties.iter().find(|p| p.member == *member)
    }

    /// Whether `now` is within the dates: not-before inclusive, not-after exclusive.
    pub fn in_dates(&self, now: Timestamp) -> bool {
        self.not_before <= now && now < self.not_after
    }
}

// === impl Clause ===

impl Clause {
    /// Whether the clause is about this pair of systems.
    pub fn joins(&self, consumer: &SystemId, provider: &SystemId) -> bool {
        self.consumers.contains(consumer) && self.providers.contains(provider)
    }
}

// === impl NoticeClass ===

impl NoticeClass {
    /// As written in agreements and in subject-tag keys.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deferred => "deferred",
            Self::Immediate => "immediate",
            Self::Withheld => "withheld",
        }
    }
}
