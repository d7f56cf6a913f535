//! The structural rules: what must hold for a document to mean anything at all.
//!
//! These are not matters of taste; [`crate::lint`] has those. Bounds are here too.

use std::collections::BTreeSet;
use std::time::Duration;

use entente_identity::{MemberId, PurposeCode};

use super::{Clause, Document, Hours, OnwardRule, Text};

/// The rule a document breaks. Variants are alphabetical.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleBroken {
    /// Nothing says why data may flow this way.
    #[error("clause {clause}: no authority from `{from}` to `{to}`")]
    AuthorityMissing {
        /// The clause.
        clause: u32,
        /// The member that would disclose.
        from: MemberId,
        /// The member that would collect.
        to: MemberId,
    },
    /// Clauses are not numbered 1, 2, 3, …
    #[error("clause {found} stands where clause {expected} should")]
    ClauseNumber {
        /// The number that should be there.
        expected: u32,
        /// The number that is.
        found: u32,
    },
    /// The dates make no period, or one longer than five years.
    #[error("the dates do not make a period of at most five years")]
    Dates,
    /// Something is there twice.
    #[error("`{what}` is given twice")]
    Duplicate {
        /// What.
        what: String,
    },
    /// Something that must be there is empty.
    #[error("`{field}` is empty")]
    Empty {
        /// The field.
        field: &'static str,
    },
    /// Consumer and provider are the same member, or a system belongs to no party.
    #[error("clause {clause}: `{member}` is not a party, or would share with itself")]
    NotAParty {
        /// The clause.
        clause: u32,
        /// The member.
        member: MemberId,
    },
    /// A list of recipients that does not fit its rule.
    #[error("clause {clause}: `onward.to` names recipients exactly when the rule is `listed`")]
    OnwardList {
        /// The clause.
        clause: u32,
    },
    /// A value outside its bounds.
    #[error("`{field}` is outside {least} to {most}")]
    OutOfRange {
        /// The field.
        field: &'static str,
        /// The least value.
        least: u64,
        /// The greatest value.
        most: u64,
    },
    /// A clause uses a purpose the agreement does not have.
    #[error("clause {clause}: purpose {purpose} is not among the agreement's purposes")]
    PurposeNotListed {
        /// The clause.
        clause: u32,
        /// The purpose.
        purpose: PurposeCode,
    },
}

impl Document {
    /// Checks every structural rule and bound.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn check_rules(&self) -> Result<(), RuleBroken> {
        within("version", self.version, 1, u32::MAX)?;
        text("title", &self.title)?;
        let term = self.not_after.since(self.not_before);
        if self.not_after <= self.not_before || term > MAX_TERM {
            return Err(RuleBroken::Dates);
        }
        within("breach_notice_hours", self.breach_notice_hours, 1, 720)?;
        within(
            "maximum_staleness_hours",
            self.maximum_staleness_hours,
            1,
            168,
        )?;
        self.check_parties()?;
        count("purposes", self.purposes.len(), MAX_LIST)?;
        once(self.purposes.iter().map(|p| &p.code))?;
        for purpose in &self.purposes {
            text("purposes.text", &purpose.text)?;
        }
        count("clauses", self.clauses.len(), MAX_LIST)?;
        for (clause, expected) in self.clauses.iter().zip(1..) {
            if clause.number != expected {
                let found = clause.number;
                return Err(RuleBroken::ClauseNumber { expected, found });
            }
            self.check_clause(clause)?;
        }
        // Every server holds each pair of systems ready to be looked up.
        let pairs = |clause: &Clause| clause.consumers.len() * clause.providers.len();
        let pairs = self.clauses.iter().map(pairs).sum();
        within("clauses.pairs", saturate(pairs), 1, MAX_PAIRS)
    }

    fn check_parties(&self) -> Result<(), RuleBroken> {
        within("parties", saturate(self.parties.len()), 2, 64)?;
        once(self.parties.iter().map(|p| &p.member))?;
        for party in &self.parties {
            text("parties.steward.office", &party.steward.office)?;
            line("parties.steward.contact", &party.steward.contact)?;
        }
        count("authorities", self.authorities.len(), MAX_LIST)?;
        for (index, authority) in self.authorities.iter().enumerate() {
            let again = self.authorities[..index]
                .iter()
                .any(|a| a.from == authority.from && a.to == authority.to);
            if again {
                let what = format!("authority from {} to {}", authority.from, authority.to);
                return Err(RuleBroken::Duplicate { what });
            }
            for ground in [&authority.disclose, &authority.collect] {
                text("authorities.act", &ground.act)?;
                line("authorities.section", &ground.section)?;
            }
            if let Some(assessment) = &authority.assessment {
                line("authorities.assessment", assessment)?;
            }
        }
        count("oversight", self.oversight.len(), MAX_LIST)?;
        for body in &self.oversight {
            text("oversight.name", &body.name)?;
            text("oversight.mandate", &body.mandate)?;
        }
        if let Some(audit) = &self.audit {
            within("audit.every_months", audit.every_months, 1, 60)?;
            within("audit.notice_days", audit.notice_days, 0, 365)?;
            text("audit.right", &audit.right)?;
            count("audit.by", audit.by.len(), MAX_LIST)?;
        }
        Ok(())
    }

    fn check_clause(&self, clause: &Clause) -> Result<(), RuleBroken> {
        text("clauses.title", &clause.title)?;
        if let Some(limit) = &clause.use_limit {
            text("clauses.use_limit", limit)?;
        }
        count("clauses.consumers", clause.consumers.len(), MAX_LIST)?;
        count("clauses.providers", clause.providers.len(), MAX_LIST)?;
        count("clauses.methods", clause.methods.len(), MAX_LIST)?;
        count("clauses.subjects", clause.subjects.len(), MAX_LIST)?;
        count("clauses.purposes", clause.purposes.len(), MAX_LIST)?;
        for (name, terms) in &clause.methods {
            line("clauses.methods", name)?;
            for elements in [&terms.request, &terms.release] {
                within(
                    "clauses.methods.elements",
                    saturate(elements.len()),
                    0,
                    MAX_LIST,
                )?;
            }
        }
        within("clauses.assurance", u32::from(clause.assurance), 0, 4)?;
        within("clauses.retention.days", clause.retention.days, 1, MAX_DAYS)?;
        if let Some(days) = clause.retention.keep_payload_days {
            within(
                "clauses.retention.keep_payload_days",
                days,
                1,
                clause.retention.days,
            )?;
        }
        if let Some(volume) = &clause.volume {
            within(
                "clauses.volume.calls_per_day",
                volume.calls_per_day,
                1,
                u32::MAX,
            )?;
            within(
                "clauses.volume.calls_per_second",
                volume.calls_per_second,
                1,
                u32::MAX,
            )?;
        }
        if let Some(hours) = &clause.hours {
            check_hours(hours)?;
        }
        if let Some(onward) = &clause.onward
            && (onward.rule == OnwardRule::Listed) == onward.to.is_empty()
        {
            let clause = clause.number;
            return Err(RuleBroken::OnwardList { clause });
        }
        for purpose in &clause.purposes {
            if !self.purposes.iter().any(|p| p.code == *purpose) {
                let (clause, purpose) = (clause.number, purpose.clone());
                return Err(RuleBroken::PurposeNotListed { clause, purpose });
            }
        }
        self.check_flows(clause)
    }

    /// Every pair of systems is of two parties, with a ground to disclose and one to collect.
    fn check_flows(&self, clause: &Clause) -> Result<(), RuleBroken> {
        let members = |systems: &BTreeSet<entente_identity::SystemId>| {
            systems.iter().map(|s| s.member()).collect::<BTreeSet<_>>()
        };
        let (consumers, providers) = (members(&clause.consumers), members(&clause.providers));
        let number = clause.number;
        for member in consumers.union(&providers) {
            let both = consumers.contains(member) && providers.contains(member);
            if both || self.party(member).is_none() {
                let (clause, member) = (number, member.clone());
                return Err(RuleBroken::NotAParty { clause, member });
            }
        }
        for from in &providers {
            for to in &consumers {
                if !self
                    .authorities
                    .iter()
                    .any(|a| a.from == *from && a.to == *to)
                {
                    return Err(RuleBroken::AuthorityMissing {
                        clause: number,
                        from: from.clone(),
                        to: to.clone(),
                    });
                }
            }
        }
        Ok(())
    }
}

fn check_hours(hours: &Hours) -> Result<(), RuleBroken> {
    if hours.days.is_empty() {
        return Err(RuleBroken::Empty {
            field: "clauses.hours.days",
        });
    }
    within("clauses.hours.from_minute", hours.from_minute, 0, 1439)?;
    within(
        "clauses.hours.until_minute",
        hours.until_minute,
        hours.from_minute + 1,
        1440,
    )?;
    let offset = hours.utc_offset_minutes.unsigned_abs();
    within("clauses.hours.utc_offset_minutes", offset, 0, 840)
}

fn within(field: &'static str, value: u32, least: u32, most: u32) -> Result<(), RuleBroken> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let (least, most) = (u64::from(least), u64::from(most));
    Err(RuleBroken::OutOfRange { field, least, most })
}

fn count(field: &'static str, len: usize, most: u32) -> Result<(), RuleBroken> {
    if len == 0 {
        return Err(RuleBroken::Empty { field });
    }
    within(field, saturate(len), 1, most)
}

fn saturate(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn once<'a, T: Ord + ToString + 'a>(items: impl Iterator<Item = &'a T>) -> Result<(), RuleBroken> {
    let mut seen = BTreeSet::new();
    for item in items {
        if !seen.insert(item) {
            return Err(RuleBroken::Duplicate {
                what: item.to_string(),
            });
        }
    }
    Ok(())
}

fn text(field: &'static str, text: &Text) -> Result<(), RuleBroken> {
    for language in [&text.en, &text.fr] {
        if language.trim().is_empty() {
            return Err(RuleBroken::Empty { field });
        }
        within(field, saturate(language.len()), 1, MAX_TEXT)?;
    }
    Ok(())
}

fn line(field: &'static str, line: &str) -> Result<(), RuleBroken> {
    if line.trim().is_empty() {
        return Err(RuleBroken::Empty { field });
    }
    within(field, saturate(line.len()), 1, MAX_LINE)
}

/// The longest term of an agreement: five years, leap days counted.
const MAX_TERM: Duration = Duration::from_secs((5 * 365 + 2) * 24 * 3600);
/// A hundred years.
const MAX_DAYS: u32 = 36_525;
const MAX_LIST: u32 = 256;
/// Pairs of a consumer and a provider, all clauses together.
const MAX_PAIRS: u32 = 4096;
const MAX_TEXT: u32 = 4096;
const MAX_LINE: u32 = 200;
