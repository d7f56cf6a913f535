//! A simulated network: TCP by turmoil, which owns time, order, delay, partition and loss; Unix
//! sockets in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use entente_tls::net::{Accept, Endpoint, Listener, Net, NetFuture, Remote, Stream};
use tokio::sync::mpsc;
use turmoil::net::{TcpListener, TcpStream};

/// The network of one simulated machine. Make one per turmoil host: its Unix sockets are that
/// machine's alone, and clones share them. TCP endpoints name hosts as turmoil knows them; listen
/// on `0.0.0.0` or loopback. Use it only within a turmoil simulation.
#[derive(Clone, Default)]
pub struct SimNet {
    sockets: Arc<Mutex<Sockets>>,
}

type Sockets = BTreeMap<PathBuf, mpsc::Sender<Stream>>;

struct SimTcp(TcpListener);

struct SimUnix(mpsc::Receiver<Stream>);

// === impl SimNet ===

impl SimNet {
    fn sockets(&self) -> MutexGuard<'_, Sockets> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Net for SimNet {
    fn connect<'a>(&'a self, to: &'a Endpoint) -> NetFuture<'a, Stream> {
        Box::pin(async move {
            match to {
                Endpoint::Tcp { host, port } => {
                    let stream = TcpStream::connect((host.as_str(), *port)).await?;
                    Ok(Box::new(stream) as Stream)
                }
                Endpoint::Unix(path) => {
                    let listener = self.sockets().get(path).cloned();
                    let listener = listener.ok_or(ErrorKind::NotFound)?;
                    let (near, far) = tokio::io::duplex(SOCKET_BUFFER);
                    listener
                        .send(Box::new(far))
                        .await
                        .map_err(|_| io::Error::from(ErrorKind::ConnectionRefused))?;
                    Ok(Box::new(near) as Stream)
                }
            }
        })
    }

    fn listen<'a>(&'a self, at: &'a Endpoint) -> NetFuture<'a, Listener> {
        Box::pin(async move {
            match at {
                Endpoint::Tcp { host, port } => {
                    let listener = TcpListener::bind((host.as_str(), *port)).await?;
                    let endpoint = listener.local_addr()?.into();
                    Ok(Listener::new(SimTcp(listener), endpoint))
                }
                Endpoint::Unix(path) => {
                    let mut sockets = self.sockets();
                    // As with a real socket file, one that nobody listens on is replaced.
                    if sockets.get(path).is_some_and(|socket| !socket.is_closed()) {
                        return Err(ErrorKind::AddrInUse.into());
                    }
                    let (sender, receiver) = mpsc::channel(BACKLOG);
                    sockets.insert(path.clone(), sender);
                    Ok(Listener::new(SimUnix(receiver), at.clone()))
                }
            }
        })
    }
}

impl fmt::Debug for SimNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimNet")
    }
}

// === impl SimTcp ===

impl Accept for SimTcp {
    fn accept(&mut self) -> NetFuture<'_, (Stream, Remote)> {
        Box::pin(async move {
            let (stream, from) = self.0.accept().await?;
            Ok((Box::new(stream) as Stream, Remote::Tcp(from)))
        })
    }
}

// === impl SimUnix ===

impl Accept for SimUnix {
    fn accept(&mut self) -> NetFuture<'_, (Stream, Remote)> {
        Box::pin(async move {
            match self.0.recv().await {
                Some(stream) => Ok((stream, Remote::Unix { uid: None })),
                // The machine itself is gone.
                None => Err(ErrorKind::ConnectionAborted.into()),
            }
        })
    }
}

/// Bytes a simulated Unix socket holds in each direction.
const SOCKET_BUFFER: usize = 64 * 1024;
/// Connections waiting to be accepted on a simulated Unix socket.
const BACKLOG: usize = 128;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use entente_signing::P256Key;
    use entente_tls::{ClientTls, Identity, Pins, ServerTls};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn identity() -> Identity {
        Identity::self_signed(Arc::new(P256Key::generate().unwrap()), &[]).unwrap()
    }

    #[test]
    fn two_machines_speak_tls_until_they_are_parted() {
        let (server, client) = (identity(), identity());
        let mut sim = turmoil::Builder::new()
            .simulation_duration(Duration::from_secs(60))
            .build();
        {
            let server = server.clone();
            sim.host("server", move || {
                let tls = ServerTls::any_key(server.clone()).unwrap();
                async move {
                    let at = "0.0.0.0:7443".parse().unwrap();
                    let mut listener = SimNet::default().listen(&at).await?;
                    loop {
                        let (stream, _) = listener.accept().await?;
                        let mut stream = tls.accept(stream).await?;
                        stream.write_all(b"hello").await?;
                        stream.shutdown().await?;
                    }
                }
            });
        }
        sim.client("client", async move {
            let tls = ClientTls::new(client, Pins::new([server.spki()]))?;
            let net = SimNet::default();
            let at: Endpoint = "server:7443".parse()?;
            let stream = net.connect(&at).await?;
            let mut stream = tls.connect(stream, &at).await?;
            let mut heard = String::new();
            stream.read_to_string(&mut heard).await?;
            assert_eq!(heard, "hello");

            turmoil::partition("client", "server");
            let parted = tokio::time::timeout(Duration::from_secs(5), net.connect(&at)).await;
            assert!(!matches!(parted, Ok(Ok(_))));
            Ok(())
        });
        sim.run().unwrap();
    }

    #[tokio::test]
    async fn unix_sockets_belong_to_one_machine() {
        let (here, elsewhere) = (SimNet::default(), SimNet::default());
        let at: Endpoint = "unix:/run/system.sock".parse().unwrap();
        let mut listener = here.listen(&at).await.unwrap();
        assert!(here.listen(&at).await.is_err());
        assert!(elsewhere.connect(&at).await.is_err());
        let mut near = here.connect(&at).await.unwrap();
        let (mut far, _) = listener.accept().await.unwrap();
        near.write_all(b"x").await.unwrap();
        assert_eq!(far.read_u8().await.unwrap(), b'x');
        drop(listener);
        assert!(here.connect(&at).await.is_err());
        here.listen(&at).await.unwrap();
    }
}
