//! Statements our own types cannot hold, signed as if they could.

use anyhow::Context as _;
use bytes::Bytes;
use entente_evidence::statement::Statement;
use entente_signing::Signer;
use entente_signing::cbor::{Reader, Writer};
use entente_signing::cose::{self, Protected};

use super::Session;

/// The bytes of a statement without one of its keys.
///
/// # Errors
/// When it cannot be encoded, or has no such key.
pub fn without_key(statement: &Statement, key: u64) -> anyhow::Result<Vec<u8>> {
    let bytes = statement.encode()?;
    let mut reader = Reader::new(&bytes);
    let count = reader.map()?;
    let mut writer = Writer::new();
    writer.map(count - 1);
    let mut left_out = false;
    for _ in 0..count {
        let at = reader.uint()?;
        let item = reader.raw_item()?;
        if at == key {
            left_out = true;
        } else {
            writer.uint(at).raw(item);
        }
    }
    left_out.then_some(writer.into_vec()).context("no such key")
}

/// Signs `payload` with the headers that belong to `statement`.
///
/// # Errors
/// When the key cannot be used.
pub fn sign_payload(
    session: &Session,
    statement: &Statement,
    payload: &[u8],
) -> anyhow::Result<Bytes> {
    let signer: &dyn Signer = &*session.key;
    let protected = Protected::typed(
        signer,
        statement.sender.as_str(),
        &statement.message_id.urn(),
        "application/entente-stmt+cbor",
    );
    Ok(cose::sign1(signer, &protected, payload)?.into())
}
