//! The court path, end to end: what both ledgers hold about a session, openssl verifies alone.

use std::path::Path;
use std::process::{Command, Stdio};

use bytes::Bytes;
use entente_clock::Timestamp;
use entente_keys::pem;
use entente_ledger::entry::{Body, Session};
use entente_security_server::Deps;
use entente_security_server::enrol::ServerKeys;
use entente_signing::P256Key;
use entente_tests::town::Town;
use entente_tests::world::{Site, World};
use tempfile::TempDir;

/// One exchange.
async fn exchange(world: World, dir: TempDir) -> (World, TempDir) {
    let town = Town::of(world, dir, &Deps::real()).await.unwrap();
    town.ask().await.unwrap();
    town.stop().await
}

pub(crate) fn sessions(site: &Site) -> Vec<(Timestamp, Session)> {
    let entries = site.dated_entries().unwrap().into_iter();
    entries
        .filter_map(|entry| match entry.body {
            Body::Session(session) => Some((entry.at, session)),
            _ => None,
        })
        .collect()
}

/// `openssl verify` over a SESSION entry's chain, with the last certificate trusted.
pub(crate) fn openssl_accepts(chain: &[Bytes], at: Timestamp) -> bool {
    let folder = tempfile::tempdir().unwrap();
    for (name, der) in ["session", "server", "member"].iter().zip(chain) {
        std::fs::write(folder.path().join(name), pem::encode(pem::CERTIFICATE, der)).unwrap();
    }
    // In the first second openssl and the entry may differ by the part that a certificate leaves out.
    let seconds = (at.as_millis() / 1000).to_string();
    let words = ["verify", "-x509_strict", "-attime", &seconds];
    let output = Command::new("openssl")
        .args(words)
        .args(["-CAfile", "member", "-untrusted", "server", "session"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .expect("openssl is among what the tests need");
    output.status.success()
}

fn key_folder(site: &Site) -> std::path::PathBuf {
    site.dir.join("keys")
}

fn forget_chain(site: &Site) {
    std::fs::remove_file(key_folder(site).join("server.1.crt")).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssl_verifies_every_session_in_both_ledgers_by_the_members_certificate_alone() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::build(dir.path()).await.unwrap();
    let (world, _dir) = exchange(world, dir).await;
    for site in [&world.consumer, &world.provider] {
        let sessions = sessions(site);
        // Its own and the peer's.
        assert_eq!(sessions.len(), 2);
        for (at, session) in sessions {
            assert_eq!(session.chain.len(), 3, "{}", session.server);
            assert!(openssl_accepts(&session.chain, at));
            let day = std::time::Duration::from_secs(24 * 3600);
            assert!(!openssl_accepts(&session.chain, at.saturating_add(day)));
            assert!(!openssl_accepts(&session.chain, at.saturating_sub(day)));
            let mut altered = session.chain.clone();
            let mut leaf = altered[0].to_vec();
            leaf[100] ^= 1;
            altered[0] = leaf.into();
            assert!(!openssl_accepts(&altered, at));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchange_needs_no_certificates_above_the_session() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::build(dir.path()).await.unwrap();
    forget_chain(&world.consumer);
    let (world, _dir) = exchange(world, dir).await;
    for site in [&world.consumer, &world.provider] {
        for (_, session) in sessions(site) {
            let certified = session.server == world.provider.server;
            assert_eq!(session.chain.len(), if certified { 3 } else { 1 });
        }
    }
}

/// By a key that is not the member's in the directory: nothing false gets into a ledger for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_by_another_key_than_the_members_are_left_out_of_the_peers_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::build(dir.path()).await.unwrap();
    let site = &world.consumer;
    let store = site.key_store().unwrap();
    let keys = ServerKeys::load_or_create(&store).unwrap();
    let key = keys.server.verifying_key();
    let stranger = P256Key::generate().unwrap();
    let untrue = world.certify(site, &stranger, key).unwrap();
    ServerKeys::keep_chain(&store, key, &untrue).unwrap();
    let (world, _dir) = exchange(world, dir).await;
    let site = &world.consumer;
    let of_consumer = |(_, session): &(Timestamp, Session)| session.server == site.server;
    let at_provider = sessions(&world.provider);
    let theirs = at_provider.iter().find(|found| of_consumer(found)).unwrap();
    assert_eq!(theirs.1.chain.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_does_not_start_with_the_certificates_of_another() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::build(dir.path()).await.unwrap();
    let copy = |from: &Path, to: &Path| {
        let name = "server.1.crt";
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    };
    copy(&key_folder(&world.provider), &key_folder(&world.consumer));
    let started = world.start(&world.consumer, Deps::real()).await;
    let said = format!("{:#}", started.unwrap_err());
    assert!(said.contains("not for the server's key"), "{said}");
}
