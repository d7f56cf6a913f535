//! Whom an exchange is about: each of them, or more than policy has named (DESIGN.md §8).

use std::borrow::Cow;
use std::collections::BTreeSet;

use entente_contract::Subjects;
use entente_evidence::commitment::Subject;
use entente_reason::Reason;

/// The subjects of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// More than are named: everybody finds it.
    Many,
    /// These; none for an exchange about nobody.
    Named(Vec<Subject>),
}

// === impl About ===

impl About {
    /// What a contract found in a message.
    pub(crate) fn of(found: Subjects) -> Result<Self, Reason> {
        let Subjects::Named(found) = found else {
            return Ok(Self::Many);
        };
        let subjects = found.iter().map(|subject| {
            Subject::new(subject.scheme(), subject.value()).map_err(|_| Reason::BadField)
        });
        subjects.collect::<Result<_, _>>().map(Self::Named)
    }

    /// Those that are named.
    pub(crate) fn named(&self) -> &[Subject] {
        match self {
            Self::Many => &[],
            Self::Named(subjects) => subjects,
        }
    }

    /// Whether these are the same, in any order.
    pub(crate) fn is_of(&self, subjects: &[Subject]) -> bool {
        let these: BTreeSet<&Subject> = self.named().iter().collect();
        these == subjects.iter().collect()
    }

    /// These and `others`, unless they are more than `most` together.
    pub(crate) fn with(&self, others: Self, most: usize) -> Cow<'_, Self> {
        let (Self::Named(these), Self::Named(mut all)) = (self, others) else {
            return Cow::Owned(Self::Many);
        };
        if all.is_empty() {
            return Cow::Borrowed(self);
        }
        all.extend_from_slice(these);
        all.sort_unstable();
        all.dedup();
        Cow::Owned(if all.len() > most {
            Self::Many
        } else {
            Self::Named(all)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(ids: &[&str]) -> About {
        let subjects = ids.iter().map(|id| Subject::new("ca.sin", id).unwrap());
        About::Named(subjects.collect())
    }

    #[test]
    fn an_exchange_is_about_who_is_asked_for_and_who_is_in_the_answer() {
        let asked = named(&["3", "1"]);
        assert_eq!(*asked.with(named(&[]), 1), asked, "as it was");
        assert_eq!(*asked.with(named(&["2", "1"]), 3), named(&["1", "2", "3"]));
        assert_eq!(*asked.with(named(&["2", "1"]), 2), About::Many);
        assert_eq!(*asked.with(About::Many, 9), About::Many);
        assert_eq!(*About::Many.with(named(&[]), 9), About::Many);
    }

    #[test]
    fn who_opens_other_subjects_than_the_request_has_is_found_out() {
        let subjects = |about: &About| about.named().to_vec();
        let asked = named(&["3", "1"]);
        assert!(asked.is_of(&subjects(&named(&["1", "3"]))));
        assert!(!asked.is_of(&subjects(&named(&["1"]))));
        assert!(About::Many.is_of(&[]));
        assert!(!About::Many.is_of(&subjects(&asked)), "some of many");
    }
}
