//! Seal sessions between servers: set up once, used for many messages, kept only when proven.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use entente_clock::Timestamp;
use entente_directory::HpkeKey;
use entente_evidence::proof::SignedStatement;
use entente_evidence::seal::{
    ReceiveSession, SealKeyPair, SealParties, SealPublicKey, SealRandom, SendSession, SessionId,
    Suite,
};
use entente_evidence::statement::Statement;
use entente_keys::KeyStore;
use entente_proto::exchange::v1::Seal;
use entente_reason::Reason;
use entente_signing::Digest;

use crate::enrol::ServerKeys;

/// Sessions peers set up with us.
#[derive(Debug)]
pub(crate) struct SealsIn {
    /// Where other keys are, made since the start.
    folder: KeyStore,
    pairs: Mutex<Vec<Arc<SealKeyPair>>>,
    known: Mutex<Known>,
}

/// Sessions by who set them up, oldest first; bounded for each, so that nobody can make us forget
/// another's.
#[derive(Debug, Default)]
struct Known(HashMap<SealParties, Vec<ReceiveSession>>);

/// Sessions we set up with peers.
#[derive(Debug, Default)]
pub(crate) struct SealsOut {
    current: Mutex<HashMap<SealParties, Outgoing>>,
}

/// A session we send under, and whether the peer is known to have it.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    session: SendSession,
    /// The key it was set up for, as registered.
    recipient: Arc<HpkeKey>,
    acknowledged: bool,
}

/// The session a request was opened under: the only one its answer is sealed under.
#[derive(Clone, Debug)]
pub(crate) struct ReceivedUnder {
    session: ReceiveSession,
    suite: String,
    hpke_key_id: Bytes,
}

/// Servers and modes we send to; beyond that all are forgotten, and set up again.
const MOST: usize = 8_192;

/// Sessions remembered of one server in one mode; beyond that its oldest is forgotten. One is usual,
/// and a few when its first calls came at once.
const MOST_OF_ONE: usize = 16;

// === impl SealsIn ===

impl SealsIn {
    /// With this server's keys: the current one, and those still in their overlap.
    pub(crate) fn new(folder: KeyStore, pairs: Vec<Arc<SealKeyPair>>) -> Self {
        Self {
            folder,
            pairs: Mutex::new(pairs),
            known: Mutex::default(),
        }
    }

    /// Opens a request's Open frame. The session is kept once it has. Of a session not known yet it is asked
    /// whether the key that it is sealed to, by its id, is registered for us.
    pub(crate) fn open(
        &self,
        is_ours: impl FnOnce(&[u8]) -> bool,
        request: &SignedStatement,
        (seal, sealed): (&Seal, Bytes),
        now: Timestamp,
    ) -> Result<(Bytes, ReceivedUnder), Reason> {
        let statement = request.statement();
        let parties = parties(statement);
        let named = Digest::from_slice(&seal.session).map_err(|_| Reason::SealInvalid)?;
        let key = (parties, SessionId(named));
        let random = SealRandom::from_slice(&seal.r).ok_or(Reason::SealInvalid)?;
        let known = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.find(&key)
        };
        let known = known.filter(|session| session.admit(now).is_ok());
        // Repeated in the answer as they came, so they must be what they can be.
        let suite = seal.suite.parse::<Suite>();
        suite.map_err(|error| error.reason())?;
        if seal.hpke_key_id.len() != 8 {
            return Err(Reason::SealInvalid);
        }
        let is_new = known.is_none();
        let session = match known {
            Some(session) => session,
            None => self.accept(is_ours, &key, seal, now)?,
        };
        let plaintext = session
            .open_request(&statement.message_id, &random, request.hash())
            .open(sealed, true)
            .map_err(|error| error.reason())?;
        if is_new {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.keep(key.0, session.clone());
        }
        let under = ReceivedUnder {
            session,
            suite: seal.suite.clone(),
            hpke_key_id: seal.hpke_key_id.clone(),
        };
        Ok((plaintext, under))
    }

    fn accept(
        &self,
        is_ours: impl FnOnce(&[u8]) -> bool,
        (parties, id): &(SealParties, SessionId),
        seal: &Seal,
        now: Timestamp,
    ) -> Result<ReceiveSession, Reason> {
        if seal.enc.is_empty() {
            return Err(Reason::SessionUnknown);
        }
        // No hint to set a session up again: the sender did, and named it wrongly.
        if SessionId::of(&seal.enc) != *id {
            return Err(Reason::SealInvalid);
        }
        // What was taken back opens nothing more, though the key may be there still.
        if !is_ours(&seal.hpke_key_id) {
            return Err(Reason::PeerVersion);
        }
        let pair = self.pair(seal).ok_or(Reason::PeerVersion)?;
        ReceiveSession::accept(parties, &pair, &seal.enc, now).map_err(|error| error.reason())
    }

    /// The pair that is named. One that was made since the start is read from its folder once it is registered:
    /// peers seal to it from then on, and do not wait for a restart.
    fn pair(&self, seal: &Seal) -> Option<Arc<SealKeyPair>> {
        let is_named = |pair: &&Arc<SealKeyPair>| {
            let public = pair.public();
            public.key_id().0[..] == seal.hpke_key_id[..] && public.suite().name() == seal.suite
        };
        let mut pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pair) = pairs.iter().find(is_named) {
            return Some(Arc::clone(pair));
        }
        match ServerKeys::seal_keys(&self.folder) {
            Ok(found) => *pairs = found,
            Err(error) => tracing::error!(event = "keys.unread", error = %error),
        }
        pairs.iter().find(is_named).cloned()
    }
}

// === impl Known ===

impl Known {
    fn find(&self, (parties, id): &(SealParties, SessionId)) -> Option<ReceiveSession> {
        let sessions = self.0.get(parties)?;
        sessions.iter().find(|session| session.id() == *id).cloned()
    }

    fn keep(&mut self, parties: SealParties, session: ReceiveSession) {
        let sessions = self.0.entry(parties).or_default();
        sessions.retain(|known| known.id() != session.id());
        if sessions.len() >= MOST_OF_ONE {
            sessions.remove(0);
        }
        sessions.push(session);
    }
}

// === impl SealsOut ===

impl SealsOut {
    /// The session to use for a request, set up anew when there is none or it is spent.
    pub(crate) fn session(
        &self,
        statement: &Statement,
        recipient: &HpkeKey,
        now: Timestamp,
    ) -> Result<Outgoing, Reason> {
        let parties = parties(statement);
        let current = {
            let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            current.get(&parties).cloned()
        };
        if let Some(outgoing) = current
            && *outgoing.recipient == *recipient
            && outgoing.session.admit(now).is_ok()
        {
            return Ok(outgoing);
        }
        // Reading an X-Wing key costs as much as a signature: once a session, not once a call.
        let key = SealPublicKey::parse(suite(recipient), &recipient.public)
            .map_err(|_| Reason::PeerVersion)?;
        let session = SendSession::establish(&parties, &key, now)
            .and_then(|session| session.admit(now).map(|()| session))
            .map_err(|error| error.reason())?;
        let outgoing = Outgoing {
            session,
            recipient: Arc::new(recipient.clone()),
            acknowledged: false,
        };
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.len() >= MOST {
            current.clear();
        }
        current.insert(parties, outgoing.clone());
        Ok(outgoing)
    }

    /// The peer answered under this session: it need not be told the encapsulation again.
    pub(crate) fn acknowledge(&self, statement: &Statement, used: &Outgoing) {
        if used.acknowledged {
            return;
        }
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outgoing) = current.get_mut(&parties(statement))
            && outgoing.session.id() == used.session.id()
        {
            outgoing.acknowledged = true;
        }
    }
}

// === impl Outgoing ===

impl Outgoing {
    /// Seals a request's only frame.
    pub(crate) fn seal(
        &self,
        request: &SignedStatement,
        plaintext: BytesMut,
    ) -> Result<(Seal, Bytes), Reason> {
        let random = SealRandom::generate().map_err(|error| error.reason())?;
        let message = &request.statement().message_id;
        let mut sealer = self.session.seal_request(message, random, request.hash());
        let seal = Seal {
            suite: self.session.suite().name().to_owned(),
            hpke_key_id: Bytes::copy_from_slice(&self.session.recipient().0),
            session: Bytes::copy_from_slice(self.session.id().0.as_bytes()),
            enc: if self.acknowledged {
                Bytes::new()
            } else {
                self.session.enc().clone()
            },
            r: Bytes::copy_from_slice(sealer.random()),
        };
        let sealed = sealer
            .seal(plaintext, true)
            .map_err(|error| error.reason())?;
        Ok((seal, sealed))
    }

    /// The same seal, with the encapsulation in it: for a peer that says it does not know the
    /// session. The sealed bytes stay the same.
    pub(crate) fn with_encapsulation(&self, mut seal: Seal) -> Seal {
        seal.enc = self.session.enc().clone();
        seal
    }

    /// Opens a response's only frame.
    pub(crate) fn open(
        &self,
        response: &SignedStatement,
        seal: &Seal,
        sealed: Bytes,
    ) -> Result<Bytes, Reason> {
        if seal.session[..] != self.session.id().0.as_bytes()[..] {
            return Err(Reason::SealInvalid);
        }
        let random = SealRandom::from_slice(&seal.r).ok_or(Reason::SealInvalid)?;
        self.session
            .open_response(&response.statement().message_id, &random, response.hash())
            .open(sealed, true)
            .map_err(|error| error.reason())
    }
}

// === impl ReceivedUnder ===

impl ReceivedUnder {
    /// Seals a response's only frame.
    pub(crate) fn seal(
        &self,
        response: &SignedStatement,
        plaintext: BytesMut,
    ) -> Result<(Seal, Bytes), Reason> {
        let random = SealRandom::generate().map_err(|error| error.reason())?;
        let message = &response.statement().message_id;
        let mut sealer = self.session.seal_response(message, random, response.hash());
        let seal = Seal {
            suite: self.suite.clone(),
            hpke_key_id: self.hpke_key_id.clone(),
            session: Bytes::copy_from_slice(self.session.id().0.as_bytes()),
            enc: Bytes::new(),
            r: Bytes::copy_from_slice(sealer.random()),
        };
        let sealed = sealer
            .seal(plaintext, true)
            .map_err(|error| error.reason())?;
        Ok((seal, sealed))
    }
}

const fn suite(key: &HpkeKey) -> Suite {
    match key.suite {
        entente_directory::Suite::XWing => Suite::XWing,
    }
}

fn parties(request: &Statement) -> SealParties {
    SealParties {
        sender: request.sender_server.clone(),
        receiver: request.receiver_server.clone(),
        mode: request.mode,
    }
}

#[cfg(test)]
mod tests {
    use entente_evidence::statement::Mode;

    use super::*;

    #[test]
    fn a_server_with_ever_new_seal_sessions_makes_us_forget_only_its_own() {
        let now = Timestamp::from_millis(1_000_000);
        let pair = Arc::new(SealKeyPair::generate(Suite::XWing).unwrap());
        let parties = |sender: &str| SealParties {
            sender: sender.parse().unwrap(),
            receiver: "ca/p/@ss1".parse().unwrap(),
            mode: Mode::Live,
        };
        let mut known = Known::default();
        let mut set_up = |sender: &str| {
            let parties = parties(sender);
            let sent = SendSession::establish(&parties, pair.public(), now).unwrap();
            let received = ReceiveSession::accept(&parties, &pair, sent.enc(), now).unwrap();
            known.keep(parties.clone(), received);
            (parties, sent.id())
        };
        let quiet = set_up("ca/a/@ss1");
        let first = set_up("ca/b/@ss1");
        for _ in 0..MOST_OF_ONE {
            set_up("ca/b/@ss1");
        }
        assert!(known.find(&quiet).is_some());
        assert!(known.find(&first).is_none());
        assert_eq!(known.0[&first.0].len(), MOST_OF_ONE);
        // And a session is found by its own parties alone.
        assert!(known.find(&(first.0, quiet.1)).is_none());
    }
}
