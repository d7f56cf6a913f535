//! The machine's sockets.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;

use entente_tls::net::{Endpoint, Net, Remote, Stream, TokioNet};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::listener;

async fn echo_once(mut near: Stream, mut far: Stream) {
    near.write_all(b"question").await.unwrap();
    let mut heard = [0; 8];
    far.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"question");
}

#[tokio::test]
async fn connects_over_tcp_and_says_which_port_it_took() {
    let mut listener = listener().await;
    let at = listener.endpoint().clone();
    assert!(matches!(&at, Endpoint::Tcp { port: 1.., .. }));
    let (near, accepted) = tokio::join!(TokioNet.connect(&at), listener.accept());
    let (far, remote) = accepted.unwrap();
    assert!(matches!(remote, Remote::Tcp(from) if from.ip().is_loopback()));
    echo_once(near.unwrap(), far).await;
}

#[tokio::test]
async fn a_unix_socket_is_private_and_tells_the_callers_user() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("system.sock");
    let at = Endpoint::Unix(path.clone());
    let mut listener = TokioNet.listen(&at).await.unwrap();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Nothing else is left in the folder.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

    let (near, accepted) = tokio::join!(TokioNet.connect(&at), listener.accept());
    let (far, remote) = accepted.unwrap();
    assert!(matches!(remote, Remote::Unix { uid: Some(_) }));
    echo_once(near.unwrap(), far).await;
}

#[tokio::test]
async fn replaces_a_socket_nobody_listens_on_and_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("system.sock");
    let at = Endpoint::Unix(path.clone());

    let first = TokioNet.listen(&at).await.unwrap();
    let in_use = TokioNet.listen(&at).await.unwrap_err();
    assert_eq!(in_use.kind(), ErrorKind::AddrInUse);

    drop(first);
    assert!(path.exists());
    let second = TokioNet.listen(&at).await.unwrap();
    drop(second);

    fs::remove_file(&path).unwrap();
    fs::write(&path, b"somebody's file").unwrap();
    let a_file = TokioNet.listen(&at).await.unwrap_err();
    assert_eq!(a_file.kind(), ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&path).unwrap(), b"somebody's file");
}

#[tokio::test]
async fn says_that_nobody_listens() {
    let at = listener().await.endpoint().clone();
    let error = TokioNet.connect(&at).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}
