//! One TLS connection, made and given up: whether somebody is there, and holds the key that is expected.

use std::sync::Arc;
use std::time::Duration;

use entente_signing::{Digest, P256Key};
use entente_tls::net::{Endpoint, Net};
use entente_tls::{ClientTls, Identity, Pins, TlsError};
use tokio::time::{Instant, timeout};

use crate::exit::{Exit, Failure};

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Dialled {
    /// The key is one of those expected.
    Proven(Proven),
    /// Nobody is there.
    Unreached(String),
    /// Somebody is there who does not speak TLS as we do.
    NoTls(String),
    /// Somebody is there with another key.
    OtherKey,
}

/// A connection that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proven {
    /// The key exchange group, as in `X25519MLKEM768`.
    pub(crate) group: String,
    /// SHA-256 of the key.
    pub(crate) key: Digest,
    pub(crate) connected: Duration,
    pub(crate) shaken: Duration,
}

/// An identity that names nobody: whoever admits every key learns nothing from it.
pub(crate) fn nobody() -> Result<Identity, Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| Failure::of(Exit::Failed, error);
    let key = P256Key::generate().map_err(|error| failed(&error))?;
    Identity::self_signed(Arc::new(key), &[]).map_err(|error| failed(&error))
}

/// Connects to `to`, at most [`WITHIN`] for each of the two steps.
pub(crate) async fn dial(
    net: &dyn Net,
    to: &Endpoint,
    keys: impl IntoIterator<Item = Digest>,
    identity: &Identity,
) -> Dialled {
    let tls = match ClientTls::new(identity.clone(), Pins::new(keys)) {
        Ok(tls) => tls,
        Err(error) => return Dialled::NoTls(chain(&error)),
    };
    let began = Instant::now();
    let stream = match timeout(WITHIN, net.connect(to)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Dialled::Unreached(error.to_string()),
        Err(_) => return Dialled::Unreached(format!("{} s", WITHIN.as_secs())),
    };
    let connected = began.elapsed();
    match timeout(WITHIN, tls.connect(stream, to)).await {
        Ok(Ok(stream)) => Dialled::Proven(Proven {
            group: stream.key_exchange().unwrap_or_default(),
            key: stream.peer_spki(),
            connected,
            shaken: began.elapsed().saturating_sub(connected),
        }),
        Ok(Err(TlsError::Untrusted(_))) => Dialled::OtherKey,
        Ok(Err(error)) => Dialled::NoTls(chain(&error)),
        Err(_) => Dialled::NoTls(format!("{} s", WITHIN.as_secs())),
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let failure = Failure::of(Exit::Failed, error);
    [&[failure.what][..], &failure.because].concat().join(": ")
}

/// The longest a connection, and then a handshake, is waited for.
pub(crate) const WITHIN: Duration = Duration::from_secs(5);
