//! The provider's signed promise of where a request stands in its ledger (guarantee G5).

use entente_signing::Digest;

use crate::statement::LogOrigin;

/// "Entry `index` of ledger `origin` is the one whose leaf hash is `leaf_hash`."
///
/// It is part of a signed statement, so if a later cosigned checkpoint of that ledger covers
/// `index` and the leaf there is another one, the signer is proven to have dropped or moved it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Origin of the provider's access ledger.
    pub origin: LogOrigin,
    /// Index of the entry, from 0.
    pub index: u64,
    /// RFC 6962 leaf hash of the entry: `SHA-256(00 ‖ entry)`.
    pub leaf_hash: Digest,
}
