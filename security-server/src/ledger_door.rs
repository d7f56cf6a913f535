//! What peers may read of this server's ledger: checkpoints, hash tiles, proofs, and the entries of their
//! own exchanges; and of a body of oversight with a mandate every entry, of shards that are closed too.
//! (DESIGN.md §13)
//!
//! A caller is a server whose TLS key the directory knows; nothing is believed of what it says. Nothing
//! answered here needs to be believed either: it all proves itself against signed checkpoints.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use entente_directory::{Mode, SignedQuery};
use entente_evidence::proof::SignedStatement;
use entente_evidence::statement::LogOrigin;
use entente_identity::ServerId;
use entente_ledger::entry::{Body, DeniedCall, Entry};
use entente_ledger::log::LogError;
use entente_ledger::note::SignedNote;
use entente_ledger::tree::leaf_hash;
use entente_ledger::{Checkpoint, Ledger, ReadError, Reader};
use entente_proto::oversight::v1 as wire;
use entente_proto::oversight::v1::ledger_service_server::LedgerService;
use entente_reason::{Lang, Reason};
use entente_signing::Digest;
use entente_tls::PeerInfo;
use tonic::{Request, Response, Status};

use crate::limits::Place;
use crate::overseen::Overseen;
use crate::refusal::Refusal;
use crate::server::Server;

/// Answers peers about this server's ledger.
#[derive(Clone, Debug)]
pub(crate) struct LedgerDoor {
    server: Arc<Server>,
    overseen: Arc<Overseen>,
}

/// A peer that asks, and the place it takes until it is answered.
struct Asker {
    /// Whoever it may be by the key it showed; not empty.
    peers: Vec<ServerId>,
    _place: Place<Option<ServerId>>,
}

/// Proofs in one answer.
const MAX_PROOFS: usize = 256;
/// Entries in one answer.
const MAX_ENTRIES: u64 = 256;
/// About how much one answer holds.
const MAX_BYTES: usize = 1 << 20;

// === impl LedgerDoor ===

impl LedgerDoor {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        let overseen = Arc::default();
        Self { server, overseen }
    }

    /// The peer that asks, in a place of its own share: nobody holds this server up by reading.
    fn peer<T>(&self, request: &Request<T>) -> Result<Asker, Reason> {
        let adopted = self.server.adopted()?;
        let peer = request.extensions().get::<PeerInfo>();
        let spki = peer.and_then(|peer| peer.spki).ok_or(Reason::PeerUnknown)?;
        let peers: Vec<ServerId> = adopted.servers_with_tls_key(&spki).cloned().collect();
        if peers.is_empty() {
            return Err(Reason::PeerUnknown);
        }
        let place = self.server.place_for(Some(spki));
        let _place = place.ok_or(Reason::Overloaded)?;
        Ok(Asker { peers, _place })
    }

    /// The open ledger, when it is of this origin.
    fn ledger(&self, origin: &str) -> Result<&Ledger, Reason> {
        let ledger = self.server.journal.ledger();
        (ledger.origin() == origin)
            .then_some(ledger)
            .ok_or(Reason::NoRecord)
    }

    /// Looks something up in a shard that is closed.
    async fn in_closed<T: Send + 'static>(
        &self,
        origin: &str,
        look: impl FnOnce(Reader) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, Reason> {
        let adopted = self.server.adopted()?;
        let shards = adopted.federation().shards(&self.server.id, Mode::Live);
        let shard = shards.iter().find(|shard| shard.origin == origin);
        let origin = shard.ok_or(Reason::NoRecord)?.origin.parse::<LogOrigin>();
        let origin = origin.map_err(|_| Reason::NoRecord)?;
        self.server.in_closed(&origin, look).await
    }

    /// The last final checkpoint of a shard that is closed.
    async fn closed_checkpoint(&self, origin: &str) -> Result<Bytes, Reason> {
        let note = self
            .in_closed(origin, |reader| reader.unverified_final())
            .await?;
        let note = note.ok_or(Reason::NoRecord)?;
        Ok(note.to_string().into())
    }

    async fn prove_closed(&self, asked: wire::ProveRequest) -> Result<wire::ProveResponse, Reason> {
        let origin = asked.origin.clone();
        let proven = self.in_closed(&origin, move |mut reader| {
            let mut proven = wire::ProveResponse::default();
            for index in asked.index {
                let proof = reader.inclusion(index, asked.size)?;
                let entry = reader.entry(index)?;
                let (Some(proof), Some(entry)) = (proof, entry) else {
                    return Ok(None);
                };
                proven.inclusion.push(wire::Inclusion {
                    leaf_hash: bytes_of(&leaf_hash(&entry)),
                    path: proof.path.iter().map(bytes_of).collect(),
                });
            }
            if asked.old_size > 0 {
                let Some(proof) = reader.consistency(asked.old_size, asked.size)? else {
                    return Ok(None);
                };
                proven.consistency = proof.path.iter().map(bytes_of).collect();
            }
            Ok(Some(proven))
        });
        proven.await?.ok_or(Reason::NoRecord)
    }

    async fn prove(&self, asked: wire::ProveRequest) -> Result<wire::ProveResponse, Reason> {
        if asked.index.len() > MAX_PROOFS {
            return Err(Reason::MessageTooLarge);
        }
        let Ok(ledger) = self.ledger(&asked.origin) else {
            return self.prove_closed(asked).await;
        };
        let reason = |error: ReadError| error.reason();
        let mut proven = wire::ProveResponse::default();
        for index in &asked.index {
            let (leaf, proof) = ledger.leaf(*index, asked.size).await.map_err(reason)?;
            proven.inclusion.push(wire::Inclusion {
                leaf_hash: bytes_of(&leaf),
                path: proof.path.iter().map(bytes_of).collect(),
            });
        }
        if asked.old_size > 0 {
            let proof = ledger.consistency(asked.old_size, asked.size).await;
            let path = proof.map_err(reason)?.path;
            proven.consistency = path.iter().map(bytes_of).collect();
        }
        Ok(proven)
    }

    /// The entries of a range, when each is of an exchange with one of `peers`.
    async fn entries(
        &self,
        peers: &[ServerId],
        asked: &wire::StreamEntriesRequest,
    ) -> Result<wire::StreamEntriesResponse, Reason> {
        if !asked.query.is_empty() {
            return self.overseen_entries(peers, asked).await;
        }
        let ledger = self.ledger(&asked.origin)?;
        if asked.count == 0 || asked.count > MAX_ENTRIES {
            return Err(Reason::SenderNotAllowed);
        }
        let limit = usize::try_from(asked.count).unwrap_or(usize::MAX);
        let entries = ledger.entries(asked.first_index, limit).await;
        let entries = entries.map_err(|error| error.reason())?;
        if !entries.iter().all(|entry| is_of(peers, entry)) {
            return Err(Reason::SenderNotAllowed);
        }
        Ok(wire::StreamEntriesResponse {
            first_index: asked.first_index,
            entry: entries,
        })
    }
}

impl LedgerDoor {
    /// Entries of whatever exchanges, for a body of oversight: within its mandate, once its query is logged.
    async fn overseen_entries(
        &self,
        peers: &[ServerId],
        asked: &wire::StreamEntriesRequest,
    ) -> Result<wire::StreamEntriesResponse, Reason> {
        let query = SignedQuery::parse(asked.query.clone());
        let query = query.map_err(|_| Reason::RequestMalformed)?;
        let says = query.query();
        if says.origin != asked.origin || asked.count > MAX_ENTRIES {
            return Err(Reason::RequestMalformed);
        }
        // Whoever copied a query from a ledger is not who signed it.
        if !peers.contains(&says.reader) {
            return Err(Reason::SenderNotAllowed);
        }
        self.overseen.admit(&self.server, &query).await?;
        let count = match asked.count {
            0 => MAX_ENTRIES,
            count => count,
        };
        let first_index = asked.first_index;
        let entry = match self.ledger(&asked.origin) {
            Ok(ledger) => {
                let limit = usize::try_from(count).unwrap_or(usize::MAX);
                let entries = ledger.entries(first_index, limit).await;
                entries.map_err(|error| error.reason())?
            }
            Err(_) => {
                self.closed_entries(&asked.origin, first_index, count)
                    .await?
            }
        };
        Ok(wire::StreamEntriesResponse { first_index, entry })
    }

    async fn closed_entries(
        &self,
        origin: &str,
        first: u64,
        count: u64,
    ) -> Result<Vec<Bytes>, Reason> {
        self.in_closed(origin, move |mut reader| {
            let (mut entries, mut bytes) = (Vec::new(), 0);
            for index in first..first.saturating_add(count) {
                let Some(entry) = reader.entry(index)? else {
                    break;
                };
                bytes += entry.len();
                if bytes > MAX_BYTES && !entries.is_empty() {
                    break;
                }
                entries.push(entry);
            }
            Ok(entries)
        })
        .await
    }
}

fn bytes_of(hash: &Digest) -> Bytes {
    Bytes::copy_from_slice(hash.as_bytes())
}

/// Whether an entry is of an exchange with this peer.
fn is_of(peers: &[ServerId], entry: &Bytes) -> bool {
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
        peers.contains(&says.sender_server) || peers.contains(&says.receiver_server)
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
        let _asker = self.peer(&request).map_err(refuse)?;
        let adopted = self.server.adopted().map_err(refuse)?;
        let mut ledgers = Vec::new();
        let ledger = self.server.journal.ledger();
        for shard in adopted.federation().shards(&self.server.id, Mode::Live) {
            if shard.origin == ledger.origin() {
                continue;
            }
            // One that is gone with its disk is not there to be read.
            let Ok(note) = self.closed_checkpoint(&shard.origin).await else {
                continue;
            };
            let note = SignedNote::parse(&note).ok();
            let says = note.and_then(|note| note.text().parse::<Checkpoint>().ok());
            ledgers.push(wire::Ledger {
                origin: shard.origin.clone(),
                open: false,
                size: says.map_or(0, |says| says.size),
            });
        }
        let size = ledger
            .checkpoint()
            .borrow()
            .as_ref()
            .map_or(0, |c| c.size());
        ledgers.push(wire::Ledger {
            origin: ledger.origin().to_owned(),
            open: true,
            size,
        });
        Ok(Response::new(wire::ListLedgersResponse { ledgers }))
    }

    async fn fetch_checkpoint(
        &self,
        request: Request<wire::FetchCheckpointRequest>,
    ) -> Result<Response<wire::FetchCheckpointResponse>, Status> {
        let _asker = self.peer(&request).map_err(refuse)?;
        let origin = &request.get_ref().origin;
        let Ok(ledger) = self.ledger(origin) else {
            let checkpoint = self.closed_checkpoint(origin).await.map_err(refuse)?;
            return Ok(Response::new(wire::FetchCheckpointResponse { checkpoint }));
        };
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
        let _asker = self.peer(&request).map_err(refuse)?;
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
        let _asker = self.peer(&request).map_err(refuse)?;
        let proven = self.prove(request.into_inner()).await;
        proven.map(Response::new).map_err(refuse)
    }

    async fn stream_entries(
        &self,
        request: Request<wire::StreamEntriesRequest>,
    ) -> Result<Response<Self::StreamEntriesStream>, Status> {
        let asker = self.peer(&request).map_err(refuse)?;
        let entries = self.entries(&asker.peers, request.get_ref()).await;
        let entries = entries.map_err(refuse)?;
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(entries)))))
    }
}

fn refuse(reason: Reason) -> Status {
    Refusal::from(reason).into_status(Lang::En)
}
