//! The systems at either end of an exchange, and what they say.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use entente_proto::raw::RawCodec;
use entente_tls::net::{Endpoint, Net, TokioNet};
use entente_tls::{ChannelOptions, channel};
use tonic::client::Grpc;
use tonic::metadata::{AsciiMetadataKey, MetadataMap};
use tonic::{Request, Response, Status};

use super::{METHOD, PURPOSE, Site};

/// The provider's system: answers every call alike and counts them.
#[derive(Clone)]
pub struct Source {
    asked: Arc<AtomicUsize>,
    answer: Arc<std::sync::Mutex<Result<Bytes, Status>>>,
    /// The elements it was last asked for.
    elements: Arc<std::sync::Mutex<String>>,
    /// Called with the asking system, before a call is answered.
    watcher: Arc<dyn Fn(&str) + Send + Sync>,
}

/// A consumer system with its socket.
#[derive(Clone, Debug)]
pub struct Consumer {
    grpc: Grpc<entente_tls::Channel>,
}

// === impl Source ===

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = self.asked();
        f.debug_struct("Source").field("asked", &asked).finish()
    }
}

impl Source {
    /// A system that answers with `answer`.
    pub fn answering(answer: Bytes) -> Self {
        Self {
            asked: Arc::default(),
            answer: Arc::new(std::sync::Mutex::new(Ok(answer))),
            elements: Arc::default(),
            watcher: Arc::new(|_| {}),
        }
    }

    /// Tells `watcher` of each call before it is answered: which system asks, as the server names it.
    #[must_use]
    pub fn watched(mut self, watcher: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.watcher = Arc::new(watcher);
        self
    }

    /// Answers otherwise from now on.
    pub fn answer_with(&self, answer: Result<Bytes, Status>) {
        *self.answer.lock().expect("no holder panics") = answer;
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// The elements it was last asked for, as the server names them.
    pub fn elements(&self) -> String {
        self.elements.lock().expect("no holder panics").clone()
    }

    /// Listens at `socket` until it is dropped with the runtime.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn serve(&self, socket: &Path) -> anyhow::Result<()> {
        self.serve_on(&TokioNet, socket).await
    }

    /// The same on a network of the test's.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn serve_on(&self, net: &dyn Net, socket: &Path) -> anyhow::Result<()> {
        let listener = net.listen(&Endpoint::Unix(socket.to_owned())).await?;
        let plain = entente_tls::ServerSecurity::Plain { system: None };
        let incoming = entente_tls::incoming(listener, plain, Default::default());
        let source = self.clone();
        let app = axum::Router::new().fallback(move |request: axum::extract::Request| {
            let source = source.clone();
            async move {
                let mut grpc = tonic::server::Grpc::new(RawCodec);
                let request = request.map(tonic::body::Body::new);
                grpc.unary(Asked(source), request).await
            }
        });
        let routes = tonic::service::Routes::from(app);
        tokio::spawn(async move {
            let served = entente_tls::server().serve_with_incoming(routes, incoming);
            served.await.expect("the source's socket is served")
        });
        Ok(())
    }
}

struct Asked(Source);

impl tonic::server::UnaryService<Bytes> for Asked {
    type Response = Bytes;
    type Future = std::future::Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let client = request.metadata().get("entente-client");
        (self.0.watcher)(client.and_then(|it| it.to_str().ok()).unwrap_or_default());
        let elements = request.metadata().get("entente-elements");
        let elements = elements.and_then(|named| named.to_str().ok());
        *self.0.elements.lock().expect("no holder panics") =
            elements.unwrap_or_default().to_owned();
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.0.answer.lock().expect("no holder panics").clone();
        std::future::ready(answer.map(Response::new))
    }
}

// === impl Consumer ===

impl Consumer {
    /// The system of a site.
    pub fn of(site: &Site) -> Self {
        Self::at(&site.caller_socket())
    }

    /// A system that calls through this socket.
    pub fn at(socket: &Path) -> Self {
        Self::at_endpoint(Endpoint::Unix(socket.to_owned()))
    }

    /// A system that calls at any local address.
    pub fn at_endpoint(endpoint: Endpoint) -> Self {
        Self::on(Arc::new(TokioNet), endpoint)
    }

    /// The same on a network of the test's.
    pub fn on(net: Arc<dyn Net>, endpoint: Endpoint) -> Self {
        let channel = channel(net, endpoint, None, &ChannelOptions::default());
        Self {
            grpc: Grpc::new(channel),
        }
    }

    /// Calls the method with the usual metadata, and `more` in its place or beside it.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn ask(&self, body: Bytes, more: &[(&str, &str)]) -> Result<Response<Bytes>, Status> {
        self.call(&format!("/{METHOD}"), body, more).await
    }

    /// Asks about one person, in the usual way.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn look_up(&self) -> Result<Response<Bytes>, Status> {
        self.ask(lookup("046454286"), &[]).await
    }

    /// As [`Consumer::ask`], at any path.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn call(
        &self,
        path: &str,
        body: Bytes,
        more: &[(&str, &str)],
    ) -> Result<Response<Bytes>, Status> {
        let usual = [
            ("entente-to", "ca-demo/vital-events/registry"),
            ("entente-purpose", PURPOSE),
        ];
        let mut metadata = MetadataMap::new();
        for (key, value) in usual.iter().chain(more) {
            let key: AsciiMetadataKey = key.parse().expect("a metadata key");
            match *value {
                "" => metadata.remove(&key),
                value => metadata.insert(key, value.parse().expect("a metadata value")),
            };
        }
        let mut request = Request::new(body);
        *request.metadata_mut() = metadata;
        let mut grpc = self.grpc.clone();
        grpc.ready()
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let path = path.parse().expect("a path");
        grpc.unary(request, path, RawCodec).await
    }
}

/// A request for one person: field 1 of the demonstration's contract.
pub fn lookup(person_number: &str) -> Bytes {
    text_field(1, person_number).into()
}

/// An answer with a date and a cause of death; the agreement releases only the date.
pub fn answer(date: &str, cause: &str) -> Bytes {
    [&[0x08, 1][..], &text_field(2, date), &text_field(4, cause)]
        .concat()
        .into()
}

fn text_field(number: u8, text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("a short text");
    [&[number << 3 | 2, length], text.as_bytes()].concat()
}
