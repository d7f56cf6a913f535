//! Who gets through a handshake, and who does not.

use entente_reason::Reason;
use entente_tls::net::{Endpoint, Net, TokioNet};
use entente_tls::{ClientTls, IdentitySlot, Pins, ServerTls, TlsError, TlsStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{client_of, ed25519, listener, p256};

/// One handshake; each end's outcome. A client learns of its refusal only when it reads.
async fn shake(
    server: &ServerTls,
    client: &ClientTls,
) -> (Result<TlsStream, TlsError>, Result<TlsStream, TlsError>) {
    let mut listener = listener().await;
    let at = listener.endpoint().clone();
    let accepting = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = server.accept(stream).await?;
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        stream.write_all(&byte).await.unwrap();
        stream.flush().await.unwrap();
        Ok(stream)
    };
    let connecting = async {
        let stream = TokioNet.connect(&at).await.unwrap();
        let mut stream = client.connect(stream, &at).await?;
        let echoed = async {
            stream.write_all(&[7]).await?;
            stream.flush().await?;
            let mut byte = [0];
            stream.read_exact(&mut byte).await
        };
        echoed.await.map_err(TlsError::Handshake)?;
        Ok(stream)
    };
    tokio::join!(accepting, connecting)
}

#[tokio::test]
async fn both_ends_learn_the_key_the_other_proved() {
    for (server, client) in [
        (p256(), p256()),
        (p256(), ed25519()),
        (ed25519(), p256()),
        (ed25519(), ed25519()),
    ] {
        let tls = ServerTls::any_key(server.clone()).unwrap();
        let (accepted, connected) = shake(&tls, &client_of(&server, &client)).await;
        assert_eq!(accepted.unwrap().peer_spki(), client.spki());
        assert_eq!(connected.unwrap().peer_spki(), server.spki());
    }
}

#[tokio::test]
async fn negotiates_the_hybrid_post_quantum_group() {
    let (server, client) = (p256(), p256());
    let tls = ServerTls::any_key(server.clone()).unwrap();
    let (accepted, connected) = shake(&tls, &client_of(&server, &client)).await;
    for end in [accepted, connected] {
        assert_eq!(
            end.unwrap().key_exchange().as_deref(),
            Some("X25519MLKEM768")
        );
    }
}

#[tokio::test]
async fn refuses_a_server_whose_key_is_not_pinned() {
    let (server, other, client) = (p256(), p256(), p256());
    let tls = ServerTls::any_key(server).unwrap();
    let (accepted, connected) = shake(&tls, &client_of(&other, &client)).await;
    assert!(accepted.is_err());
    let error = connected.unwrap_err();
    assert!(matches!(error, TlsError::Untrusted(_)), "{error:?}");
    assert_eq!(error.reason(), Reason::PeerUntrusted);
}

#[tokio::test]
async fn refuses_a_client_whose_key_is_not_pinned() {
    let (server, known, unknown) = (p256(), p256(), p256());
    let pins = Pins::new([known.spki()]);
    let tls = ServerTls::pinned(server.clone(), pins.clone()).unwrap();

    let (accepted, _) = shake(&tls, &client_of(&server, &known)).await;
    assert!(accepted.is_ok());

    let (accepted, connected) = shake(&tls, &client_of(&server, &unknown)).await;
    assert!(matches!(accepted.unwrap_err(), TlsError::Untrusted(_)));
    assert!(connected.is_err());

    // A pin taken back counts for the very next connection: nothing is resumed.
    pins.replace([unknown.spki()]);
    let (accepted, _) = shake(&tls, &client_of(&server, &known)).await;
    assert!(accepted.is_err());
}

#[tokio::test]
async fn an_identity_replaced_in_its_slot_is_shown_from_then_on() {
    let (old, new, client) = (p256(), p256(), p256());
    let slot = IdentitySlot::new(old.clone());
    let tls = ServerTls::any_key(slot.clone()).unwrap();
    let pins = Pins::new([old.spki(), new.spki()]);
    let client = ClientTls::new(client, pins).unwrap();

    let (_, connected) = shake(&tls, &client).await;
    assert_eq!(connected.unwrap().peer_spki(), old.spki());
    slot.replace(new.clone());
    let (_, connected) = shake(&tls, &client).await;
    assert_eq!(connected.unwrap().peer_spki(), new.spki());
}

#[tokio::test]
async fn noise_in_place_of_a_handshake_is_an_error_at_either_end() {
    let identity = p256();
    let tls = ServerTls::any_key(identity.clone()).unwrap();
    let client = client_of(&identity, &identity);
    for noise in [
        &b""[..],
        b"GET / HTTP/1.1\r\n\r\n",
        &[0x16, 0x03, 0x01, 0xff, 0xff],
        &[0; 4096],
        &[0xff; 70_000],
    ] {
        let (mut near, far) = tokio::io::duplex(128 * 1024);
        near.write_all(noise).await.unwrap();
        near.shutdown().await.unwrap();
        assert!(tls.accept(Box::new(far)).await.is_err());

        let (mut near, far) = tokio::io::duplex(128 * 1024);
        near.write_all(noise).await.unwrap();
        near.shutdown().await.unwrap();
        let to = Endpoint::loopback();
        assert!(client.connect(Box::new(far), &to).await.is_err());
    }
}
