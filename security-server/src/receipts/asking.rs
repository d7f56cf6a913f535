//! Questions to one provider's server about its ledger. Each answer proves itself.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use entente_ledger::SignedCheckpoint;
use entente_ledger::note::NoteKey;
use entente_ledger::proof::{ConsistencyProof, InclusionProof};
use entente_proto::oversight::v1 as wire;
use entente_proto::oversight::v1::ledger_service_client::LedgerServiceClient;
use entente_reason::Reason;
use entente_signing::Digest;
use entente_tls::{Channel, reason_of};
use tokio::time::timeout;
use tonic::{Response, Status};

use super::Unchecked;

/// Whom we ask, about which ledger.
#[derive(Debug)]
pub(super) struct Asking {
    client: LedgerServiceClient<Channel>,
    key: NoteKey,
}

/// How long one question to a provider may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

// === impl Asking ===

impl Asking {
    pub(super) fn new(channel: Channel, key: NoteKey) -> Self {
        let client = LedgerServiceClient::new(channel);
        Self { client, key }
    }

    /// The key of the ledger.
    pub(super) const fn key(&self) -> &NoteKey {
        &self.key
    }

    /// Its newest final checkpoint, signed by the ledger's key.
    pub(super) async fn checkpoint(&mut self) -> Result<SignedCheckpoint, Unchecked> {
        let asked = wire::FetchCheckpointRequest {
            origin: self.key.name().to_owned(),
        };
        let answer = within(self.client.fetch_checkpoint(asked)).await?;
        SignedCheckpoint::verify(&answer.checkpoint, &self.key).map_err(|_| Unchecked::Unproven)
    }

    /// The leaves at these indices of the checkpoint's tree, each proven to be there.
    pub(super) async fn prove(
        &mut self,
        checkpoint: &SignedCheckpoint,
        indices: Vec<u64>,
    ) -> Result<Vec<(Digest, Vec<Digest>)>, Unchecked> {
        let asked = wire::ProveRequest {
            origin: self.key.name().to_owned(),
            size: checkpoint.size(),
            index: indices.clone(),
            old_size: 0,
        };
        let answer = within(self.client.prove(asked)).await?;
        if answer.inclusion.len() != indices.len() {
            return Err(Unchecked::Unproven);
        }
        let proven = indices.into_iter().zip(&answer.inclusion);
        let proven = proven.map(|(index, inclusion)| {
            let leaf = digest(&inclusion.leaf_hash)?;
            let proof = InclusionProof {
                index,
                size: checkpoint.size(),
                path: digests(&inclusion.path)?,
            };
            let verified = proof.verify(&leaf, &checkpoint.root());
            verified.map_err(|_| Unchecked::Unproven)?;
            Ok((leaf, proof.path))
        });
        proven.collect()
    }

    /// Checks that the tree of an earlier checkpoint is the beginning of this one.
    pub(super) async fn check_continued(
        &mut self,
        before: &SignedCheckpoint,
        now: &SignedCheckpoint,
    ) -> Result<(), Unchecked> {
        if before.size() == now.size() {
            let is_same = before.root() == now.root();
            return is_same.then_some(()).ok_or(Unchecked::Unproven);
        }
        if before.size() == 0 {
            return Ok(());
        }
        let asked = wire::ProveRequest {
            origin: self.key.name().to_owned(),
            size: now.size(),
            index: Vec::new(),
            old_size: before.size(),
        };
        let answer = within(self.client.prove(asked)).await?;
        let proof = ConsistencyProof {
            old_size: before.size(),
            new_size: now.size(),
            path: digests(&answer.consistency)?,
        };
        let verified = proof.verify(&before.root(), &now.root());
        verified.map_err(|_| Unchecked::Unproven)
    }
}

async fn within<T>(
    asking: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Unchecked> {
    match timeout(ANSWERED_WITHIN, asking).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => Err(Unchecked::Asking(reason_of(&status))),
        Err(_) => Err(Unchecked::Asking(Reason::PeerUnreachable)),
    }
}

fn digest(bytes: &[u8]) -> Result<Digest, Unchecked> {
    Digest::from_slice(bytes).map_err(|_| Unchecked::Unproven)
}

fn digests(hashes: &[Bytes]) -> Result<Vec<Digest>, Unchecked> {
    if hashes.len() > MAX_PATH {
        return Err(Unchecked::Unproven);
    }
    hashes.iter().map(|hash| digest(hash)).collect()
}

/// No tree is deeper; a consistency proof has one hash more.
const MAX_PATH: usize = 65;
