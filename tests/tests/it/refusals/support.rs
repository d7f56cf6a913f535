//! The two stages on which refusals are played, and what is read from the ledger when the curtain
//! falls.
//!
//! At a [`Gate`] a forger calls the real server of the provider; at a [`Window`] a real system calls
//! the real server of the consumer, and the provider may be an impostor. Closing either stops the
//! server and returns its ledger as a [`Log`], with every signed promise checked against it.

use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use entente_clock::Timestamp;
use entente_evidence::proof::SignedStatement;
use entente_evidence::receipt::Receipt;
use entente_evidence::statement::{Body as Says, Failure, Statement};
use entente_keys::{Mode as SessionMode, SessionCertificate};
use entente_ledger::entry::{Body, Denied, DeniedCall, Entry};
use entente_ledger::tree;
use entente_proto::exchange::v1 as wire;
use entente_proto::status::Told;
use entente_security_server::{Deps, Running};
use entente_signing::{Digest, VerifyingKey};
use entente_tests::hostile::{
    Draft, Envelope, Forger, Heard, Impostor, Says as Line, Session, Wire,
};
use entente_tests::world::{Consumer, Site, Source, World, lookup};
use tempfile::TempDir;
use tonic::{Response, Status};

/// The provider's real server, and a forger with the consumer's keys.
pub(super) struct Gate {
    pub(super) world: World,
    pub(super) source: Source,
    pub(super) forger: Forger,
    pub(super) wire: Wire,
    pub(super) provider: Running,
    provider_key: VerifyingKey,
    promises: Mutex<Vec<Promise>>,
    deps: Deps,
    _dir: TempDir,
}

/// The consumer's real server, and a system that calls it.
pub(super) struct Window {
    pub(super) world: World,
    pub(super) system: Consumer,
    pub(super) consumer: Running,
    _dir: TempDir,
}

/// The ledger of a server that has stopped.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) entries: Vec<Logged>,
    /// How often the provider's system was asked.
    pub(super) asked: usize,
}

/// One entry.
#[derive(Debug)]
pub(super) struct Logged {
    pub(super) leaf: Digest,
    pub(super) body: Body,
}

/// A signed refusal.
#[derive(Clone, Debug)]
struct Promise {
    request: Bytes,
    reason: String,
    receipt: Receipt,
}

/// What a refused caller was told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) reason: String,
    pub(super) at: String,
    pub(super) code: tonic::Code,
}

/// What the agreement releases, and nothing else.
pub(super) fn released() -> Bytes {
    [&[0x08, 1, 0x12, 10][..], b"2026-03-04"].concat().into()
}

/// The consumer's server, as summaries and denials name it.
pub(super) const CONSUMER: &str = "ca-demo/pensions/@ss1";

// === impl Gate ===

impl Gate {
    pub(super) async fn open() -> Self {
        Self::open_with(Deps::real(), "").await
    }

    /// With the provider's configuration extended by `settings`.
    pub(super) async fn open_with(deps: Deps, settings: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let world = World::build_at(dir.path(), deps.clock.clone())
            .await
            .unwrap();
        extend(&world.provider, settings);
        let source = world.serve_source().await.unwrap();
        let provider = world.start(&world.provider, deps.clone()).await.unwrap();
        let forger = Forger::of(&world, &world.consumer).unwrap();
        Self {
            wire: forger.dial(&world.provider).unwrap(),
            provider_key: server_key(&world, &world.provider),
            forger,
            provider,
            source,
            world,
            promises: Mutex::default(),
            deps,
            _dir: dir,
        }
    }

    /// The same gate before another forger, on a connection of its own.
    pub(super) fn with_forger(self, forger: Forger) -> Self {
        let wire = forger.dial(&self.world.provider).unwrap();
        Self {
            forger,
            wire,
            ..self
        }
    }

    /// Another member, that the provider knows. Leaves one answered request behind.
    pub(super) async fn join(&self) -> Site {
        let site = self.world.join("transport", "licences").await.unwrap();
        // A request made under the newest view is decided under it, and so after its adoption.
        self.answered(&self.seal(self.draft())).await;
        site
    }

    /// A new session of the forger's server in a mode.
    pub(super) fn session_in(&self, mode: SessionMode) -> Session {
        let (from, until) = self.hours_around();
        let forger = &self.forger;
        Session::issue(&*forger.keys.server, &forger.server, mode, from, until).unwrap()
    }

    /// An hour ago, and in an hour.
    pub(super) fn hours_around(&self) -> (Timestamp, Timestamp) {
        let (now, hour) = (self.world.now(), Duration::from_secs(3600));
        (now.saturating_sub(hour), now.saturating_add(hour))
    }

    /// An honest request, to be spoilt.
    pub(super) fn draft(&self) -> Draft {
        self.forger
            .draft(&self.world, &self.world.provider)
            .unwrap()
    }

    pub(super) fn seal(&self, draft: Draft) -> Envelope {
        draft.seal(self.world.now()).unwrap()
    }

    /// An honest request with its statement changed.
    pub(super) fn forge(&self, change: impl FnOnce(&mut Statement)) -> Envelope {
        let mut draft = self.draft();
        change(&mut draft.statement);
        self.seal(draft)
    }

    /// Sends it; it must be answered.
    pub(super) async fn answered(&self, envelope: &Envelope) {
        let open = self.wire.send(envelope.open.clone()).await.unwrap();
        assert_eq!(envelope.answer(&open).unwrap().code, 0);
    }

    /// Sends a frame; it must be refused unsigned. Returns the reason.
    pub(super) async fn refused(&self, open: &wire::Open) -> String {
        refusal(self.wire.send(open.clone()).await).reason
    }

    /// Sends it; it must be refused by a signed fault. Returns the reason.
    pub(super) async fn denied(&self, envelope: &Envelope) -> String {
        let open = self.wire.send(envelope.open.clone()).await;
        self.fault(envelope, &open.unwrap())
    }

    /// The reason of a signed fault, after checking whose it is and what it answers.
    pub(super) fn fault(&self, envelope: &Envelope, open: &wire::Open) -> String {
        let now = self.world.now();
        let session =
            SessionCertificate::verify(&open.session_chain[0], &self.provider_key, now).unwrap();
        assert_eq!(session.server(), &self.world.provider.server);
        let fault = SignedStatement::parse(open.statement.clone()).unwrap();
        fault.verify(session.key()).unwrap();
        fault.statement().answers(&envelope.request).unwrap();
        let Says::Fault {
            failure: Failure::Refused(reason),
            receipt,
            ..
        } = &fault.statement().body
        else {
            panic!("not a refusal: {:?}", fault.statement().body)
        };
        assert!(open.sealed.is_empty() && open.seal.is_none());
        assert_eq!(receipt.origin, fault.statement().log);
        self.promises.lock().unwrap().push(Promise {
            request: envelope.request.bytes().clone(),
            reason: reason.to_string(),
            receipt: receipt.clone(),
        });
        reason.to_string()
    }

    /// Sends new requests, as `draft` makes them, until one is no longer answered. Returns the last
    /// and what came back; within the 5 s a revocation may take.
    pub(super) async fn until_refused(
        &self,
        draft: impl Fn() -> Draft,
    ) -> (Envelope, Result<wire::Open, Status>) {
        within_5_s(async {
            loop {
                let envelope = self.seal(draft());
                let open = self.wire.send(envelope.open.clone()).await;
                match open {
                    Ok(open) if open.seal.is_some() => {}
                    open => return (envelope, open),
                }
            }
        })
        .await
    }

    /// Stops the provider's server and starts it again.
    pub(super) async fn restart(self) -> Self {
        self.restart_after(|| {}).await
    }

    /// The same, with something happening in between.
    pub(super) async fn restart_after(mut self, happens: impl FnOnce()) -> Self {
        self.provider.shutdown().await;
        happens();
        let provider = self.world.start(&self.world.provider, self.deps.clone());
        self.provider = provider.await.unwrap();
        self.wire = self.forger.dial(&self.world.provider).unwrap();
        self
    }

    /// Stops the provider's server; its ledger, with every promise found in it.
    pub(super) async fn close(self) -> Log {
        self.provider.shutdown().await;
        let log = Log::read(&self.world.provider, self.source.asked());
        for promise in self.promises.into_inner().unwrap() {
            log.keeps(&promise);
        }
        log
    }
}

// === impl Window ===

impl Window {
    /// Nobody answers in the provider's place.
    pub(super) async fn open() -> Self {
        Self::open_with(Deps::real(), "").await
    }

    /// With the consumer's configuration extended by `settings`.
    pub(super) async fn open_with(deps: Deps, settings: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let world = World::build_at(dir.path(), deps.clock.clone())
            .await
            .unwrap();
        extend(&world.consumer, settings);
        let consumer = world.start(&world.consumer, deps).await.unwrap();
        Self {
            system: Consumer::of(&world.consumer),
            consumer,
            world,
            _dir: dir,
        }
    }

    /// With one more door for the consumer's system.
    pub(super) async fn open_with_door(deps: Deps, door: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let world = World::build(dir.path()).await.unwrap();
        let site = &world.consumer;
        let text = std::fs::read_to_string(&site.config).unwrap();
        let (socket, list) = (
            "callers: [{unix: ./caller.sock}]\n",
            "callers:\n    - unix: ./caller.sock\n",
        );
        assert!(text.contains(socket), "{text}");
        std::fs::write(&site.config, text.replace(socket, &[list, door].concat())).unwrap();
        let consumer = world.start(site, deps).await.unwrap();
        Self {
            system: Consumer::of(&world.consumer),
            consumer,
            world,
            _dir: dir,
        }
    }

    /// In the provider's place, an impostor answers what `says` makes up.
    pub(super) async fn before<F>(&self, says: F) -> Impostor
    where
        F: Fn(&Forger, &Heard) -> anyhow::Result<Line> + Send + Sync + 'static,
    {
        let forger = Forger::of(&self.world, &self.world.provider).unwrap();
        Impostor::serve(&self.world.provider, forger, says)
            .await
            .unwrap()
    }

    /// Asks about one person.
    pub(super) async fn ask(&self, more: &[(&str, &str)]) -> Result<Response<Bytes>, Status> {
        self.system.ask(lookup("046454286"), more).await
    }

    /// Asks; it must be refused.
    pub(super) async fn refused(&self, more: &[(&str, &str)]) -> Refused {
        refusal(self.ask(more).await)
    }

    pub(super) async fn close(self) -> Log {
        self.consumer.shutdown().await;
        Log::read(&self.world.consumer, 0)
    }
}

// === impl Log ===

impl Log {
    fn read(site: &Site, asked: usize) -> Self {
        let entries = site.encoded_entries().unwrap();
        let entries = entries.iter().map(|bytes| Logged {
            leaf: tree::leaf_hash(bytes),
            body: Entry::decode(bytes).unwrap().body,
        });
        Self {
            entries: entries.collect(),
            asked,
        }
    }

    /// What happened, in words; without the entries every server writes (BOOT, SESSION, VIEW).
    pub(super) fn story(&self) -> Vec<String> {
        let told = self.entries.iter().filter_map(|entry| {
            Some(match &entry.body {
                Body::Boot(_) | Body::Session(_) | Body::View(_) => return None,
                Body::Denied(denied) => {
                    let peer = denied.peer.as_ref();
                    let by = peer.map_or_else(|| attempted_by(denied), |peer| peer.to_string());
                    format!("DENIED {} {by}", denied.reason)
                }
                Body::Outcome(outcome) => format!("OUTCOME {:?}", outcome.kind),
                Body::Summary(summary) => {
                    let peer = summary.peer.as_deref().unwrap_or("nobody");
                    format!("SUMMARY {} {peer} {}", summary.reason, summary.count)
                }
                other => other.name().to_owned(),
            })
        });
        told.collect()
    }

    /// How many sessions of `server` were accepted or begun.
    pub(super) fn sessions_of(&self, server: &str) -> usize {
        let of = |body: &Body| matches!(body, Body::Session(s) if s.server.as_str() == server);
        self.entries.iter().filter(|entry| of(&entry.body)).count()
    }

    /// The denials, in order.
    pub(super) fn denials(&self) -> impl Iterator<Item = &Denied> {
        self.entries.iter().filter_map(|entry| match &entry.body {
            Body::Denied(denied) => Some(denied),
            _ => None,
        })
    }

    fn keeps(&self, promise: &Promise) {
        let index = usize::try_from(promise.receipt.index).unwrap();
        let entry = &self.entries[index];
        assert_eq!(entry.leaf, promise.receipt.leaf_hash);
        let Body::Denied(denied) = &entry.body else {
            panic!("the receipt names {:?}", entry.body)
        };
        assert_eq!(denied.reason, promise.reason);
        assert_eq!(denied.call, DeniedCall::Statement(promise.request.clone()));
        let view = usize::try_from(denied.view.unwrap()).unwrap();
        assert!(matches!(self.entries[view].body, Body::View(_)));
    }
}

/// The reason of an unsigned refusal.
pub(super) fn refusal<T>(answer: Result<T, Status>) -> Refused {
    let status = answer.err().expect("a refusal, not an answer");
    let told = Told::from_status(&status).unwrap_or_else(|| panic!("no reason: {status:?}"));
    assert!(!told.localized.is_empty());
    Refused {
        at: told.metadata["at"].clone(),
        reason: told.reason,
        code: status.code(),
    }
}

/// A revocation refuses the next call within 5 s (DESIGN.md §2, G8).
pub(super) async fn within_5_s<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(5), work)
        .await
        .expect("within 5 s")
}

/// The directory's key for the server of `site`.
fn server_key(world: &World, site: &Site) -> VerifyingKey {
    let view = world.view();
    let record = view.state.server(&site.server).unwrap();
    record.keys[0].value.clone()
}

fn attempted_by(denied: &Denied) -> String {
    match &denied.call {
        DeniedCall::Attempt(attempt) => attempt.system.clone().unwrap_or_default(),
        DeniedCall::Statement(_) => "nobody".to_owned(),
    }
}

fn extend(site: &Site, settings: &str) {
    let text = std::fs::read_to_string(&site.config).unwrap();
    std::fs::write(&site.config, text + settings).unwrap();
}
