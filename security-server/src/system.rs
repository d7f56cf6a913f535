//! The provider's own system, or the adapter in front of it: dialled locally, told who asks, and
//! trusted with nothing it says beyond status code, reason and message.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entente_clock::{Day, Timestamp};
use entente_evidence::answer::Answer;
use entente_evidence::statement::{Mode, Statement};
use entente_identity::ElementName;
use entente_keys::{LocalToken, TokenError};
use entente_proto::status::Told;
use entente_reason::{At, Reason};
use entente_tls::line::{self, Line};
use entente_tls::net::{Endpoint, Net};
use entente_tls::{ChannelOptions, never_sent};
use http::uri::PathAndQuery;
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap};
use tonic::{Code, Status};

use crate::config::{Dial, MAX_MESSAGE};

/// Where one system is dialled in one mode.
#[derive(Debug)]
pub(crate) struct ProviderSystem {
    line: Line,
    /// What proves to it that it is its own server that calls.
    token: Option<AsciiMetadataValue>,
}

/// What the system is told about a call, all of it verified.
#[derive(Debug)]
pub(crate) struct CallContext<'a> {
    pub(crate) statement: &'a Statement,
    /// What the answer is to hold: what is released, and whatever says whom it is about.
    pub(crate) elements: &'a BTreeSet<ElementName>,
    pub(crate) user: Option<&'a str>,
    pub(crate) case: Option<&'a str>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// The call went out and nothing came back: nobody knows.
    MayHaveActed,
    /// The system could not be reached: it did nothing.
    NotAsked,
}

/// Where the system looks for its token.
const TOKEN: &str = "entente-token";

/// The one metadatum of an answer that may pass: when its facts were true, a day or an RFC 3339 time.
const SOURCE_DATE: &str = "entente-source-date";

/// Its name within a sealed answer.
pub(crate) const SOURCE_DATE_SEALED: &str = "source-date";

// === impl ProviderSystem ===

impl ProviderSystem {
    /// A system as it is dialled, connected at its first call.
    pub(crate) fn at(net: Arc<dyn Net>, dial: &Dial) -> Result<Self, TokenError> {
        let (endpoint, token) = match dial {
            Dial::Unix(path) => (Endpoint::Unix(path.as_path().to_path_buf()), None),
            Dial::Loopback { dial, token } => {
                let token = LocalToken::load(token.file.as_path())?;
                let mut value = AsciiMetadataValue::try_from(token.expose())
                    .expect("a token is letters and digits");
                value.set_sensitive(true);
                (dial.clone().into(), Some(value))
            }
        };
        Ok(Self {
            line: Line::new(net, endpoint, None, ChannelOptions::default()),
            token,
        })
    }

    /// Asks the system. Its status text, details and other trailers stay here.
    pub(crate) async fn ask(
        &self,
        context: &CallContext<'_>,
        payload: Bytes,
        deadline: Duration,
    ) -> Result<Answer, NoAnswer> {
        let path = PathAndQuery::try_from(context.statement.method.path())
            .map_err(|_| NoAnswer::NotAsked)?;
        let framed = line::frame(payload.len(), |buffer| buffer.extend_from_slice(&payload));
        let mut metadata = context.metadata();
        if let Some(token) = &self.token {
            metadata.insert(TOKEN, token.clone());
        }
        let answered = async {
            let call = self.line.call(&path, metadata, deadline, framed);
            let mut answer = call.await?;
            let message = answer.message(MAX_MESSAGE).await?;
            let message = message.ok_or_else(|| Status::internal("no message came"))?;
            // The status counts, and comes last.
            match answer.message(0).await? {
                None => Ok((answer.metadata(), message)),
                Some(_) => Err(Status::internal("more than one message came")),
            }
        };
        match tokio::time::timeout(deadline, answered).await {
            Err(_) => Err(NoAnswer::MayHaveActed),
            Ok(Ok((metadata, message))) => Ok(Answer {
                metadata: allowed(&metadata),
                ..Answer::ok(message)
            }),
            Ok(Err(status)) => refused(&status),
        }
    }
}

// === impl CallContext ===

impl CallContext<'_> {
    fn metadata(&self) -> MetadataMap {
        let mut map = MetadataMap::with_capacity(10);
        let mut put = |key: &'static str, value: &str| {
            // What cannot be a header (a user name in another script) is told as absent, not mangled.
            if let Ok(value) = AsciiMetadataValue::try_from(value) {
                map.insert(AsciiMetadataKey::from_static(key), value);
            }
        };
        let elements: Vec<&str> = self.elements.iter().map(AsRef::as_ref).collect();
        put(
            "entente-transaction",
            &self.statement.message_id.to_string(),
        );
        put("entente-client", self.statement.sender.as_str());
        put("entente-purpose", self.statement.purpose.as_str());
        put("entente-agreement", &self.statement.agreement.to_string());
        put("entente-elements", &elements.join(","));
        put("entente-user", self.user.unwrap_or_default());
        put("entente-case", self.case.unwrap_or_default());
        put(
            "entente-mode",
            match self.statement.mode {
                Mode::Live => "live",
                Mode::Test => "test",
            },
        );
        map
    }
}

/// Whether an answer says beside its message only what may pass.
pub(crate) fn metadata_may_pass(metadata: &BTreeMap<String, String>) -> bool {
    metadata
        .iter()
        .all(|(key, value)| key == SOURCE_DATE_SEALED && source_date(value).as_ref() == Some(value))
}

fn allowed(metadata: &MetadataMap) -> BTreeMap<String, String> {
    let said = metadata.get(SOURCE_DATE);
    let date = said.and_then(|value| source_date(value.to_str().ok()?));
    let pair = date.map(|date| (SOURCE_DATE_SEALED.to_owned(), date));
    pair.into_iter().collect()
}

/// A date in its one spelling. Anything else in its place would be a way past the release filter.
fn source_date(text: &str) -> Option<String> {
    let day = text.parse::<Day>().map(|day| day.to_string());
    let time = || text.parse::<Timestamp>().map(|time| time.to_string());
    day.or_else(|_| time()).ok()
}

/// Whether a system or its adapter may give this reason. What a server says of itself, such as that
/// nothing was sent, is not believed from behind it.
pub(crate) fn is_the_sources_to_say(reason: Reason) -> bool {
    matches!(reason.at(), At::Adapter | At::Source)
        || matches!(reason, Reason::BadField | Reason::RequestMalformed)
}

fn refused(status: &Status) -> Result<Answer, NoAnswer> {
    let told = Told::from_status(status).and_then(|told| Reason::parse(&told.reason));
    // A status without a source error came from the system. One made by the transport says only
    // that the connection failed, and whether the call got there nobody knows.
    let from_transport = std::error::Error::source(status).is_some();
    if from_transport && told.is_none() {
        return Err(if never_sent(status) {
            NoAnswer::NotAsked
        } else {
            NoAnswer::MayHaveActed
        });
    }
    let code = match status.code() {
        // OK without a message is not an answer.
        Code::Ok => Code::Internal,
        code => code,
    };
    Ok(Answer {
        code: code as i32 as u8,
        reason: told
            .filter(|reason| is_the_sources_to_say(*reason))
            .map(Into::into),
        metadata: BTreeMap::new(),
        message: Bytes::new(),
    })
}
