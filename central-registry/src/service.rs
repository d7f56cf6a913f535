//! The gRPC service: from wire messages to the desk, the applications and the blobs, and back.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use entente_clock::Clock;
use entente_directory::{Application, Change, SignedChange};
use entente_follow::BlobStore;
use entente_ledger::Ledger;
use entente_proto::registry::v1 as wire;
use entente_proto::registry::v1::registry_service_server::RegistryService;
use entente_reason::Lang;
use entente_signing::Digest;
use entente_telemetry::Metrics;
use entente_tls::PeerInfo;
use entente_tls::net::Remote;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::applications::Applications;
use crate::cosigning::{Cosigning, NotVouched};
use crate::desk::Desk;
use crate::feed::{Feed, PATIENCE, QUEUE};
use crate::office::Office;
use crate::passages::Passages;
use crate::refusal::{Refused, lang};

/// Answers callers.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) desk: Desk,
    pub(crate) ledger: Ledger,
    pub(crate) passages: Arc<Passages>,
    pub(crate) cosigning: Arc<Cosigning>,
    pub(crate) office: Arc<Office>,
    pub(crate) blobs: Arc<BlobStore>,
    pub(crate) applications: Arc<Applications>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    /// Places for followers.
    pub(crate) places: Arc<Semaphore>,
    /// Places for those who fetch many blobs.
    pub(crate) fetchers: Arc<Semaphore>,
    pub(crate) stop: watch::Receiver<bool>,
}

// === impl Service ===

impl Service {
    async fn answer<Q, A>(
        &self,
        request: Request<Q>,
        answer: impl AsyncFnOnce(Q, Option<IpAddr>) -> Result<A, Refused>,
    ) -> Result<Response<A>, Status> {
        let lang = lang(request.metadata());
        let from = request.extensions().get::<PeerInfo>();
        let from = from.and_then(|peer| match peer.remote {
            Remote::Tcp(address) => Some(address.ip()),
            _ => None,
        });
        match answer(request.into_inner(), from).await {
            Ok(answer) => Ok(Response::new(answer)),
            Err(refused) => {
                self.metrics.refusal(refused.reason());
                Err(refused.into_status(lang))
            }
        }
    }

    fn standing(&self, id: &Digest) -> (wire::ApplicationState, u64) {
        if let Some(index) = self.desk.record.admission(id) {
            return (wire::ApplicationState::Admitted, index);
        }
        match self.applications.find(id) {
            Some(_) => (wire::ApplicationState::Pending, 0),
            None => (wire::ApplicationState::Unknown, 0),
        }
    }
}

#[tonic::async_trait]
impl RegistryService for Service {
    type FollowStream = ReceiverStream<Result<wire::FollowResponse, Status>>;
    type FetchBlobsStream = ReceiverStream<Result<wire::FetchBlobsResponse, Status>>;

    async fn submit(
        &self,
        request: Request<wire::SubmitRequest>,
    ) -> Result<Response<wire::SubmitResponse>, Status> {
        self.answer(request, async |request, _| {
            let change = SignedChange::parse(request.change)?;
            let accepted = self.desk.submit(vec![change], request.blobs).await?;
            Ok(wire::SubmitResponse {
                index: accepted.index,
                size: accepted.size,
            })
        })
        .await
    }

    async fn apply(
        &self,
        request: Request<wire::ApplyRequest>,
    ) -> Result<Response<wire::ApplyResponse>, Status> {
        self.answer(request, async |request, from| {
            let (bytes, state) = (request.application, self.desk.record.state());
            let fingerprint = Application::fingerprint(&bytes);
            let admitted = self.desk.record.admission(&Digest::of(&bytes)).is_some();
            let id = if admitted {
                Digest::of(&bytes)
            } else {
                self.applications
                    .take(bytes, &state, from, self.clock.now())?
            };
            Ok(wire::ApplyResponse {
                fingerprint,
                application_id: id.as_bytes().to_vec().into(),
            })
        })
        .await
    }

    async fn check_application(
        &self,
        request: Request<wire::CheckApplicationRequest>,
    ) -> Result<Response<wire::CheckApplicationResponse>, Status> {
        self.answer(request, async |request, _| {
            let (state, index) = self.standing(&digest(&request.application_id)?);
            Ok(wire::CheckApplicationResponse {
                state: state.into(),
                index,
            })
        })
        .await
    }

    async fn list_applications(
        &self,
        request: Request<wire::ListApplicationsRequest>,
    ) -> Result<Response<wire::ListApplicationsResponse>, Status> {
        self.answer(request, async |request, _| {
            let after = match &request.after[..] {
                [] => None,
                id => Some(digest(id)?),
            };
            let limit = match request.limit {
                0 => MAX_LISTED,
                limit => MAX_LISTED.min(limit as usize),
            };
            let listed = self.applications.list(after, limit).into_iter();
            let listed = listed.map(|(id, held)| wire::Application {
                application_id: id.as_bytes().to_vec().into(),
                fingerprint: Application::fingerprint(&held.bytes),
                application: held.bytes,
                received_at_ms: held.received_at.as_millis(),
                state: wire::ApplicationState::Pending.into(),
            });
            Ok(wire::ListApplicationsResponse {
                applications: listed.collect(),
            })
        })
        .await
    }

    async fn approve(
        &self,
        request: Request<wire::ApproveRequest>,
    ) -> Result<Response<wire::ApproveResponse>, Status> {
        self.answer(request, async |request, _| {
            let id = digest(&request.application_id)?;
            if request.changes.is_empty() || request.changes.len() > MAX_APPROVAL {
                return Err(Refused::Request);
            }
            if matches!(self.standing(&id).0, wire::ApplicationState::Unknown) {
                return Err(Refused::UnknownApplication);
            }
            let changes = request.changes.into_iter().map(SignedChange::parse);
            let changes = changes.collect::<Result<Vec<_>, _>>()?;
            let admits = changes.iter().any(|change| match change.change() {
                Change::MemberAdmit(body) => Digest::of(&body.application) == id,
                _ => false,
            });
            if !admits {
                return Err(Refused::ApprovalDiffers);
            }
            let accepted = self.desk.submit(changes, Vec::new()).await?;
            Ok(wire::ApproveResponse {
                first_index: accepted.index,
                size: accepted.size,
            })
        })
        .await
    }

    async fn follow(
        &self,
        request: Request<wire::FollowRequest>,
    ) -> Result<Response<Self::FollowStream>, Status> {
        let lang = lang(request.metadata());
        self.answer(request, async |request, _| {
            if let Err(why @ NotVouched::Dissent) = self.cosigning.check() {
                return Err(why.into());
            }
            let place = self.places.clone().try_acquire_owned();
            let (to, steps) = mpsc::channel(QUEUE);
            let feed = Feed {
                ledger: self.ledger.clone(),
                passages: self.passages.clone(),
                cosigning: self.cosigning.clone(),
                clock: self.clock.clone(),
                to,
                stop: self.stop.clone(),
                lang,
                _place: place.map_err(|_| Refused::Overloaded)?,
            };
            tokio::spawn(feed.run(request.from_size));
            Ok(ReceiverStream::new(steps))
        })
        .await
    }

    async fn fetch_blob(
        &self,
        request: Request<wire::FetchBlobRequest>,
    ) -> Result<Response<wire::FetchBlobResponse>, Status> {
        self.answer(request, async |request, _| {
            let blob = find(&self.blobs, &digest(&request.sha256)?)?;
            Ok(wire::FetchBlobResponse { blob })
        })
        .await
    }

    async fn fetch_blobs(
        &self,
        request: Request<wire::FetchBlobsRequest>,
    ) -> Result<Response<Self::FetchBlobsStream>, Status> {
        let lang = lang(request.metadata());
        self.answer(request, async |request, _| {
            if request.sha256.len() > MAX_ASKED {
                return Err(Refused::Request);
            }
            let named = request.sha256.iter().map(|hash| digest(hash));
            let named = named.collect::<Result<Vec<_>, _>>()?;
            let place = self.fetchers.clone().try_acquire_owned();
            let (to, blobs) = mpsc::channel(1);
            let delivery = Delivery {
                blobs: self.blobs.clone(),
                to,
                lang,
                _place: place.map_err(|_| Refused::Overloaded)?,
            };
            tokio::spawn(delivery.run(named));
            Ok(ReceiverStream::new(blobs))
        })
        .await
    }

    async fn latest(
        &self,
        request: Request<wire::LatestRequest>,
    ) -> Result<Response<wire::LatestResponse>, Status> {
        self.answer(request, async |_, _| {
            let newest = self.ledger.checkpoint().borrow().clone();
            let newest = newest.ok_or_else(|| match self.office.can_sign() {
                true => Refused::Internal,
                false => Refused::NoKey,
            })?;
            Ok(wire::LatestResponse {
                checkpoint: Bytes::from(newest.note().to_string()),
            })
        })
        .await
    }
}

/// Blobs asked for together, on their way one after the other.
#[derive(Debug)]
struct Delivery {
    blobs: Arc<BlobStore>,
    to: mpsc::Sender<Result<wire::FetchBlobsResponse, Status>>,
    lang: Lang,
    /// Frees the place when all are delivered.
    _place: OwnedSemaphorePermit,
}

// === impl Delivery ===

impl Delivery {
    /// Ends when all are sent, one is not held, or whoever asked is gone or too slow.
    async fn run(self, named: Vec<Digest>) {
        for hash in named {
            let found = find(&self.blobs, &hash);
            let ends = found.is_err();
            let found = found.map(|blob| wire::FetchBlobsResponse { blob });
            let found = found.map_err(|refused| refused.into_status(self.lang));
            let sent = timeout(PATIENCE, self.to.send(found)).await;
            if ends || !matches!(sent, Ok(Ok(()))) {
                return;
            }
        }
    }
}

fn find(blobs: &BlobStore, hash: &Digest) -> Result<Bytes, Refused> {
    let found = blobs.find(hash).map_err(|error| {
        tracing::error!(event = "blob.unreadable", %error);
        Refused::Internal
    })?;
    found.ok_or(Refused::BlobUnknown)
}

fn digest(bytes: &[u8]) -> Result<Digest, Refused> {
    Digest::from_slice(bytes).map_err(|_| Refused::Request)
}

/// Blobs in one question.
const MAX_ASKED: usize = 1024;
/// Applications in one answer.
const MAX_LISTED: usize = 100;
/// Changes in one approval.
const MAX_APPROVAL: usize = 16;
