//! Asking a registry: submit, apply, approve, fetch. Following is [`crate::Follower`]'s business.

mod error;
mod lines;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use entente_clock::Timestamp;
use entente_directory::MAX_BLOB;
use entente_proto::registry::v1 as wire;
use entente_proto::registry::v1::registry_service_client::RegistryServiceClient;
use entente_reason::{Lang, Reason};
use entente_signing::Digest;
use entente_tls::Channel;
use entente_tls::IdentitySlot;
use entente_tls::net::Net;
use tonic::metadata::AsciiMetadataValue;
use tonic::{Request, Status, Streaming};

use crate::anchor::Anchor;
pub use error::RegistryError;
use lines::{Dialling, Lines};

/// A registry, at any of its addresses. Clones share the connections, which are made when needed.
#[derive(Clone)]
pub struct RegistryClient {
    dialling: Arc<Dialling>,
    lines: Arc<ArcSwap<Lines>>,
    /// The address that answered last: the first to try.
    preferred: Arc<AtomicUsize>,
    lang: Lang,
}

/// Where changes were appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Index of the first.
    pub index: u64,
    /// The ledger's size once they were durable: what to wait for with
    /// [`crate::Directory::catch_up`].
    pub size: u64,
}

/// An application that was taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Names it: SHA-256 of its bytes.
    pub id: Digest,
    /// What applicant and registrar compare out of band.
    pub fingerprint: String,
}

/// Where an application stands, as the registry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplicationStanding {
    /// A change admits it; believe the change.
    Admitted {
        /// The index of the change.
        index: u64,
    },
    /// Awaiting a registrar.
    Pending,
    /// Turned down, or lapsed.
    Refused,
    /// Not held there.
    Unknown,
}

/// An application as a registry holds it.
#[derive(Clone, Debug)]
pub struct HeldApplication {
    /// Names it.
    pub id: Digest,
    /// Its bytes; compare their fingerprint, not the registry's word for it.
    pub bytes: Bytes,
    /// When it arrived, by the registry's clock.
    pub received_at: Timestamp,
    /// Where it stands.
    pub standing: ApplicationStanding,
}

/// Blobs on their way, in the order asked.
#[derive(Debug)]
pub(crate) struct BlobStream(Streaming<wire::FetchBlobsResponse>);

// === impl RegistryClient ===

impl RegistryClient {
    /// A client for the anchor's registry, showing `identity` in TLS. Any key will do: the registry
    /// admits everybody, and believes signatures alone.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(
        anchor: &Anchor,
        net: &Arc<dyn Net>,
        identity: impl Into<IdentitySlot>,
    ) -> Result<Self, RegistryError> {
        let dialling = Dialling::new(anchor, net, identity).map_err(RegistryError::Tls)?;
        let lines = Arc::new(ArcSwap::from_pointee(dialling.lines()));
        Ok(Self {
            dialling: Arc::new(dialling),
            lines,
            preferred: Arc::default(),
            lang: Lang::default(),
        })
    }

    /// The same registry over connections of its own, made when needed, and for the `nth` time: each tries
    /// another address first.
    pub(crate) fn afresh(&self, nth: usize) -> Self {
        let first = self.preferred.load(Ordering::Relaxed).wrapping_add(nth);
        Self {
            dialling: self.dialling.clone(),
            lines: Arc::new(ArcSwap::from_pointee(self.dialling.lines())),
            preferred: Arc::new(AtomicUsize::new(first)),
            lang: self.lang,
        }
    }

    /// From here on this client and its clones ask over the connections of another, which are good.
    pub(crate) fn take_over(&self, other: &Self) {
        self.lines.store(other.lines.load_full());
        let first = other.preferred.load(Ordering::Relaxed);
        self.preferred.store(first, Ordering::Relaxed);
    }

    /// Asks for refusals in this language.
    #[must_use]
    pub fn speaking(mut self, lang: Lang) -> Self {
        self.lang = lang;
        self
    }

    /// Submits one change with the blobs it names. Submitting it again is harmless: the answer is the
    /// same.
    ///
    /// # Errors
    /// When the registry refuses or does not answer.
    pub async fn submit(
        &self,
        change: Bytes,
        blobs: Vec<Bytes>,
    ) -> Result<Accepted, RegistryError> {
        let question = wire::SubmitRequest { change, blobs };
        let answer = self
            .ask(question, SUBMIT, async |mut client, request| {
                client.submit(request).await
            })
            .await?;
        Ok(Accepted {
            index: answer.index,
            size: answer.size,
        })
    }

    /// Applies for membership.
    ///
    /// # Errors
    /// When the registry refuses or does not answer.
    pub async fn apply(&self, application: Bytes) -> Result<Applied, RegistryError> {
        let id = Digest::of(&application);
        let question = wire::ApplyRequest { application };
        let answer = self
            .ask(question, READ, async |mut client, request| {
                client.apply(request).await
            })
            .await?;
        if answer.application_id != id.as_bytes()[..] {
            return Err(RegistryError::Answer);
        }
        Ok(Applied {
            id,
            fingerprint: answer.fingerprint,
        })
    }

    /// Asks where an application stands.
    ///
    /// # Errors
    /// When the registry does not answer.
    pub async fn check_application(
        &self,
        id: &Digest,
    ) -> Result<ApplicationStanding, RegistryError> {
        let question = wire::CheckApplicationRequest {
            application_id: id.as_bytes().to_vec().into(),
        };
        let answer = self
            .ask(question, READ, async |mut client, request| {
                client.check_application(request).await
            })
            .await?;
        Ok(ApplicationStanding::of(answer.state(), answer.index))
    }

    /// Applications, ascending by id, from after `after`; at most 100.
    ///
    /// # Errors
    /// When the registry does not answer.
    pub async fn applications(
        &self,
        after: Option<&Digest>,
    ) -> Result<Vec<HeldApplication>, RegistryError> {
        let question = wire::ListApplicationsRequest {
            limit: 0,
            after: after.map_or_else(Bytes::new, |id| id.as_bytes().to_vec().into()),
        };
        let answer = self
            .ask(question, READ, async |mut client, request| {
                client.list_applications(request).await
            })
            .await?;
        let held = |application: wire::Application| {
            let id = Digest::of(&application.application);
            let standing = ApplicationStanding::of(application.state(), 0);
            if application.application_id != id.as_bytes()[..] {
                return Err(RegistryError::Answer);
            }
            Ok(HeldApplication {
                id,
                bytes: application.application,
                received_at: Timestamp::from_millis(application.received_at_ms),
                standing,
            })
        };
        answer.applications.into_iter().map(held).collect()
    }

    /// Admits an application by the registrar's signed changes.
    ///
    /// # Errors
    /// When the registry refuses or does not answer.
    pub async fn approve(
        &self,
        application: &Digest,
        changes: Vec<Bytes>,
    ) -> Result<Accepted, RegistryError> {
        let question = wire::ApproveRequest {
            application_id: application.as_bytes().to_vec().into(),
            changes,
        };
        let answer = self
            .ask(question, SUBMIT, async |mut client, request| {
                client.approve(request).await
            })
            .await?;
        Ok(Accepted {
            index: answer.first_index,
            size: answer.size,
        })
    }

    /// Fetches a blob; it is what its digest says.
    ///
    /// # Errors
    /// When the registry does not hold it, does not answer, or answers something else.
    pub async fn fetch_blob(&self, hash: &Digest) -> Result<Bytes, RegistryError> {
        let question = wire::FetchBlobRequest {
            sha256: hash.as_bytes().to_vec().into(),
        };
        let answer = self
            .ask(question, SUBMIT, async |mut client, request| {
                client.fetch_blob(request).await
            })
            .await?;
        if answer.blob.len() > MAX_BLOB || Digest::of(&answer.blob) != *hash {
            return Err(RegistryError::Answer);
        }
        Ok(answer.blob)
    }

    /// Asks for many blobs, at most [`MAX_BLOBS_ASKED`].
    pub(crate) async fn fetch_blobs(&self, named: &[Digest]) -> Result<BlobStream, RegistryError> {
        let name = |hash: &Digest| Bytes::copy_from_slice(hash.as_bytes());
        let question = wire::FetchBlobsRequest {
            sha256: named.iter().map(name).collect(),
        };
        // A deadline would also end the stream; who calls this bounds each wait.
        let stream = self
            .ask_over(
                &self.lines.load_full().bulk,
                question,
                None,
                async |mut client, request| client.fetch_blobs(request).await,
            )
            .await?;
        Ok(BlobStream(stream))
    }

    /// The newest checkpoint: the bytes of a signed note, not verified.
    ///
    /// # Errors
    /// When the registry does not answer.
    pub async fn latest(&self) -> Result<Bytes, RegistryError> {
        let answer = self
            .ask(wire::LatestRequest {}, READ, async |mut client, request| {
                client.latest(request).await
            })
            .await?;
        Ok(answer.checkpoint)
    }

    /// Opens the stream of everything from `from_size` on.
    pub(crate) async fn follow(
        &self,
        from_size: u64,
    ) -> Result<Streaming<wire::FollowResponse>, RegistryError> {
        self.ask(
            wire::FollowRequest { from_size },
            // A deadline would also end the stream; who calls this bounds the wait for its opening.
            None,
            async |mut client, request| client.follow(request).await,
        )
        .await
    }

    async fn ask<Q: Clone, A>(
        &self,
        question: Q,
        within: Option<Duration>,
        call: impl AsyncFn(
            RegistryServiceClient<Channel>,
            Request<Q>,
        ) -> Result<tonic::Response<A>, Status>,
    ) -> Result<A, RegistryError> {
        let lines = self.lines.load_full();
        self.ask_over(&lines.calls, question, within, call).await
    }

    /// Asks one address after the other until one answers, whatever it answers, unless it says that it is
    /// not the one to ask now: then another may be the registry.
    async fn ask_over<Q: Clone, A>(
        &self,
        channels: &[RegistryServiceClient<Channel>],
        question: Q,
        within: Option<Duration>,
        call: impl AsyncFn(
            RegistryServiceClient<Channel>,
            Request<Q>,
        ) -> Result<tonic::Response<A>, Status>,
    ) -> Result<A, RegistryError> {
        let first = self.preferred.load(Ordering::Relaxed);
        let mut failure = RegistryError::Unreachable(Status::unavailable("no address").into());
        for offset in 0..channels.len() {
            let at = first.wrapping_add(offset) % channels.len();
            let mut request = Request::new(question.clone());
            if let Some(within) = within {
                request.set_timeout(within);
            }
            let lang = AsciiMetadataValue::from_static(self.lang.locale());
            request.metadata_mut().insert("accept-language", lang);
            match call(channels[at].clone(), request).await {
                Ok(answer) => {
                    self.preferred.store(at, Ordering::Relaxed);
                    return Ok(answer.into_inner());
                }
                Err(status) => {
                    failure = RegistryError::of(status);
                    if let RegistryError::Refused { reason, .. } = &failure
                        && !SERVES_NOBODY.contains(reason)
                    {
                        return Err(failure);
                    }
                }
            }
        }
        Err(failure)
    }
}

impl fmt::Debug for RegistryClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryClient")
            .field("addresses", &self.lines.load().calls.len())
            .finish_non_exhaustive()
    }
}

// === impl BlobStream ===

impl BlobStream {
    /// The next blob; it is what its digest says.
    pub(crate) async fn next(&mut self, hash: &Digest) -> Result<Bytes, RegistryError> {
        let answer = self.0.message().await.map_err(RegistryError::of)?;
        let blob = answer.ok_or(RegistryError::Answer)?.blob;
        if blob.len() > MAX_BLOB || Digest::of(&blob) != *hash {
            return Err(RegistryError::Answer);
        }
        Ok(blob)
    }
}

// === impl ApplicationStanding ===

impl ApplicationStanding {
    const fn of(state: wire::ApplicationState, index: u64) -> Self {
        match state {
            wire::ApplicationState::Admitted => Self::Admitted { index },
            wire::ApplicationState::Pending => Self::Pending,
            wire::ApplicationState::Refused => Self::Refused,
            wire::ApplicationState::Unspecified | wire::ApplicationState::Unknown => Self::Unknown,
        }
    }
}

/// Blobs asked for at once.
pub(crate) const MAX_BLOBS_ASKED: usize = 1024;
/// What a server says that is no registry now: one that ends, one of two with the same keys that its witnesses
/// do not go with, and one that does not know yet.
const SERVES_NOBODY: [Reason; 3] = [
    Reason::RegistrySplit,
    Reason::RegistryUnwitnessed,
    Reason::ShuttingDown,
];
/// For questions about what the registry holds.
const READ: Option<Duration> = Some(Duration::from_secs(10));
/// For what may carry a blob either way.
const SUBMIT: Option<Duration> = Some(Duration::from_secs(60));
