//! The witness as a service, asked over HTTP.

use std::sync::Arc;

use bytes::Bytes;
use entente_follow::witness::{Witness, WitnessLimits, serve};
use entente_ledger::SignedCheckpoint;
use entente_ledger::cosignature;
use entente_ledger::note::WitnessKey;
use entente_ledger::witness::AddCheckpoint;
use entente_testkit::MemDisk;
use entente_testkit::disk::Fault;
use entente_tls::http::{HttpUrl, send};
use entente_tls::net::{Endpoint, Net as _, TokioNet};
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{COMMON, NOW, Tree, evidence, log_key, origin, witness};

/// A witness that listens.
pub(super) struct Service {
    /// Where.
    pub(super) url: String,
    /// Its key.
    pub(super) key: WitnessKey,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

// === impl Service ===

impl Service {
    /// Serves a witness until it is stopped.
    pub(super) async fn of(witness: Witness) -> Self {
        let listener = TokioNet.listen(&Endpoint::loopback()).await.unwrap();
        let url = format!("http://{}", listener.endpoint());
        let key = witness.key().clone();
        let (stop, stopped) = oneshot::channel();
        let limits = WitnessLimits::default();
        let serving = serve(listener, Arc::new(witness), limits, async {
            let _ = stopped.await;
        });
        Self {
            url,
            key,
            stop,
            serving: tokio::spawn(serving),
        }
    }

    pub(super) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.serving.await.unwrap();
    }

    async fn send(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Response<Bytes> {
        let mut request = Request::new(body.into());
        *request.method_mut() = method;
        let url: HttpUrl = self.url.parse().unwrap();
        let url = url.beneath(path).unwrap();
        send(&TokioNet, &url, request, 64 * 1024).await.unwrap()
    }

    async fn add(&self, body: impl Into<Bytes>) -> Response<Bytes> {
        self.send(Method::POST, "/add-checkpoint", body).await
    }

    async fn submit(&self, request: &AddCheckpoint) -> Response<Bytes> {
        self.add(request.to_string()).await
    }

    async fn refuses(&self, request: &AddCheckpoint) -> u16 {
        let answer = self.submit(request).await;
        assert_eq!(kind(&answer), TEXT);
        answer.status().as_u16()
    }

    async fn get(&self, path: &str) -> Response<Bytes> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    async fn newest(&self) -> Response<Bytes> {
        self.get(&format!("/{}/checkpoint", origin())).await
    }

    /// It cosigned this tree, in words that others can verify.
    async fn cosigns(&self, tree: &Tree, old: u64) {
        let answer = self.submit(&tree.request(old)).await;
        assert_eq!(answer.status(), StatusCode::OK, "{answer:?}");
        let line = text(&answer).strip_suffix('\n').unwrap().parse().unwrap();
        let at = cosignature::verify_line(&tree.signed(), &line, &self.key);
        assert_eq!(at.unwrap(), NOW);
        self.shows(tree).await;
    }

    /// The newest tree that it cosigned is this one.
    async fn shows(&self, tree: &Tree) {
        let shown = self.newest().await;
        assert_eq!(shown.status(), StatusCode::OK);
        let shown = SignedCheckpoint::verify(shown.body(), &log_key()).unwrap();
        assert_eq!(shown.checkpoint(), tree.signed().checkpoint());
        cosignature::verify(&shown, &self.key).unwrap();
    }
}

fn text(answer: &Response<Bytes>) -> &str {
    std::str::from_utf8(answer.body()).unwrap()
}

fn kind(answer: &Response<Bytes>) -> &str {
    answer.headers()[CONTENT_TYPE].to_str().unwrap()
}

/// Refused because it cosigned another size last, namely this.
fn is_conflict(answer: &Response<Bytes>, size: u64) {
    assert_eq!(answer.status(), StatusCode::CONFLICT);
    assert_eq!(kind(answer), "text/x.tlog.size");
    assert_eq!(text(answer), format!("{size}\n"));
}

#[tokio::test]
async fn a_log_that_grows_is_cosigned_and_its_newest_checkpoint_shown_to_anybody() {
    let service = Service::of(witness(&MemDisk::new()).unwrap()).await;
    assert_eq!(service.newest().await.status(), StatusCode::NOT_FOUND);
    let sizes = [5, 9, 9, 300];
    for (at, size) in sizes.into_iter().enumerate() {
        let old = if at == 0 { 0 } else { sizes[at - 1] };
        service.cosigns(&Tree::of(1, size), old).await;
    }
    service.stop().await;
}

#[tokio::test]
async fn what_is_not_cosigned_has_the_status_that_the_protocol_gives_it() {
    let service = Service::of(witness(&MemDisk::new()).unwrap()).await;
    let (held, next) = (Tree::of(1, 5), Tree::of(1, 9));
    is_conflict(&service.submit(&next.request(5)).await, 0);
    service.cosigns(&held, 0).await;
    is_conflict(&service.submit(&next.request(0)).await, 5);
    is_conflict(&service.submit(&next.request(4)).await, 5);

    let mut shrunk = Tree::of(1, 4).request(0);
    shrunk.old_size = 5;
    assert_eq!(service.refuses(&shrunk).await, 400);
    for body in [
        String::new(),
        "old 5\n\nnothing\n".to_owned(),
        "x".repeat(70_000),
    ] {
        assert_eq!(service.add(body).await.status(), StatusCode::BAD_REQUEST);
    }
    let mut stranger = next.request(5);
    stranger.note = next.signed_with(9).note().clone();
    assert_eq!(service.refuses(&stranger).await, 403);
    let request = next.request(5).to_string();
    let unknown = service.add(request.replace("ss1.pensions", "ss2.pensions"));
    assert_eq!(unknown.await.status(), StatusCode::NOT_FOUND);
    let mut unproven = next.request(5);
    unproven.proof.pop();
    assert_eq!(service.refuses(&unproven).await, 422);
    assert_eq!(service.refuses(&Tree::of(2, 9).request(5)).await, 422);
    // Another root of the same size: no size in the answer, for asking again would not help.
    let fork = service.submit(&Tree::of(2, 5).request(5)).await;
    assert_eq!((fork.status(), kind(&fork)), (StatusCode::CONFLICT, TEXT));

    for path in ["/", "/checkpoint", "/nothing/checkpoint", "/add-checkpoint"] {
        assert_eq!(service.get(path).await.status(), StatusCode::NOT_FOUND);
    }
    let put = service.send(Method::PUT, "/add-checkpoint", Bytes::new());
    assert_eq!(put.await.status(), StatusCode::METHOD_NOT_ALLOWED);
    // And none of it moved what it had seen.
    service.shows(&held).await;
    service.cosigns(&next, 5).await;
    service.stop().await;
}

#[tokio::test]
async fn what_cannot_be_kept_is_not_cosigned_and_what_was_seen_outlives_the_process() {
    let disk = MemDisk::new();
    let service = Service::of(witness(&disk).unwrap()).await;
    service.cosigns(&Tree::of(1, 5), 0).await;
    disk.fail_at(disk.operations(), Fault::Error);
    let failed = service.submit(&Tree::of(1, 9).request(5)).await;
    assert_eq!(failed.status(), StatusCode::INTERNAL_SERVER_ERROR);
    service.shows(&Tree::of(1, 5)).await;
    service.cosigns(&Tree::of(1, 9), 5).await;
    service.stop().await;

    // Not even what the process had not yet written may matter.
    let disk = disk.crash();
    let service = Service::of(witness(&disk).unwrap()).await;
    service.shows(&Tree::of(1, 9)).await;
    is_conflict(&service.submit(&Tree::of(2, 9).request(COMMON)).await, 9);
    assert_eq!(service.refuses(&Tree::of(2, 9).request(9)).await, 409);
    assert_eq!(service.refuses(&Tree::of(2, 12).request(9)).await, 422);
    assert_eq!(evidence(&disk).len(), 2);
    service.cosigns(&Tree::of(1, 12), 9).await;
    service.stop().await;
}

const TEXT: &str = "text/plain; charset=utf-8";
