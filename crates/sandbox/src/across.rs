//! The agreements between two jurisdictions: who may ask whom, and on what ground.

use entente_clock::Timestamp;
use entente_signing::Digest;

use crate::files::TERM;
use crate::layout::{AGENCIES, Agency, DEATHS, HEALTH, Realm};

/// An agreement of the sandbox whose parties are in different registries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Across {
    /// What people call it.
    pub id: &'static str,
    /// Who answers.
    pub provider: Agency,
    /// Who asks.
    pub consumer: Agency,
    ground: Ground,
}

/// What the consumer asks for, and the act that lets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ground {
    what: Words,
    act: Words,
    /// Whom it is about, as a class.
    subject: &'static str,
    /// How it is retained.
    class: &'static str,
}

/// The same in both languages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Words {
    en: &'static str,
    fr: &'static str,
}

/// All of them. The last is between the two provinces.
pub const ACROSS: [Across; 3] = [
    Across {
        id: "DEMO-002",
        provider: AGENCIES[0],
        consumer: HEALTH,
        ground: HEALTH_CARDS,
    },
    Across {
        id: "DEMO-003",
        provider: DEATHS,
        consumer: AGENCIES[1],
        ground: PENSIONS,
    },
    Across {
        id: "DEMO-004",
        provider: DEATHS,
        consumer: HEALTH,
        ground: HEALTH_CARDS,
    },
];

// === impl Across ===

impl Across {
    /// Whether a party is of that jurisdiction.
    pub(crate) fn is_of(&self, realm: &Realm) -> bool {
        let parties = [self.provider, self.consumer];
        parties
            .iter()
            .any(|party| party.jurisdiction == realm.jurisdiction)
    }

    /// Its file, about a contract, in force from today.
    pub(crate) fn yaml(&self, descriptor_set: &Digest, now: Timestamp) -> String {
        let Self {
            provider,
            consumer,
            ground,
            ..
        } = self;
        TEMPLATE
            .replace("@id", self.id)
            .replace("@source", provider.member().as_str())
            .replace("@recipient", consumer.member().as_str())
            .replace("@provider", provider.system().as_str())
            .replace("@consumer", consumer.system().as_str())
            .replace("@disclosing", provider.jurisdiction)
            .replace("@collecting", consumer.jurisdiction)
            .replace("@what_en", ground.what.en)
            .replace("@what_fr", ground.what.fr)
            .replace("@act_en", ground.act.en)
            .replace("@act_fr", ground.act.fr)
            .replace("@subject", ground.subject)
            .replace("@class", ground.class)
            .replace("@not_before", &now.day().to_string())
            .replace("@not_after", &now.saturating_add(TERM).day().to_string())
            .replace("@descriptor_set", &descriptor_set.to_string())
    }
}

const HEALTH_CARDS: Ground = Ground {
    what: Words {
        en: "health cards",
        fr: "cartes d’assurance maladie",
    },
    act: Words {
        en: "Health Insurance Act",
        fr: "Loi sur l’assurance maladie",
    },
    subject: "health-card-holder",
    class: "health-cards",
};
const PENSIONS: Ground = Ground {
    what: Words {
        en: "pensions",
        fr: "rentes",
    },
    act: Words {
        en: "Pensions Act",
        fr: "Loi sur les rentes",
    },
    subject: "pension-recipient",
    class: "pensions",
};
const TEMPLATE: &str = include_str!("files/agreement-across.yaml");

#[cfg(test)]
mod tests {
    use entente_agreement::{Document, lint};

    use super::*;

    #[test]
    fn each_has_none_of_the_five_faults_and_parties_of_two_jurisdictions() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        for across in ACROSS {
            let yaml = across.yaml(&Digest::of(b"contract"), now);
            assert!(!yaml.replace("steward@", "").contains('@'), "{yaml}");
            let document = Document::from_yaml(&yaml).unwrap();
            assert_eq!(document.id.as_str(), across.id);
            assert!(document.in_dates(now));
            assert_eq!(lint::check(&document), []);
            let parties: Vec<_> = document.parties.iter().map(|party| &party.member).collect();
            let (provider, consumer) = (across.provider.member(), across.consumer.member());
            assert_eq!(parties, [&provider, &consumer]);
            assert_ne!(provider.jurisdiction(), consumer.jurisdiction());
        }
    }
}
