//! Services that end before an agreement that names them does.

use entente_agreement::Document;
use entente_clock::Timestamp;
use entente_directory::Federation;
use entente_identity::{MemberId, ServiceName};
use serde_json::{Value, json};

use crate::output::Screen;
use crate::texts::{Fact, Text};

/// A service that its provider says will end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ending {
    pub(crate) at: Timestamp,
    pub(crate) service: ServiceName,
    pub(crate) member: MemberId,
}

// === impl Ending ===

impl Ending {
    /// Those of an agreement, the next one first.
    pub(crate) fn of(federation: &Federation, document: &Document) -> Vec<Self> {
        let mut endings = Vec::new();
        for clause in &document.clauses {
            for member in clause.providers.iter().map(|system| system.member()) {
                let service = clause.service.clone();
                let sunset = federation.sunset(&service, &member);
                if let Some(at) = sunset.filter(|at| *at < document.not_after) {
                    endings.push(Self {
                        at,
                        service,
                        member,
                    });
                }
            }
        }
        endings.sort();
        endings.dedup();
        endings
    }

    pub(crate) fn value(&self) -> Value {
        json!({ "service": self.service, "member": self.member, "ends": self.at.to_string() })
    }

    /// In words.
    pub(crate) fn text(&self, screen: &Screen) -> String {
        let facts: [Fact<'_>; 3] = [
            ("service", &self.service),
            ("member", &self.member),
            ("at", &self.at),
        ];
        screen.text(Text::ServiceEnds, &facts)
    }
}
