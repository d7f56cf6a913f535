//! Seal sessions: one key encapsulation, from which every exchange derives keys of its own.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use bytes::Bytes;
use entente_clock::Timestamp;
use entente_signing::Digest;
use hpke::aead::{AeadCtxR, AeadCtxS, ExportOnlyAead};
use hpke::kdf::HkdfSha256;
use hpke::kem::{X25519HkdfSha256, XWing};
use hpke::{
    Deserializable, HpkeError, Kem, OpModeR, OpModeS, Serializable, setup_receiver, setup_sender,
};
use zeroize::Zeroizing;

use super::frame::{FrameOpener, FrameSealer};
use super::key::Private;
use super::{SealError, SealKeyId, SealKeyPair, SealParties, SealPublicKey, SealRandom, Suite};
use crate::statement::MessageId;

/// The hash of a session's encapsulation: its name in frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub Digest);

/// The consumer server's end: seals requests, opens responses. Cheap to clone, safe to share.
#[derive(Clone)]
pub struct SendSession {
    shared: Arc<Shared>,
    enc: Bytes,
    recipient: SealKeyId,
    suite: Suite,
}

/// The provider server's end: opens requests, seals responses. Cheap to clone, safe to share.
#[derive(Clone)]
pub struct ReceiveSession {
    shared: Arc<Shared>,
}

struct Shared {
    id: SessionId,
    exporter: Box<dyn Export>,
    since: Timestamp,
    messages: AtomicU32,
}

/// The only thing a session's HPKE context is used for (RFC 9180 §5.3).
trait Export: Send + Sync {
    fn export(&self, context: &[u8], out: &mut [u8; 32]) -> Result<(), HpkeError>;
}

/// The direction byte of a key.
#[derive(Clone, Copy)]
enum Direction {
    Request = 0,
    Response = 1,
}

// === impl SendSession ===

impl SendSession {
    /// How long a session is used, from when it was set up.
    pub const MAX_AGE: Duration = Duration::from_secs(15 * 60);
    /// How many messages a session is used for.
    pub const MAX_MESSAGES: u32 = 1 << 20;

    /// Sets a session up for the holder of `recipient`. The encapsulation travels with the first
    /// message, in [`SendSession::enc`].
    ///
    /// # Errors
    /// When `recipient` is no point of its curve.
    pub fn establish(
        parties: &SealParties,
        recipient: &SealPublicKey,
        now: Timestamp,
    ) -> Result<Self, SealError> {
        let suite = recipient.suite();
        let recipient_id = recipient.key_id();
        let info = info(suite, parties, recipient_id);
        let (enc, exporter) = match suite {
            Suite::X25519 => send::<X25519HkdfSha256>(recipient.as_bytes(), &info),
            Suite::XWing => send::<XWing>(recipient.as_bytes(), &info),
        }
        .map_err(|_| SealError::Key { suite })?;
        Ok(Self {
            shared: Shared::new(&enc, exporter, now),
            enc,
            recipient: recipient_id,
            suite,
        })
    }

    /// The session's name.
    pub fn id(&self) -> SessionId {
        self.shared.id
    }

    /// The encapsulation, to send with the first message.
    pub const fn enc(&self) -> &Bytes {
        &self.enc
    }

    /// The receiver's key it was set up for.
    pub const fn recipient(&self) -> SealKeyId {
        self.recipient
    }

    /// The suite.
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// Counts one more message, or says that the session is over: after 15 minutes or 2²⁰ messages.
    ///
    /// # Errors
    /// [`SealError::Ended`] then; set up another.
    pub fn admit(&self, now: Timestamp) -> Result<(), SealError> {
        self.shared.admit(now, Self::MAX_AGE, Self::MAX_MESSAGES)
    }

    /// Seals a request's frames, of which the first is its Open. `opening` is the statement hash of
    /// the request.
    pub fn seal_request(
        &self,
        message: &MessageId,
        random: SealRandom,
        opening: Digest,
    ) -> FrameSealer {
        FrameSealer::new(
            self.shared.key(message, Direction::Request, &random),
            random,
            opening,
        )
    }

    /// Opens a response's frames. `opening` is the statement hash of the response.
    pub fn open_response(
        &self,
        message: &MessageId,
        random: &SealRandom,
        opening: Digest,
    ) -> FrameOpener {
        FrameOpener::new(
            self.shared.key(message, Direction::Response, random),
            opening,
        )
    }
}

impl fmt::Debug for SendSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SendSession").field(&self.shared.id).finish()
    }
}

// === impl ReceiveSession ===

impl ReceiveSession {
    /// A receiver keeps a session a minute longer than a sender uses it, for what is under way.
    pub const MAX_AGE: Duration = Duration::from_secs(16 * 60);

    /// Takes part in a session another server set up, by its encapsulation. Keep it only once the
    /// Open it came with has verified and opened.
    ///
    /// # Errors
    /// When `enc` is no encapsulation of the key's suite.
    pub fn accept(
        parties: &SealParties,
        pair: &SealKeyPair,
        enc: &[u8],
        now: Timestamp,
    ) -> Result<Self, SealError> {
        let suite = pair.public().suite();
        let invalid = SealError::Key { suite };
        if enc.len() != suite.enc_len() {
            return Err(invalid);
        }
        let info = info(suite, parties, pair.public().key_id());
        let exporter = match &pair.private {
            Private::X25519(key) => receive::<X25519HkdfSha256>(key, enc, &info),
            Private::XWing(key) => receive::<XWing>(key, enc, &info),
        }
        .map_err(|_| invalid)?;
        Ok(Self {
            shared: Shared::new(enc, exporter, now),
        })
    }

    /// The session's name.
    pub fn id(&self) -> SessionId {
        self.shared.id
    }

    /// Counts one more message, or says that the session is over and unknown from now on.
    ///
    /// # Errors
    /// [`SealError::Ended`] then.
    pub fn admit(&self, now: Timestamp) -> Result<(), SealError> {
        self.shared
            .admit(now, Self::MAX_AGE, SendSession::MAX_MESSAGES)
    }

    /// Opens a request's frames. `opening` is the statement hash of the request.
    pub fn open_request(
        &self,
        message: &MessageId,
        random: &SealRandom,
        opening: Digest,
    ) -> FrameOpener {
        FrameOpener::new(
            self.shared.key(message, Direction::Request, random),
            opening,
        )
    }

    /// Seals a response's frames, of which the first is its Open. `opening` is the statement hash of
    /// the response.
    pub fn seal_response(
        &self,
        message: &MessageId,
        random: SealRandom,
        opening: Digest,
    ) -> FrameSealer {
        FrameSealer::new(
            self.shared.key(message, Direction::Response, &random),
            random,
            opening,
        )
    }
}

impl fmt::Debug for ReceiveSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReceiveSession")
            .field(&self.shared.id)
            .finish()
    }
}

// === impl SessionId ===

impl SessionId {
    /// The session whose encapsulation this is.
    pub fn of(enc: &[u8]) -> Self {
        Self(Digest::of(enc))
    }
}

// === impl Shared ===

impl Shared {
    fn new(enc: &[u8], exporter: Box<dyn Export>, since: Timestamp) -> Arc<Self> {
        Arc::new(Self {
            id: SessionId::of(enc),
            exporter,
            since,
            messages: AtomicU32::new(0),
        })
    }

    fn admit(&self, now: Timestamp, age: Duration, messages: u32) -> Result<(), SealError> {
        let count = |count: u32| (count < messages).then_some(count + 1);
        if now.since(self.since) > age {
            return Err(SealError::Ended);
        }
        self.messages
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, count)
            .map(|_| ())
            .map_err(|_| SealError::Ended)
    }

    fn key(&self, message: &MessageId, direction: Direction, random: &SealRandom) -> LessSafeKey {
        let context = [
            b"entente/seal/v1".as_slice(),
            self.id.0.as_bytes(),
            message.as_bytes(),
            &[direction as u8],
            random.as_bytes(),
        ]
        .concat();
        let mut key = Zeroizing::new([0; 32]);
        self.exporter
            .export(&context, &mut key)
            .expect("HKDF-SHA256 gives 32 bytes");
        let key = UnboundKey::new(&AES_256_GCM, key.as_slice()).expect("the key has 32 bytes");
        LessSafeKey::new(key)
    }
}

impl<K: Kem + Send + Sync> Export for AeadCtxS<ExportOnlyAead, HkdfSha256, K> {
    fn export(&self, context: &[u8], out: &mut [u8; 32]) -> Result<(), HpkeError> {
        Self::export(self, context, out)
    }
}

impl<K: Kem + Send + Sync> Export for AeadCtxR<ExportOnlyAead, HkdfSha256, K> {
    fn export(&self, context: &[u8], out: &mut [u8; 32]) -> Result<(), HpkeError> {
        Self::export(self, context, out)
    }
}

fn send<K: Kem + Send + Sync + 'static>(
    recipient: &[u8],
    info: &[u8],
) -> Result<(Bytes, Box<dyn Export>), HpkeError> {
    let key = K::PublicKey::from_bytes(recipient)?;
    let (enc, context) = setup_sender::<ExportOnlyAead, HkdfSha256, K>(&OpModeS::Base, &key, info)?;
    Ok((enc.to_bytes().to_vec().into(), Box::new(context)))
}

fn receive<K: Kem + Send + Sync + 'static>(
    key: &K::PrivateKey,
    enc: &[u8],
    info: &[u8],
) -> Result<Box<dyn Export>, HpkeError> {
    let enc = K::EncappedKey::from_bytes(enc)?;
    let context = setup_receiver::<ExportOnlyAead, HkdfSha256, K>(&OpModeR::Base, key, &enc, info)?;
    Ok(Box::new(context))
}

/// What a session is bound to, each item with its length in front.
fn info(suite: Suite, parties: &SealParties, recipient: SealKeyId) -> Vec<u8> {
    let items: [&[u8]; 5] = [
        suite.name().as_bytes(),
        parties.sender.as_str().as_bytes(),
        parties.receiver.as_str().as_bytes(),
        parties.mode.as_str().as_bytes(),
        &recipient.0,
    ];
    let mut info = Vec::with_capacity(256);
    for item in items {
        let len = u16::try_from(item.len()).expect("names are far shorter than 65,536 bytes");
        info.extend_from_slice(&len.to_be_bytes());
        info.extend_from_slice(item);
    }
    info
}
