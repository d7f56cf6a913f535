//! A registry with the real keys that says whatever a test wants.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use entente_directory::{RegistryEntry, SignedChange};
use entente_keys::{KeyStore, KeyUse};
use entente_ledger::tree::{leaf_hash, root_of};
use entente_ledger::{Checkpoint, SignedCheckpoint};
use entente_proto::registry::v1 as wire;
use entente_proto::registry::v1::follow_response::Step;
use entente_proto::registry::v1::registry_service_server::{
    RegistryService, RegistryServiceServer,
};
use entente_signing::{Digest, Signer};
use entente_tls::net::{Endpoint, Net as _, TokioNet};
use entente_tls::{AcceptLimits, Identity, ServerSecurity, ServerTls, incoming};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::town::Town;

type Steps = ReceiverStream<Result<wire::FollowResponse, Status>>;

/// The fake, and the means to make it speak.
pub(crate) struct Fake {
    pub(crate) endpoint: Endpoint,
    ledger: Arc<dyn Signer>,
    origin: String,
    /// Streams that followers opened, with the size they asked from.
    opened: mpsc::Receiver<(u64, mpsc::Sender<Result<wire::FollowResponse, Status>>)>,
    blobs: Arc<Mutex<Vec<Bytes>>>,
    /// Whether blobs that are asked for do not come.
    withholds: watch::Sender<bool>,
    asked: Arc<Notify>,
    task: JoinHandle<()>,
}

/// One follower's stream.
pub(crate) struct Said(mpsc::Sender<Result<wire::FollowResponse, Status>>);

struct Mute {
    opened: mpsc::Sender<(u64, mpsc::Sender<Result<wire::FollowResponse, Status>>)>,
    blobs: Arc<Mutex<Vec<Bytes>>>,
    withholds: watch::Receiver<bool>,
    asked: Arc<Notify>,
}

impl Fake {
    /// Takes over from a registry that was stopped.
    pub(crate) async fn of(town: &Town) -> Self {
        let keys = KeyStore::open(town.config.keys.as_path()).unwrap();
        let ledger = keys.load(KeyUse::Ledger, "changes").unwrap();
        let tls = keys.load(KeyUse::Tls, "registry").unwrap();
        let identity = Identity::self_signed(tls, &[]).unwrap();
        let listener = TokioNet.listen(&Endpoint::loopback()).await.unwrap();
        let endpoint = listener.endpoint().clone();
        let security = ServerSecurity::Tls(ServerTls::any_key(identity).unwrap());
        let (to, opened) = mpsc::channel(8);
        let blobs = Arc::default();
        let (withholds, withheld) = watch::channel(false);
        let asked = Arc::new(Notify::new());
        let mute = Mute {
            opened: to,
            blobs: Arc::clone(&blobs),
            withholds: withheld,
            asked: Arc::clone(&asked),
        };
        let serving = entente_tls::server()
            .add_service(RegistryServiceServer::new(mute))
            .serve_with_incoming(incoming(listener, security, AcceptLimits::default()));
        let task = tokio::spawn(async {
            let _ = serving.await;
        });
        Self {
            endpoint,
            ledger,
            origin: town.anchor.origin().to_owned(),
            opened,
            blobs,
            withholds,
            asked,
            task,
        }
    }

    /// Waits for a follower.
    pub(crate) async fn next(&mut self) -> (u64, Said) {
        let (from, to) = tokio::time::timeout(crate::town::LONG, self.opened.recv())
            .await
            .expect("a follower to come")
            .unwrap();
        (from, Said(to))
    }

    pub(crate) fn hold(&self, blob: Bytes) {
        self.blobs.lock().unwrap().push(blob);
    }

    /// From now on no blob that is asked for comes, and nothing is said of it, until it is let go.
    pub(crate) fn withhold(&self) {
        self.withholds.send_replace(true);
    }

    /// Waits until a blob that is withheld was asked for.
    pub(crate) async fn asked(&self) {
        let asked = tokio::time::timeout(crate::town::LONG, self.asked.notified());
        asked.await.expect("a blob to be asked for");
    }

    /// What was withheld comes.
    pub(crate) fn let_go(&self) {
        self.withholds.send_replace(false);
    }

    /// A checkpoint with the real key, over whatever is claimed.
    pub(crate) fn sign(&self, size: u64, root: Digest) -> Bytes {
        let checkpoint = Checkpoint {
            origin: self.origin.clone(),
            size,
            root,
        };
        let signed = SignedCheckpoint::sign(checkpoint, &*self.ledger).unwrap();
        signed.note().to_string().into()
    }

    /// A true checkpoint over these entries.
    pub(crate) fn checkpoint(&self, entries: &[Bytes]) -> Bytes {
        let leaves: Vec<Digest> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        self.sign(entries.len() as u64, root_of(&leaves))
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Said {
    pub(crate) async fn entries(&self, first_index: u64, entries: &[Bytes]) {
        let entry = entries.to_vec();
        self.step(Step::Entries(wire::Entries { first_index, entry }))
            .await;
    }

    pub(crate) async fn checkpoint(&self, note: Bytes) {
        self.step(Step::Checkpoint(note)).await;
    }

    pub(crate) async fn heartbeat(&self, size: u64) {
        self.step(Step::Heartbeat(wire::Heartbeat {
            sent_at_ms: 0,
            size,
        }))
        .await;
    }

    /// Whether the follower hung up.
    pub(crate) async fn hung_up(&self) {
        tokio::time::timeout(crate::town::LONG, self.0.closed())
            .await
            .expect("it to hang up");
    }

    async fn step(&self, step: Step) {
        let _ = self
            .0
            .send(Ok(wire::FollowResponse { step: Some(step) }))
            .await;
    }
}

/// An entry as a registry logs it.
pub(crate) fn entry(town: &Town, change: &SignedChange) -> Bytes {
    RegistryEntry::encode_parts(town.now(), change.bytes()).into()
}

#[tonic::async_trait]
impl RegistryService for Mute {
    type FollowStream = Steps;

    async fn follow(
        &self,
        request: Request<wire::FollowRequest>,
    ) -> Result<Response<Steps>, Status> {
        let (to, steps) = mpsc::channel(8);
        let _ = self.opened.send((request.into_inner().from_size, to)).await;
        Ok(Response::new(ReceiverStream::new(steps)))
    }

    async fn fetch_blob(
        &self,
        request: Request<wire::FetchBlobRequest>,
    ) -> Result<Response<wire::FetchBlobResponse>, Status> {
        let asked = request.into_inner().sha256;
        let blobs = self.blobs.lock().unwrap();
        let named = |blob: &&Bytes| Digest::of(blob).as_bytes()[..] == asked;
        // The first of all, where there is none of that name: a follower must notice.
        let blob = blobs.iter().find(named).or_else(|| blobs.first());
        let blob = blob.cloned().ok_or_else(|| Status::not_found("none"))?;
        Ok(Response::new(wire::FetchBlobResponse { blob }))
    }

    type FetchBlobsStream = ReceiverStream<Result<wire::FetchBlobsResponse, Status>>;

    async fn fetch_blobs(
        &self,
        request: Request<wire::FetchBlobsRequest>,
    ) -> Result<Response<Self::FetchBlobsStream>, Status> {
        let asked = request.into_inner().sha256;
        let (to, blobs) = mpsc::channel(asked.len().max(1));
        let mut withholds = self.withholds.clone();
        if *withholds.borrow() {
            self.asked.notify_one();
            let _ = withholds.wait_for(|withholds| !withholds).await;
        }
        for sha256 in asked {
            let found = self.fetch_blob(Request::new(wire::FetchBlobRequest { sha256 }));
            let found = found.await.map(|found| {
                let blob = found.into_inner().blob;
                wire::FetchBlobsResponse { blob }
            });
            let _ = to.send(found).await;
        }
        Ok(Response::new(ReceiverStream::new(blobs)))
    }

    async fn submit(
        &self,
        _: Request<wire::SubmitRequest>,
    ) -> Result<Response<wire::SubmitResponse>, Status> {
        Err(Status::unimplemented("fake"))
    }

    async fn apply(
        &self,
        _: Request<wire::ApplyRequest>,
    ) -> Result<Response<wire::ApplyResponse>, Status> {
        Err(Status::unimplemented("fake"))
    }

    async fn check_application(
        &self,
        _: Request<wire::CheckApplicationRequest>,
    ) -> Result<Response<wire::CheckApplicationResponse>, Status> {
        Err(Status::unimplemented("fake"))
    }

    async fn list_applications(
        &self,
        _: Request<wire::ListApplicationsRequest>,
    ) -> Result<Response<wire::ListApplicationsResponse>, Status> {
        Err(Status::unimplemented("fake"))
    }

    async fn approve(
        &self,
        _: Request<wire::ApproveRequest>,
    ) -> Result<Response<wire::ApproveResponse>, Status> {
        Err(Status::unimplemented("fake"))
    }

    async fn latest(
        &self,
        _: Request<wire::LatestRequest>,
    ) -> Result<Response<wire::LatestResponse>, Status> {
        Err(Status::unimplemented("fake"))
    }
}
