//! The federation of the exchange case: a registry that runs here, and all that two security
//! servers need to run as processes of their own.

use std::collections::BTreeSet;
use std::path::Path;

use bytes::Bytes;
use entente_directory::{Author, Change, ServicePublish};
use entente_signing::Digest;
use serde_json::{Value, json};

use super::DESCRIPTOR_SET;
use crate::world::{PURPOSE, World};

/// A registry in this process, two registered servers that do not run yet, a published echo and an
/// agreement in force about it.
#[derive(Debug)]
pub struct Federation {
    world: World,
}

// === impl Federation ===

impl Federation {
    /// Builds it in `folder`, which must not hold one.
    ///
    /// # Errors
    /// When any act is refused.
    pub async fn build(folder: &Path) -> anyhow::Result<Self> {
        let world = World::build(folder).await?;
        let provider = &world.provider;
        let publish = ServicePublish {
            service: SERVICE.parse()?,
            systems: BTreeSet::from([provider.system.clone()]),
            descriptor_set: Digest::of(DESCRIPTOR_SET),
            version: 1,
        };
        let author = Author::Member(provider.member.clone());
        let change = Change::ServicePublish(publish);
        let blobs = vec![Bytes::from_static(DESCRIPTOR_SET)];
        world.submit(author, &*provider.key, &change, blobs).await?;
        let contract = Digest::of(DESCRIPTOR_SET).to_string();
        world
            .agree(&AGREEMENT.replace("{contract}", &contract))
            .await?;
        Ok(Self { world })
    }

    /// The registry and the two servers, to start them in this process instead.
    pub const fn world(&self) -> &World {
        &self.world
    }

    /// What whoever starts the servers and the load has to know.
    pub fn json(&self) -> Value {
        let (consumer, provider) = (&self.world.consumer, &self.world.provider);
        json!({
            "consumer": consumer.config,
            "provider": provider.config,
            "caller": consumer.caller_socket(),
            "peer": provider.address,
            "source": format!("unix:{}", provider.source_socket().display()),
            "metadata": [
                format!("entente-to={}", provider.system),
                format!("entente-purpose={PURPOSE}"),
            ],
        })
    }
}

const SERVICE: &str = "entente.bench.v1.Echo";
const AGREEMENT: &str = include_str!("federation/agreement.yaml");
