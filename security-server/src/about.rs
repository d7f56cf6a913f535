//! Whom an exchange is about: each of them, or more than policy has named (DESIGN.md §8).

use std::borrow::Cow;
use std::collections::BTreeSet;

use entente_contract::Subjects;
use entente_evidence::commitment::Subject;
use entente_reason::Reason;

/// The subjects of an exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct About {
    /// Those that are named. [`Subject::many`] among them when there are more than that.
    subjects: Vec<Subject>,
    is_bulk: bool,
}

// === impl About ===

impl About {
    /// What a contract found in a message.
    pub(crate) fn of(found: Subjects) -> Result<Self, Reason> {
        let Subjects::Named(found) = found else {
            return Ok(Self::default().and_many());
        };
        let subjects = found.iter().map(|subject| {
            Subject::new(subject.scheme(), subject.value()).map_err(|_| Reason::BadField)
        });
        Ok(Self {
            subjects: subjects.collect::<Result<_, _>>()?,
            is_bulk: false,
        })
    }

    /// Whom to tag it for.
    pub(crate) fn subjects(&self) -> &[Subject] {
        &self.subjects
    }

    /// Whether it is about more than are named.
    pub(crate) const fn is_bulk(&self) -> bool {
        self.is_bulk
    }

    /// Whether these are the same, in any order.
    pub(crate) fn is_of(&self, subjects: &[Subject]) -> bool {
        let these: BTreeSet<&Subject> = self.subjects.iter().collect();
        these == subjects.iter().collect()
    }

    /// Whom the exchange is about once its answer is known: those in the answer, and those asked about.
    /// Padding either with invented ones leaves those of the other named.
    pub(crate) fn with(&self, answered: Self) -> Cow<'_, Self> {
        if answered.subjects.is_empty() {
            return Cow::Borrowed(self);
        }
        let is_bulk = self.is_bulk || answered.is_bulk;
        let mut named: BTreeSet<Subject> = answered.subjects.into_iter().collect();
        named.extend(self.subjects.iter().cloned());
        named.remove(&Subject::many());
        let about = Self {
            subjects: named.into_iter().collect(),
            is_bulk: false,
        };
        Cow::Owned(if is_bulk { about.and_many() } else { about })
    }

    fn and_many(mut self) -> Self {
        self.subjects.push(Subject::many());
        self.is_bulk = true;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(ids: &[&str]) -> About {
        let subjects = ids.iter().map(|id| Subject::new("ca.sin", id).unwrap());
        About {
            subjects: subjects.collect(),
            is_bulk: false,
        }
    }

    fn many(ids: &[&str]) -> About {
        named(ids).and_many()
    }

    #[test]
    fn an_exchange_is_about_who_is_asked_for_and_who_is_in_the_answer() {
        let asked = named(&["3", "1"]);
        assert_eq!(*asked.with(named(&[])), asked, "as it was");
        assert_eq!(*asked.with(named(&["2", "1"])), named(&["1", "2", "3"]));
        assert_eq!(*many(&[]).with(named(&[])), many(&[]));
    }

    #[test]
    fn who_is_in_the_answer_is_named_however_many_were_asked_about_and_the_other_way_round() {
        assert_eq!(*many(&[]).with(named(&["1"])), many(&["1"]));
        assert_eq!(*named(&["1"]).with(many(&[])), many(&["1"]));
        assert_eq!(*many(&[]).with(many(&[])), many(&[]));
    }

    #[test]
    fn who_opens_other_subjects_than_the_request_has_is_found_out() {
        let asked = named(&["3", "1"]);
        assert!(asked.is_of(named(&["1", "3"]).subjects()));
        assert!(!asked.is_of(named(&["1"]).subjects()));
        assert!(many(&[]).is_of(&[Subject::many()]));
        assert!(!many(&[]).is_of(&[]), "nobody");
        assert!(!many(&[]).is_of(asked.subjects()), "some of many");
    }
}
