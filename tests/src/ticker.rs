//! A service whose one method streams, offered and agreed on.

use bytes::Bytes;
use entente_identity::MethodName;
use entente_signing::Digest;

use crate::offer::{self, Terms};
use crate::world::World;

/// The method.
pub const METHOD: &str = "entente.tests.v1.Ticker/Watch";

/// Offers it and agrees on it; the agreement and the method.
///
/// # Errors
/// When the registry refuses.
pub async fn agree(world: &World) -> anyhow::Result<(Digest, MethodName)> {
    let method: MethodName = METHOD.parse()?;
    let service = method.service();
    offer::offer(world, &service, Bytes::from_static(DESCRIPTOR_SET)).await?;
    let terms = Terms {
        name: "TICKER-001",
        service: &service,
        contract: Digest::of(DESCRIPTOR_SET),
        method: method.method(),
        mode: "query",
        asked: &["tick.from".to_owned()].into(),
        released: &["tick.count".to_owned()].into(),
        keeps_payload: false,
    };
    Ok((offer::agree(world, &terms).await?, method))
}

const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ticker.binpb"));
