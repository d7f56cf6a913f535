//! Asking a question the way a consumer system does: plain gRPC to its own security server.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use entente_identity::{ElementName, MethodName, PurposeCode, SystemId};
use entente_proto::raw::RawCodec;
use entente_proto::status::Told;
use entente_reason::{At, Lang, Reason};
use entente_tls::Channel;
use entente_tls::net::Endpoint;
use entente_tls::{ChannelOptions, channel};
use http::uri::{InvalidUri, PathAndQuery};
use tonic::client::Grpc;
use tonic::metadata::errors::InvalidMetadataValue;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::{Request, Status};

use crate::seams::Seams;

/// A consumer system's way to its own security server.
#[derive(Clone, Debug)]
pub struct Door {
    channel: Channel,
    token: Option<AsciiMetadataValue>,
}

/// One question.
#[derive(Clone, Debug)]
pub struct Question {
    /// The system asked.
    pub to: SystemId,
    /// The method called.
    pub method: MethodName,
    /// The request message.
    pub body: Bytes,
    /// Why it is asked.
    pub purpose: Option<PurposeCode>,
    /// The agreement relied on, by name or hash; `#n` names a clause.
    pub agreement: Option<String>,
    /// The elements wanted, when fewer than the clause releases.
    pub elements: BTreeSet<ElementName>,
    /// The official behind the call.
    pub user: Option<String>,
    /// The consumer's file number.
    pub case: Option<String>,
    /// How strongly the official was authenticated, 0 to 4.
    pub assurance: Option<u8>,
    /// Whether it is a trial.
    pub test: bool,
    /// How long to wait.
    pub deadline: Duration,
    /// The language of a refusal.
    pub lang: Lang,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The response message, holding only what the agreement releases.
    pub body: Bytes,
    /// Names the exchange in both ledgers.
    pub transaction: Option<String>,
    /// Where the provider promised to have logged the request.
    pub receipt: Option<String>,
}

/// A refusal, as the caller is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The code, such as `PURPOSE_NOT_AGREED`.
    pub code: String,
    /// The reason, when this version knows the code.
    pub reason: Option<Reason>,
    /// Who must act.
    pub at: Option<At>,
    /// The sentence and its remedy, in the language asked for.
    pub text: String,
    /// Further facts. Never a value from the call.
    pub facts: BTreeMap<String, String>,
    /// Names the exchange, when one was begun.
    pub transaction: Option<String>,
    /// The gRPC status code.
    pub grpc: i32,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// A value that cannot be sent as a header.
    #[error("preparing the call")]
    Header(#[from] InvalidMetadataValue),
    /// The method's name is not a path.
    #[error("preparing the call")]
    Method(#[from] InvalidUri),
    /// Refused by one of the servers, or by the source.
    #[error("the call was refused: {}", .0.code)]
    Refused(Box<Refused>),
    /// The own security server did not answer as one.
    #[error("the security server did not answer")]
    Unreachable(#[source] Box<Status>),
}

// === impl Door ===

impl Door {
    /// A door at a local endpoint; `token` proves the system on loopback. Connects at the first
    /// question.
    ///
    /// # Errors
    /// When the token cannot be a header.
    pub fn at(seams: &Seams, endpoint: Endpoint, token: Option<&str>) -> Result<Self, AskError> {
        let mut token = token.map(AsciiMetadataValue::try_from).transpose()?;
        if let Some(token) = &mut token {
            token.set_sensitive(true);
        }
        let options = ChannelOptions::default();
        Ok(Self {
            channel: channel(seams.net.clone(), endpoint, None, &options),
            token,
        })
    }

    /// Asks.
    ///
    /// # Errors
    /// When it is refused, or the security server does not answer.
    pub async fn ask(&self, question: &Question) -> Result<Answer, AskError> {
        let mut request = Request::new(question.body.clone());
        request.set_timeout(question.deadline);
        let metadata = request.metadata_mut();
        question.write(metadata)?;
        if let Some(token) = &self.token {
            metadata.insert("entente-token", token.clone());
        }
        let path: PathAndQuery = question.method.path().parse()?;
        let mut client = Grpc::new(self.channel.clone())
            .max_decoding_message_size(MAX_ANSWER)
            .max_encoding_message_size(MAX_ANSWER);
        client
            .ready()
            .await
            .map_err(|error| unreachable(&Status::from_error(error.into())))?;
        match client.unary(request, path, RawCodec).await {
            Ok(response) => {
                let text = |key| text_of(response.metadata(), key);
                Ok(Answer {
                    transaction: text("entente-transaction"),
                    receipt: text("entente-receipt"),
                    body: response.into_inner(),
                })
            }
            Err(status) => Err(Refused::read(&status).map_or_else(
                || unreachable(&status),
                |refused| AskError::Refused(Box::new(refused)),
            )),
        }
    }
}

fn unreachable(status: &Status) -> AskError {
    AskError::Unreachable(Box::new(status.clone()))
}

fn text_of(metadata: &MetadataMap, key: &str) -> Option<String> {
    let value = metadata.get(key)?.to_str().ok()?;
    Some(value.to_owned())
}

// === impl Question ===

impl Question {
    /// A question with nothing but what every question has.
    pub const fn new(to: SystemId, method: MethodName, body: Bytes) -> Self {
        Self {
            to,
            method,
            body,
            purpose: None,
            agreement: None,
            elements: BTreeSet::new(),
            user: None,
            case: None,
            assurance: None,
            test: false,
            deadline: Duration::from_secs(10),
            lang: Lang::En,
        }
    }

    fn write(&self, metadata: &mut MetadataMap) -> Result<(), InvalidMetadataValue> {
        let elements: Vec<&str> = self.elements.iter().map(ElementName::as_str).collect();
        let elements = (!elements.is_empty()).then(|| elements.join(","));
        let pairs = [
            ("entente-to", Some(self.to.to_string())),
            (
                "entente-purpose",
                self.purpose.as_ref().map(ToString::to_string),
            ),
            ("entente-agreement", self.agreement.clone()),
            ("entente-elements", elements),
            ("entente-user", self.user.clone()),
            ("entente-case", self.case.clone()),
            (
                "entente-assurance",
                self.assurance.map(|level| level.to_string()),
            ),
            ("entente-mode", self.test.then(|| "test".to_owned())),
            ("accept-language", Some(self.lang.locale().to_owned())),
        ];
        for (key, value) in pairs {
            if let Some(value) = value {
                metadata.insert(key, value.parse()?);
            }
        }
        Ok(())
    }
}

// === impl Refused ===

impl Refused {
    /// What a status says; `None` when no Entente server wrote it.
    fn read(status: &Status) -> Option<Self> {
        let told = Told::from_status(status)?;
        let mut facts: BTreeMap<String, String> = told.metadata.into_iter().collect();
        let at = facts.remove("at").and_then(|at| At::parse(&at));
        let transaction = facts
            .remove("transaction")
            .or_else(|| text_of(status.metadata(), "entente-transaction"));
        Some(Self {
            reason: Reason::parse(&told.reason),
            code: told.reason,
            at,
            text: told.localized,
            facts,
            transaction,
            grpc: status.code() as i32,
        })
    }
}

/// The largest message either way: a unary message's bound, and its framing.
const MAX_ANSWER: usize = (16 << 20) + (64 << 10);
