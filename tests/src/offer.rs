//! Publishing further services in a [`World`], and agreeing on them.

use std::collections::BTreeSet;

use bytes::Bytes;
use entente_directory::{Author, Change, ServicePublish};
use entente_identity::ServiceName;
use entente_signing::Digest;

use crate::world::{AGREEMENT, METHOD, World};

/// What an agreement about one method of an offered service says.
#[derive(Clone, Debug)]
pub struct Terms<'a> {
    /// The agreement's short name.
    pub name: &'a str,
    /// The service.
    pub service: &'a ServiceName,
    /// Its contract.
    pub contract: Digest,
    /// The method's simple name.
    pub method: &'a str,
    /// How its data is exchanged: `query`, `bulk`.
    pub mode: &'a str,
    /// Elements a request may hold.
    pub asked: &'a BTreeSet<String>,
    /// Elements an answer may hold.
    pub released: &'a BTreeSet<String>,
    /// Whether the payload is kept with the evidence.
    pub keeps_payload: bool,
}

/// The provider publishes the first version of a service.
///
/// # Errors
/// When the registry refuses.
pub async fn offer(world: &World, service: &ServiceName, set: Bytes) -> anyhow::Result<()> {
    let provider = &world.provider;
    let publish = Change::ServicePublish(ServicePublish {
        service: service.clone(),
        systems: BTreeSet::from([provider.system.clone()]),
        descriptor_set: Digest::of(&set),
        version: 1,
    });
    let author = Author::Member(provider.member.clone());
    world
        .submit(author, &*provider.key, &publish, vec![set])
        .await
}

/// Both members agree on these terms.
///
/// # Errors
/// When the registry refuses.
pub async fn agree(world: &World, terms: &Terms<'_>) -> anyhow::Result<Digest> {
    world.agree(&terms.yaml()).await
}

// === impl Terms ===

impl Terms<'_> {
    fn yaml(&self) -> String {
        let list = |elements: &BTreeSet<String>| {
            let elements: Vec<&str> = elements.iter().map(String::as_str).collect();
            format!("[{}]", elements.join(", "))
        };
        let service = METHOD.split('/').next().unwrap_or_default();
        let retention = if self.keeps_payload {
            "days: 730, keep_payload_days: 30"
        } else {
            "days: 730"
        };
        let changes = [
            ("DEMO-001", self.name),
            ("{contract}", &self.contract.to_string()),
            (service, self.service.as_str()),
            ("mode: query", &format!("mode: {}", self.mode)),
            ("LookupDeath:", &format!("{}:", self.method)),
            ("[person.number, person.birth_date]", &list(self.asked)),
            ("[death.registered, death.date]", &list(self.released)),
            ("days: 730", retention),
        ];
        let mut yaml = AGREEMENT.to_owned();
        for (old, new) in changes {
            assert!(yaml.contains(old), "the agreement says {old}");
            yaml = yaml.replace(old, new);
        }
        yaml
    }
}
