//! Ends that do not play by the rules, made with rustls directly.

use std::sync::Arc;

use entente_signing::{P256Key, SignError, Signer, VerifyingKey};
use entente_tls::net::{Endpoint, Net, TokioNet};
use entente_tls::{Identity, ServerTls, TlsError};
use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::io::AsyncReadExt;
use tokio_rustls::TlsConnector;

use crate::{client_of, listener, p256, p256_key};

/// Somebody who has a certificate and says its key is his.
#[derive(Debug)]
struct Impostor {
    claimed: VerifyingKey,
    own: P256Key,
}

/// Accepts any server.
#[derive(Debug)]
struct Careless;

/// Shows whatever bytes it was given as its certificate.
#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl Signer for Impostor {
    fn verifying_key(&self) -> &VerifyingKey {
        &self.claimed
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        self.own.sign(message)
    }
}

impl ServerCertVerifier for Careless {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

impl ResolvesClientCert for Shows {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn careless() -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Careless))
}

/// What the server makes of a client with this configuration.
async fn admitted(config: ClientConfig) -> Result<(), TlsError> {
    let server = ServerTls::any_key(p256()).unwrap();
    let mut listener = listener().await;
    let at = listener.endpoint().clone();
    let accepting = async {
        let (stream, _) = listener.accept().await.unwrap();
        server.accept(stream).await.map(|_| ())
    };
    let connecting = async {
        let stream = TokioNet.connect(&at).await.unwrap();
        let name = ServerName::try_from("anything").unwrap();
        if let Ok(mut stream) = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
        {
            // Until the server closes, or has decided to stay.
            let _ = stream.read(&mut [0; 1]).await;
        }
    };
    tokio::join!(accepting, connecting).0
}

fn shows(certificate: Vec<u8>, key: &P256Key) -> Arc<Shows> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let pkcs8 = key.to_pkcs8_der().unwrap().to_vec();
    let key = provider
        .key_provider
        .load_private_key(rustls::pki_types::PrivatePkcs8KeyDer::from(pkcs8).into())
        .unwrap();
    Arc::new(Shows(Arc::new(CertifiedKey::new(
        vec![certificate.into()],
        key,
    ))))
}

#[tokio::test]
async fn refuses_a_client_without_a_certificate() {
    let mut config = careless().with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    assert!(matches!(
        admitted(config).await,
        Err(TlsError::Handshake(_))
    ));
}

#[tokio::test]
async fn refuses_a_client_that_does_not_speak_http_2() {
    let key = P256Key::generate().unwrap();
    let pkcs8 = key.to_pkcs8_der().unwrap();
    let key = P256Key::from_pkcs8_der(&pkcs8).unwrap();
    let identity =
        Identity::self_signed(Arc::new(P256Key::from_pkcs8_der(&pkcs8).unwrap()), &[]).unwrap();
    for (alpn, fails) in [
        (vec![], true),
        (vec![b"http/1.1".to_vec()], true),
        (vec![b"h2".to_vec()], false),
    ] {
        let mut config =
            careless().with_client_cert_resolver(shows(identity.certificate().to_vec(), &key));
        config.alpn_protocols = alpn;
        assert_eq!(admitted(config).await.is_err(), fails);
    }
}

#[tokio::test]
async fn refuses_bytes_that_are_no_certificate() {
    let key = P256Key::generate().unwrap();
    let good = p256();
    for bytes in [
        vec![],
        vec![0x30],
        vec![0; 100],
        good.certificate()[..good.certificate().len() - 1].to_vec(),
        // Another party's certificate, with a signature by this key.
        good.certificate().to_vec(),
        vec![0x30; 20_000],
    ] {
        let mut config = careless().with_client_cert_resolver(shows(bytes, &key));
        config.alpn_protocols = vec![b"h2".to_vec()];
        assert!(admitted(config).await.is_err());
    }
}

#[tokio::test]
async fn refuses_a_server_that_has_the_pinned_certificate_and_not_its_key() {
    let victim_key = p256_key();
    let victim = Identity::self_signed(victim_key.clone(), &[]).unwrap();
    let impostor = Impostor {
        claimed: victim_key.verifying_key().clone(),
        own: P256Key::generate().unwrap(),
    };
    let impostor = Identity::from_der(victim.certificate(), Arc::new(impostor)).unwrap();
    let server = ServerTls::any_key(impostor).unwrap();
    let client = client_of(&victim, &p256());
    let (near, far) = tokio::io::duplex(64 * 1024);
    let to = Endpoint::loopback();
    let (_, connected) = tokio::join!(
        server.accept(Box::new(near)),
        client.connect(Box::new(far), &to)
    );
    assert!(matches!(connected, Err(TlsError::Untrusted(_))));
}

#[tokio::test]
async fn refuses_a_client_that_has_a_pinned_certificate_and_not_its_key() {
    let victim_key = p256_key();
    let victim = Identity::self_signed(victim_key.clone(), &[]).unwrap();
    let impostor = Impostor {
        claimed: victim_key.verifying_key().clone(),
        own: P256Key::generate().unwrap(),
    };
    let impostor = Identity::from_der(victim.certificate(), Arc::new(impostor)).unwrap();
    let server_identity = p256();
    let server = ServerTls::any_key(server_identity.clone()).unwrap();
    let client = client_of(&server_identity, &impostor);
    let (near, far) = tokio::io::duplex(64 * 1024);
    let to = Endpoint::loopback();
    let (accepted, _) = tokio::join!(
        server.accept(Box::new(near)),
        client.connect(Box::new(far), &to)
    );
    assert!(matches!(accepted, Err(TlsError::Untrusted(_))));
}
