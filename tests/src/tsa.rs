//! A time-stamping authority behind HTTP: OpenSSL's answers, or what a scenario makes of them.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use entente_testkit::Authority;
use entente_testkit::authority::Keys;
use tokio::net::TcpListener;

/// An authority that listens.
#[derive(Clone, Debug)]
pub struct Tsa {
    authority: Arc<Authority>,
    mood: Arc<Mutex<Mood>>,
    address: String,
}

/// How it answers.
#[derive(Clone, Debug, Default)]
pub enum Mood {
    /// As OpenSSL does.
    #[default]
    Good,
    /// With one bit of the signature turned.
    Altered,
    /// As an authority under another root does.
    Foreign(Arc<Authority>),
    /// With more than it could need.
    Huge,
    /// With a token, signed by its key, that states a time 20 minutes from now.
    Late,
    /// With what it answered to another question.
    Stale(Vec<u8>),
    /// With an HTTP error.
    Status(StatusCode),
}

// === impl Tsa ===

impl Tsa {
    /// An authority with its keys in `dir`, which does not listen yet.
    pub fn create(dir: &Path, keys: Keys) -> Self {
        Self {
            authority: Arc::new(Authority::create(dir, keys)),
            mood: Arc::default(),
            address: crate::world::own_address(),
        }
    }

    /// What a server's configuration says of it.
    pub fn config(&self, more: &str) -> String {
        let root = self.authority.root_file();
        format!(
            "timestamp: {{url: \"http://{}/tsr\", roots: {}, every: 1s{more}}}\n",
            self.address,
            root.display()
        )
    }

    /// The authority itself.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Answers so from now on.
    pub fn answer(&self, mood: Mood) {
        *self.mood.lock().expect("no holder panics") = mood;
    }

    /// Listens until the runtime ends.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn listen(&self) -> anyhow::Result<()> {
        let listener = TcpListener::bind(&self.address).await?;
        let tsa = self.clone();
        let app = axum::Router::new().fallback(move |headers: HeaderMap, query: Bytes| {
            let tsa = tsa.clone();
            async move {
                let kind = headers.get("content-type").map(|kind| kind.as_bytes());
                if kind != Some(b"application/timestamp-query") {
                    return (StatusCode::BAD_REQUEST, Vec::new());
                }
                let replied = tokio::task::spawn_blocking(move || tsa.reply(&query)).await;
                replied.expect("no reply panics")
            }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(())
    }

    fn reply(&self, query: &[u8]) -> (StatusCode, Vec<u8>) {
        let mood = self.mood.lock().expect("no holder panics").clone();
        let mut reply = match &mood {
            Mood::Foreign(other) => other.reply(query),
            Mood::Huge => vec![0x30; 1 << 20],
            Mood::Stale(reply) => reply.clone(),
            Mood::Status(status) => return (*status, Vec::new()),
            Mood::Good | Mood::Altered | Mood::Late => self.authority.reply(query),
        };
        match mood {
            Mood::Altered => *reply.last_mut().expect("a reply has bytes") ^= 1,
            Mood::Late => reply = self.late(&reply),
            _ => {}
        }
        (StatusCode::OK, reply)
    }

    /// The same answer, said to be made 20 minutes later.
    fn late(&self, reply: &[u8]) -> Vec<u8> {
        let token = self.authority.token_of(reply);
        let token = self.authority.later(&token, Duration::from_secs(20 * 60));
        let body = [&[0x30, 3, 2, 1, 0][..], &token].concat();
        let [high, low] = u16::try_from(body.len()).expect("short").to_be_bytes();
        [&[0x30, 0x82, high, low][..], &body].concat()
    }
}
