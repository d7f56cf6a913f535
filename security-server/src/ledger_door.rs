//! What peers may read of this server's ledger: checkpoints, hash tiles, proofs, and the entries of their
//! own exchanges. (DESIGN.md §13)
//!
//! A caller is a server whose TLS key the directory knows; nothing is believed of what it says. Nothing
//! answered here needs to be believed either: it all proves itself against signed checkpoints.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use entente_evidence::proof::SignedStatement;
use entente_identity::ServerId;
use entente_ledger::entry::{Body, DeniedCall, Entry};
use entente_ledger::{Ledger, ReadError};
use entente_proto::oversight::v1 as wire;
use entente_proto::oversight::v1::ledger_service_server::LedgerService;
use entente_reason::{Lang, Reason};
use entente_tls::PeerInfo;
use tonic::{Request, Response, Status};

use crate::refusal::Refusal;
use crate::server::Server;

/// Answers peers about this server's ledger.
#[derive(Clone, Debug)]
pub(crate) struct LedgerDoor {
    server: Arc<Server>,
}

/// Proofs in one answer.
const MAX_PROOFS: usize = 256;
/// Entries in one answer.
const MAX_ENTRIES: u64 = 256;

// === impl LedgerDoor ===

impl LedgerDoor {
    pub(crate) const fn new(server: Arc<Server>) -> Self {
        Self { server }
    }

    /// The peer that asks.
    fn peer<T>(&self, request: &Request<T>) -> Result<ServerId, Reason> {
        let adopted = self.server.adopted()?;
        let peer = request.extensions().get::<PeerInfo>();
        let spki = peer.and_then(|peer| peer.spki).ok_or(Reason::PeerUnknown)?;
        adopted
            .server_with_tls_key(&spki)
            .ok_or(Reason::PeerUnknown)
    }

    /// The ledger of this origin: there is one.
    fn ledger(&self, origin: &str) -> Result<&Ledger, Reason> {
        let ledger = self.server.journal.ledger();
        (ledger.origin() == origin)
            .then_some(ledger)
            .ok_or(Reason::NoRecord)
    }

    async fn prove(&self, asked: &wire::ProveRequest) -> Result<wire::ProveResponse, Reason> {
        let ledger = self.ledger(&asked.origin)?;
        if asked.index.len() > MAX_PROOFS {
            return Err(Reason::MessageTooLarge);
        }
        let reason = |error: ReadError| error.reason();
        let mut proven = wire::ProveResponse::default();
        for index in &asked.index {
            let (leaf, proof) = ledger.leaf(*index, asked.size).await.map_err(reason)?;
            let hash = |hash: &entente_signing::Digest| Bytes::copy_from_slice(hash.as_bytes());
            proven.inclusion.push(wire::Inclusion {
                leaf_hash: hash(&leaf),
                path: proof.path.iter().map(hash).collect(),
            });
        }
        if asked.old_size > 0 {
            let proof = ledger.consistency(asked.old_size, asked.size).await;
            let path = proof.map_err(reason)?.path;
            let hashes = path.iter().map(|h| Bytes::copy_from_slice(h.as_bytes()));
            proven.consistency = hashes.collect();
        }
        Ok(proven)
    }

    /// The entries of a range, when each is of an exchange with `peer`.
    async fn entries(
        &self,
        peer: &ServerId,
        asked: &wire::StreamEntriesRequest,
    ) -> Result<wire::StreamEntriesResponse, Reason> {
        let ledger = self.ledger(&asked.origin)?;
        if asked.count == 0 || asked.count > MAX_ENTRIES || !asked.query.is_empty() {
            return Err(Reason::SenderNotAllowed);
        }
        let limit = usize::try_from(asked.count).unwrap_or(usize::MAX);
        let entries = ledger.entries(asked.first_index, limit).await;
        let entries = entries.map_err(|error| error.reason())?;
        if !entries.iter().all(|entry| is_of(peer, entry)) {
            return Err(Reason::SenderNotAllowed);
        }
        Ok(wire::StreamEntriesResponse {
            first_index: asked.first_index,
            entry: entries,
        })
    }
}

/// Whether an entry is of an exchange with this peer.
fn is_of(peer: &ServerId, entry: &Bytes) -> bool {
    let statement = match Entry::decode(entry).map(|entry| entry.body) {
        Ok(Body::In(entry)) => entry.statement,
        Ok(Body::Out(entry)) => entry.statement,
        Ok(Body::Denied(entry)) => match entry.call {
            DeniedCall::Statement(statement) => statement,
            DeniedCall::Attempt(_) => return false,
        },
        _ => return false,
    };
    SignedStatement::parse(statement).is_ok_and(|signed| {
        let says = signed.statement();
        says.sender_server == *peer || says.receiver_server == *peer
    })
}

#[tonic::async_trait]
impl LedgerService for LedgerDoor {
    type StreamEntriesStream = Pin<
        Box<
            dyn tokio_stream::Stream<Item = Result<wire::StreamEntriesResponse, Status>>
                + Send
                + 'static,
        >,
    >;

    async fn list_ledgers(
        &self,
        request: Request<wire::ListLedgersRequest>,
    ) -> Result<Response<wire::ListLedgersResponse>, Status> {
        self.peer(&request).map_err(refuse)?;
        let ledger = self.server.journal.ledger();
        let size = ledger
            .checkpoint()
            .borrow()
            .as_ref()
            .map_or(0, |c| c.size());
        Ok(Response::new(wire::ListLedgersResponse {
            ledgers: vec![wire::Ledger {
                origin: ledger.origin().to_owned(),
                open: true,
                size,
            }],
        }))
    }

    async fn fetch_checkpoint(
        &self,
        request: Request<wire::FetchCheckpointRequest>,
    ) -> Result<Response<wire::FetchCheckpointResponse>, Status> {
        self.peer(&request).map_err(refuse)?;
        let ledger = self.ledger(&request.get_ref().origin).map_err(refuse)?;
        // The newest final one: what nobody cosigned yet may still have to be given up.
        let newest = ledger.finality().borrow().clone();
        let newest = newest.ok_or_else(|| refuse(Reason::NoRecord))?;
        Ok(Response::new(wire::FetchCheckpointResponse {
            checkpoint: newest.note().to_string().into(),
        }))
    }

    async fn fetch_tile(
        &self,
        request: Request<wire::FetchTileRequest>,
    ) -> Result<Response<wire::FetchTileResponse>, Status> {
        self.peer(&request).map_err(refuse)?;
        let asked = request.get_ref();
        let ledger = self.ledger(&asked.origin).map_err(refuse)?;
        let level = u8::try_from(asked.level).ok();
        let width = u16::try_from(asked.width).ok();
        let (Some(level), Some(width)) = (level, width) else {
            return Err(refuse(Reason::NoRecord));
        };
        let tile = ledger.tile(level, asked.index, width).await;
        let tile = tile.map_err(|error| refuse(error.reason()))?;
        Ok(Response::new(wire::FetchTileResponse { tile: tile.into() }))
    }

    async fn prove(
        &self,
        request: Request<wire::ProveRequest>,
    ) -> Result<Response<wire::ProveResponse>, Status> {
        self.peer(&request).map_err(refuse)?;
        let proven = self.prove(request.get_ref()).await;
        proven.map(Response::new).map_err(refuse)
    }

    async fn stream_entries(
        &self,
        request: Request<wire::StreamEntriesRequest>,
    ) -> Result<Response<Self::StreamEntriesStream>, Status> {
        let peer = self.peer(&request).map_err(refuse)?;
        let entries = self.entries(&peer, request.get_ref()).await;
        let entries = entries.map_err(refuse)?;
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(entries)))))
    }
}

fn refuse(reason: Reason) -> Status {
    Refusal::from(reason).into_status(Lang::En)
}
