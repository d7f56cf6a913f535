//! How another jurisdiction stands with the own one, as the registries of both say.

use std::time::Duration;

use entente_directory::{Federation, Standing};
use entente_follow::View;
use entente_identity::Jurisdiction;

use super::doctor::{Said, words};
use super::log::Registry;
use crate::exit::Exit;
use crate::texts::Text;

/// What there is between two jurisdictions. Calls across pass in one of these cases alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bond {
    /// Each recognises the other, and the other's registry was heard this long ago.
    Stands { size: u64, age: Duration },
    /// The other's registry was heard longer ago than counts, or never.
    Stale {
        age: Option<Duration>,
        validity: Duration,
    },
    /// The own registrar suspended it.
    Suspended,
    /// The other's registrar does not recognise the own registry, or suspended that.
    Unreturned,
    /// The own registry does not recognise it: it never did, or has ended that.
    Unrecognised,
}

// === impl Bond ===

impl Bond {
    /// With another jurisdiction, by the own registry's view and those of the registries it recognises.
    pub(crate) fn with(jurisdiction: &Jurisdiction, home: &View, others: &[Registry]) -> Self {
        let Some(own) = home.state.registry() else {
            return Self::Unrecognised;
        };
        let record = home.state.recognition(jurisdiction);
        let Some(record) = record.filter(|record| record.standing != Standing::Ended) else {
            return Self::Unrecognised;
        };
        if home.state.recognised(jurisdiction).is_none() {
            return Self::Suspended;
        }
        let mut others = others.iter();
        let other = others.find(|other| {
            let anchor = other.anchor();
            anchor.jurisdiction == *jurisdiction && anchor.genesis == record.anchor.genesis
        });
        let Some(other) = other.filter(|other| other.view().size > 0) else {
            let hours = u64::from(record.anchor.validity_hours);
            return Self::Stale {
                age: None,
                validity: Duration::from_secs(hours * 3_600),
            };
        };
        let returned = other.view().state.recognised(&own.jurisdiction);
        if returned.is_none_or(|record| record.anchor.genesis != own.genesis) {
            return Self::Unreturned;
        }
        let (age, validity) = (other.age(), other.validity());
        if age > validity {
            return Self::Stale {
                age: (age != Duration::MAX).then_some(age),
                validity,
            };
        }
        Self::Stands {
            size: other.view().size,
            age,
        }
    }

    /// How a command ends that a call needs to pass.
    pub(crate) const fn exit(&self) -> Exit {
        match self {
            Self::Stale { .. } => Exit::Unavailable,
            _ => Exit::Refused,
        }
    }

    /// What was found.
    pub(crate) fn found(&self, home: &Jurisdiction, other: &Jurisdiction) -> Said {
        let said = |text| Said::of(text).with("jurisdiction", other);
        match self {
            Self::Stands { size, age } => said(Text::BondStands)
                .with("home", home)
                .with("size", size)
                .with("age", words(*age)),
            Self::Stale { age, validity } => said(Text::BondStale)
                .with("age", age.map_or_else(|| "-".to_owned(), words))
                .with("validity", words(*validity)),
            Self::Suspended => said(Text::BondSuspended).with("home", home),
            Self::Unreturned => said(Text::BondUnreturned).with("home", home),
            Self::Unrecognised => said(Text::BondUnrecognised).with("home", home),
        }
    }

    /// What to do; none where calls pass.
    pub(crate) fn remedy(&self, home: &Jurisdiction, other: &Jurisdiction) -> Option<Said> {
        let said = |text| Said::of(text).with("jurisdiction", other);
        Some(match self {
            Self::Stands { .. } => return None,
            Self::Stale { .. } => said(Text::BondStaleDo),
            Self::Suspended => said(Text::BondSuspendedDo).with("home", home),
            Self::Unreturned => said(Text::BondUnreturnedDo).with("home", home),
            Self::Unrecognised => said(Text::BondUnrecognisedDo).with("home", home),
        })
    }
}

/// The own registry and the others as one directory: what counts here of names, agreements and services.
pub(crate) fn federation(home: &View, others: &[Registry]) -> Federation {
    let others = others.iter().map(|other| other.view().state.clone());
    Federation::new(home.state.clone(), others.collect())
}
