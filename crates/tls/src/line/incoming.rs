//! What comes back over a line.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use h2::RecvStream;
use http::{HeaderMap, Response, StatusCode};
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use super::{PREFIX, lost};
use crate::details::check_details;

/// An answer that has begun. Dropped before its end, it cancels the call: see
/// [`IncomingAnswer::read_to_its_end`].
pub struct IncomingAnswer {
    metadata: HeaderMap,
    body: RecvStream,
    /// Received and not read yet.
    held: Held,
    /// Whether the head said already that the call ends well.
    told: bool,
}

/// Bytes of a message, in the buffer they came in as long as there is only one.
#[derive(Debug, Default)]
enum Held {
    #[default]
    Nothing,
    One(Bytes),
    Several(BytesMut),
}

// === impl IncomingAnswer ===

impl IncomingAnswer {
    /// An answer, unless its head is its end already.
    pub(super) fn read(response: Response<RecvStream>) -> Result<Self, Status> {
        let (mut head, body) = response.into_parts();
        check_details(&mut head.headers);
        if head.status != StatusCode::OK {
            return Err(Status::new(Code::Unknown, "the answer is not gRPC's"));
        }
        let told = Status::from_header_map(&head.headers);
        let is_over = body.is_end_stream();
        let answer = Self {
            metadata: head.headers,
            body,
            held: Held::Nothing,
            told: told.is_some(),
        };
        match told {
            Some(status) if status.code() != Code::Ok => {
                answer.read_to_its_end();
                Err(status)
            }
            // OK without a message is not an answer.
            Some(_) if is_over => Err(Status::internal("no message came")),
            None if is_over => Err(Status::unknown(NO_STATUS)),
            _ => Ok(answer),
        }
    }

    /// The metadata before the message.
    pub fn metadata(&mut self) -> MetadataMap {
        MetadataMap::from_headers(std::mem::take(&mut self.metadata))
    }

    /// The next message, of at most `limit` bytes; none when the answer ended well.
    ///
    /// # Errors
    /// The status it ended with; `OUT_OF_RANGE` when a message is longer.
    pub async fn message(&mut self, limit: usize) -> Result<Option<Bytes>, Status> {
        let mut wanted = PREFIX;
        loop {
            if self.held.len() >= wanted {
                let len = self.held.message_len()?;
                if len > limit {
                    return Err(Status::out_of_range("the message is too long"));
                }
                wanted = PREFIX + len;
                if self.held.len() >= wanted {
                    return Ok(Some(self.held.take(wanted).slice(PREFIX..)));
                }
            }
            match self.body.data().await {
                Some(chunk) => {
                    let chunk = chunk.map_err(lost)?;
                    self.body
                        .flow_control()
                        .release_capacity(chunk.len())
                        .map_err(lost)?;
                    self.held.add(chunk, wanted);
                }
                None if self.held.len() == 0 => return self.end().await.map(|()| None),
                None => return Err(Status::internal("the answer ends within a message")),
            }
        }
    }

    /// Takes what is left of an answer: its trailers. A stream that is dropped before them is reset,
    /// and HTTP/2 gives a connection up, with every other call on it, after so many frames for streams
    /// it had reset. Does not wait.
    pub fn read_to_its_end(mut self) {
        // Mostly it is here already.
        if self.rest().now_or_never().is_none() {
            tokio::spawn(async move {
                // Whoever does not end it in time sees its stream reset.
                let _ = tokio::time::timeout(END, self.rest()).await;
            });
        }
    }

    async fn rest(&mut self) {
        while let Some(Ok(chunk)) = self.body.data().await {
            // Nothing but an end was to come.
            if !chunk.is_empty() {
                return;
            }
        }
        let _ = self.body.trailers().await;
    }

    async fn end(&mut self) -> Result<(), Status> {
        let mut trailers = self.body.trailers().await.map_err(lost)?;
        if let Some(trailers) = &mut trailers {
            check_details(trailers);
        }
        let status = trailers.as_ref().and_then(Status::from_header_map);
        match status {
            Some(status) if status.code() == Code::Ok => Ok(()),
            Some(status) => Err(status),
            None if self.told => Ok(()),
            None => Err(Status::unknown(NO_STATUS)),
        }
    }
}

impl fmt::Debug for IncomingAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncomingAnswer").finish_non_exhaustive()
    }
}

// === impl Held ===

impl Held {
    fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::One(bytes) => bytes.len(),
            Self::Several(bytes) => bytes.len(),
        }
    }

    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Nothing => &[],
            Self::One(bytes) => bytes,
            Self::Several(bytes) => bytes,
        }
    }

    /// What the prefix says, of which all is here.
    fn message_len(&self) -> Result<usize, Status> {
        match self.as_slice() {
            [0, a, b, c, d, ..] => Ok(u32::from_be_bytes([*a, *b, *c, *d]) as usize),
            _ => Err(Status::internal("the message is compressed")),
        }
    }

    /// Adds what came. `wanted` is how much a whole message takes, as far as known: checked against the
    /// limit before, so it may be reserved.
    fn add(&mut self, chunk: Bytes, wanted: usize) {
        *self = match std::mem::take(self) {
            Self::Nothing => Self::One(chunk),
            Self::One(first) => {
                let mut several = BytesMut::with_capacity(wanted.max(first.len() + chunk.len()));
                several.extend_from_slice(&first);
                several.extend_from_slice(&chunk);
                Self::Several(several)
            }
            Self::Several(mut several) => {
                several.extend_from_slice(&chunk);
                Self::Several(several)
            }
        };
    }

    /// The first `len` bytes; what follows them stays.
    fn take(&mut self, len: usize) -> Bytes {
        match self {
            Self::Nothing => Bytes::new(),
            Self::One(bytes) => bytes.split_to(len),
            Self::Several(bytes) => bytes.split_to(len).freeze(),
        }
    }
}

const NO_STATUS: &str = "the answer ends without a status";

/// How long an answer may take to end, once its message is here.
const END: Duration = Duration::from_secs(1);
