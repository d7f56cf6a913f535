//! C2SP `tlog-policy`: which logs are believed, which witnesses there are, and how many of them a
//! checkpoint needs.

mod both;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use entente_clock::Timestamp;

use crate::checkpoint::SignedCheckpoint;
use crate::cosignature;
use crate::note::{NoteKey, WitnessKey};

/// A policy. The default asks for nothing: every checkpoint is final.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WitnessPolicy {
    logs: Vec<NoteKey>,
    witnesses: Vec<Witness>,
    groups: Vec<Group>,
    quorum: Option<Member>,
}

/// A witness of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// What the policy calls it.
    pub name: String,
    /// Its key.
    pub key: WitnessKey,
    /// The prefix of its addresses: `https://witness.example/prefix`.
    pub url: Option<String>,
}

/// So many of its members make a group.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    name: String,
    needs: Needs,
    members: Vec<Member>,
}

/// How many of a group's members are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    All,
    Any,
    Count(usize),
}

/// A witness, or a group defined before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Member {
    Witness(usize),
    Group(usize),
}

/// A checkpoint with a policy's quorum of cosignatures. Obtained only by [`WitnessPolicy::judge`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CosignedCheckpoint {
    checkpoint: Arc<SignedCheckpoint>,
    at: Option<Timestamp>,
}

/// A text that is not a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the witness policy: expected {expected}")]
pub struct InvalidPolicy {
    /// Which line, from 1.
    pub line: usize,
    /// What should be there.
    pub expected: &'static str,
}

// === impl WitnessPolicy ===

impl WitnessPolicy {
    /// The logs it names.
    pub fn logs(&self) -> &[NoteKey] {
        &self.logs
    }

    /// The witnesses it names, whether the quorum counts them or not.
    pub fn witnesses(&self) -> &[Witness] {
        &self.witnesses
    }

    /// The fewest witnesses that can make the quorum. A witness is in one group at most, so no key is
    /// counted twice.
    pub fn fewest(&self) -> usize {
        self.quorum.map_or(0, |quorum| self.fewest_of(quorum))
    }

    /// Whether it asks for any cosignature.
    pub const fn is_demanding(&self) -> bool {
        self.quorum.is_some()
    }

    /// Whether the checkpoint has the quorum's cosignatures, and when it had them: the time of the
    /// newest cosignature without which, and those older than it, there would be no quorum.
    ///
    /// Cosignatures from more than a minute after `now` do not count.
    pub fn judge(
        &self,
        checkpoint: &Arc<SignedCheckpoint>,
        now: Timestamp,
    ) -> Option<CosignedCheckpoint> {
        let at = match self.quorum {
            None => None,
            Some(quorum) => Some(self.cosigned_at(quorum, checkpoint, now)?),
        };
        Some(CosignedCheckpoint {
            checkpoint: Arc::clone(checkpoint),
            at,
        })
    }

    /// Whether these witnesses, by their names in the policy, are enough for the quorum.
    pub fn is_quorum(&self, names: &BTreeSet<&str>) -> bool {
        self.quorum.is_none_or(|quorum| self.is_met(quorum, names))
    }

    fn is_met(&self, member: Member, names: &BTreeSet<&str>) -> bool {
        match member {
            Member::Witness(witness) => names.contains(&*self.witnesses[witness].name),
            Member::Group(group) => {
                let group = &self.groups[group];
                let met = group.members.iter().filter(|m| self.is_met(**m, names));
                met.count() >= group.needed()
            }
        }
    }

    fn fewest_of(&self, member: Member) -> usize {
        let Member::Group(group) = member else {
            return 1;
        };
        let group = &self.groups[group];
        let mut counts: Vec<_> = group.members.iter().map(|m| self.fewest_of(*m)).collect();
        counts.sort_unstable();
        counts.iter().take(group.needed()).sum()
    }

    fn cosigned_at(
        &self,
        member: Member,
        checkpoint: &SignedCheckpoint,
        now: Timestamp,
    ) -> Option<Timestamp> {
        match member {
            Member::Witness(witness) => {
                let at = cosignature::verify(checkpoint, &self.witnesses[witness].key).ok()?;
                (at <= now.saturating_add(SKEW)).then_some(at)
            }
            Member::Group(group) => {
                let group = &self.groups[group];
                let members = group.members.iter();
                let mut times: Vec<_> = members
                    .filter_map(|member| self.cosigned_at(*member, checkpoint, now))
                    .collect();
                times.sort_unstable();
                // The k-th newest.
                let place = times.len().checked_sub(group.needed())?;
                times.get(place).copied()
            }
        }
    }

    fn member(&self, name: &str) -> Option<Member> {
        let witness = self.witnesses.iter().position(|held| held.name == name);
        let group = || self.groups.iter().position(|held| held.name == name);
        let group = || group().map(Member::Group);
        witness.map(Member::Witness).or_else(group)
    }

    fn name(&self, member: Member) -> &str {
        match member {
            Member::Witness(witness) => &self.witnesses[witness].name,
            Member::Group(group) => &self.groups[group].name,
        }
    }

    fn add_witness(&mut self, words: &[&str]) -> Result<(), &'static str> {
        let (&[name, key], url) = words.split_first_chunk().ok_or(A_WITNESS)?;
        let key: WitnessKey = key.parse().map_err(|_| A_WITNESS)?;
        let url = match url {
            [] => None,
            [url] if is_url(url) => Some(url.trim_end_matches('/').to_owned()),
            _ => return Err("http:// or https:// and nothing after it"),
        };
        let is_new = |held: &Witness| held.key.key() != key.key() && held.key.name() != key.name();
        if !self.is_free(name) || !self.witnesses.iter().all(is_new) {
            return Err("a name and a key that were not used before");
        }
        if self.witnesses.len() == MAX_WITNESSES {
            return Err("at most 64 witnesses");
        }
        self.witnesses.push(Witness {
            name: name.to_owned(),
            key,
            url,
        });
        Ok(())
    }

    fn add_group(
        &mut self,
        words: &[&str],
        taken: &mut BTreeSet<Member>,
    ) -> Result<(), &'static str> {
        let (&[name, needs], names) = words.split_first_chunk().ok_or(A_GROUP)?;
        if !self.is_free(name) {
            return Err("a name that was not used before");
        }
        if names.is_empty() || self.groups.len() == MAX_WITNESSES {
            return Err(A_GROUP);
        }
        let mut members = Vec::new();
        for name in names {
            let member = self.member(name);
            let member = member.ok_or("witnesses and groups that were defined before")?;
            if !taken.insert(member) {
                return Err("members that are in no group yet");
            }
            members.push(member);
        }
        let needs = match needs {
            "all" => Needs::All,
            "any" => Needs::Any,
            count => match count.parse() {
                Ok(count) if (1..=members.len()).contains(&count) => Needs::Count(count),
                _ => return Err("any, all, or a number from 1 to that of the members"),
            },
        };
        self.groups.push(Group {
            name: name.to_owned(),
            needs,
            members,
        });
        Ok(())
    }

    fn is_free(&self, name: &str) -> bool {
        name != NONE && self.member(name).is_none()
    }
}

impl FromStr for WitnessPolicy {
    type Err = InvalidPolicy;

    fn from_str(text: &str) -> Result<Self, InvalidPolicy> {
        let mut policy = Self::default();
        let mut quorum = None;
        let mut taken = BTreeSet::new();
        let mut last = 0;
        for (line, text) in (1..).zip(text.lines()) {
            last = line;
            let invalid = |expected| InvalidPolicy { line, expected };
            if line > MAX_LINES || text.len() > MAX_LINE {
                return Err(invalid("at most 512 lines of at most 1,024 bytes"));
            }
            let text = text.split('#').next().unwrap_or_default();
            let words: Vec<&str> = text.split_ascii_whitespace().collect();
            let Some((keyword, words)) = words.split_first() else {
                continue;
            };
            match (*keyword, words) {
                ("log", [key]) => {
                    let key = key.parse().map_err(|_| invalid("the key of a log"))?;
                    policy.logs.push(key);
                }
                ("witness", words) => policy.add_witness(words).map_err(invalid)?,
                ("group", words) => policy.add_group(words, &mut taken).map_err(invalid)?,
                ("quorum", [name]) if quorum.is_none() => {
                    quorum = Some(match *name {
                        NONE => None,
                        name => {
                            let member = policy.member(name);
                            Some(member.ok_or_else(|| invalid("a witness or group, or none"))?)
                        }
                    });
                }
                _ => return Err(invalid("log, witness, group, or one quorum")),
            }
        }
        policy.quorum = quorum.ok_or(InvalidPolicy {
            line: last,
            expected: "a quorum",
        })?;
        Ok(policy)
    }
}

/// The text that parses to the same policy.
impl fmt::Display for WitnessPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for log in &self.logs {
            writeln!(f, "log {log}")?;
        }
        for Witness { name, key, url } in &self.witnesses {
            write!(f, "witness {name} {key}")?;
            match url {
                Some(url) => writeln!(f, " {url}")?,
                None => writeln!(f)?,
            }
        }
        for group in &self.groups {
            write!(f, "group {} {}", group.name, group.needs)?;
            for member in &group.members {
                write!(f, " {}", self.name(*member))?;
            }
            writeln!(f)?;
        }
        let quorum = self.quorum.map_or(NONE, |quorum| self.name(quorum));
        writeln!(f, "quorum {quorum}")
    }
}

// === impl Group ===

impl Group {
    const fn needed(&self) -> usize {
        match self.needs {
            Needs::All => self.members.len(),
            Needs::Any => 1,
            Needs::Count(count) => count,
        }
    }
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Any => f.write_str("any"),
            Self::Count(count) => count.fmt(f),
        }
    }
}

// === impl CosignedCheckpoint ===

impl CosignedCheckpoint {
    /// The checkpoint.
    pub const fn checkpoint(&self) -> &Arc<SignedCheckpoint> {
        &self.checkpoint
    }

    /// When the quorum had seen it; none when the policy asks for no witness.
    pub const fn at(&self) -> Option<Timestamp> {
        self.at
    }
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://");
    let rest = rest.or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic()))
}

/// How far a witness's clock may be ahead.
const SKEW: Duration = Duration::from_secs(60);

const A_WITNESS: &str = "the name, key and perhaps address of a witness";
const A_GROUP: &str = "the name of a group, how many of its members it needs, and its members";
const NONE: &str = "none";

/// The most witnesses, and the most groups, of one policy.
pub const MAX_WITNESSES: usize = 64;
/// The longest policy that a directory holds, in bytes.
pub const MAX_POLICY: usize = 8 * 1024;
const MAX_LINES: usize = 512;
const MAX_LINE: usize = 1_024;
