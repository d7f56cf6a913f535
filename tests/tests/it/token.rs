//! Keys in a PKCS#11 token: SoftHSM2, and modules that are none or hang.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use entente_clock::{Clock as _, SystemClock};
use entente_security_server::Deps;
use entente_signing::Signer as _;
use entente_tests::softhsm::{PIN, Pipe, Token, TokenKey};
use entente_tests::walk::Launch;
use entente_tests::world::{Consumer, InToken, World};

use super::court::{openssl_accepts, sessions};

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_token-key"))
}

#[test]
fn a_key_in_a_token_gives_signatures_that_every_verifier_here_accepts() {
    let dir = tempfile::tempdir().unwrap();
    let token = Token::make(dir.path(), &["server"]).unwrap();
    let mut pipe = Pipe::start(program(), &token).unwrap();
    let key = pipe.open(&token.uri("server")).unwrap();
    // The token gives a high s half of the time, and none is accepted.
    for index in 0..40_u8 {
        let signature = pipe.sign(&[index; 100]).unwrap();
        key.verify(&[index; 100], &signature).unwrap();
    }
}

#[test]
fn a_token_that_is_away_is_refused_with_a_remedy_and_found_again_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let token = Token::make(dir.path(), &["server"]).unwrap();
    let mut pipe = Pipe::start(program(), &token).unwrap();
    let key = pipe.open(&token.uri("server")).unwrap();
    for _ in 0..2 {
        token.away(true).unwrap();
        let said = format!("{:#}", pipe.sign(b"message").unwrap_err());
        assert!(
            said.contains("see whether its device is connected"),
            "{said}"
        );
        assert!(!said.contains(PIN), "{said}");
        token.away(false).unwrap();
        let signature = pipe.sign(b"message").unwrap();
        key.verify(b"message", &signature).unwrap();
    }
}

/// A token locks itself after a few. Whether one is tried again shows when it has become right.
#[test]
fn a_pin_that_was_refused_is_not_tried_again_until_its_file_says_another() {
    const WRONG: &str = "00001111";
    let dir = tempfile::tempdir().unwrap();
    let token = Token::make(dir.path(), &["server"]).unwrap();
    let mut pipe = Pipe::start(program(), &token).unwrap();
    let refused = |pipe: &mut Pipe| {
        let said = format!("{:#}", pipe.open(&token.uri("server")).unwrap_err());
        assert!(said.contains("refused the PIN"), "{said}");
        assert!(!said.contains(WRONG) && !said.contains(PIN), "{said}");
    };
    token.set_pin(WRONG).unwrap();
    refused(&mut pipe);
    token.change_pin(PIN, WRONG).unwrap();
    refused(&mut pipe);
    token.change_pin(WRONG, PIN).unwrap();
    token.set_pin(PIN).unwrap();
    pipe.open(&token.uri("server")).unwrap();
}

/// A supervisor that starts a failing server again and again must not lock its token.
#[test]
fn a_pin_that_was_refused_is_not_tried_by_the_next_process_until_its_file_changes() {
    const WRONG: &str = "00001111";
    let dir = tempfile::tempdir().unwrap();
    let token = Token::make(dir.path(), &["server"]).unwrap();
    let open = || {
        let mut pipe = Pipe::start(program(), &token).unwrap();
        pipe.open(&token.uri("server"))
            .map_err(|error| format!("{error:#}"))
    };
    token.set_pin(WRONG).unwrap();
    assert!(open().unwrap_err().contains("refused the PIN"));
    // Were it tried again, it would be right now.
    token.change_pin(PIN, WRONG).unwrap();
    assert!(open().unwrap_err().contains("refused the PIN"));
    token.set_pin(WRONG).unwrap();
    open().unwrap();
    let kept = std::fs::read_to_string(dir.path().join("pin.refused")).unwrap();
    assert!(!kept.contains(WRONG), "{kept}");
}

#[test]
fn says_what_to_do_when_module_token_key_or_pin_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let token = Token::make(dir.path(), &["server", "twice", "twice"]).unwrap();
    let mut pipe = Pipe::start(program(), &token).unwrap();
    let good = token.uri("server");
    for (uri, expected) in [
        (
            good.replace("libsofthsm2.so", "none.so"),
            "see whether it is installed",
        ),
        (
            good.replace("entente-test", "other"),
            "no token labelled other is there",
        ),
        (token.uri("other"), "no P-256 keys labelled other"),
        (
            token.uri("twice"),
            "more than one P-256 keys labelled twice",
        ),
        (good.replace("/pin", "/none"), "it must hold the PIN"),
    ] {
        let said = format!("{:#}", pipe.open(&uri).unwrap_err());
        assert!(said.contains(expected), "{expected} not in {said}");
    }
    // Read by others, it is no secret.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(token.pin_file(), open).unwrap();
    let said = format!("{:#}", pipe.open(&good).unwrap_err());
    assert!(said.contains("be private (0600)"), "{said}");
}

/// A module that never returns holds up its callers for as long as they have patience, and no longer.
#[test]
fn a_token_that_hangs_is_given_up_and_later_callers_do_not_wait_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let token = Token::make(dir.path(), &[]).unwrap();
    let (source, module) = (dir.path().join("hang.c"), dir.path().join("hang.so"));
    let text = "#include <unistd.h>\nlong C_GetFunctionList(void **list) { for (;;) pause(); }\n";
    std::fs::write(&source, text).unwrap();
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&module, &source])
        .status();
    assert!(built.unwrap().success());
    let uri = token.uri("server");
    let (before, after) = uri.split_once("module-path=").unwrap();
    let (_, rest) = after.split_once('&').unwrap();
    let uri = format!("{before}module-path={}&{rest}", module.display());
    let mut pipe = Pipe::start(program(), &token).unwrap();
    let began = SystemClock.now();
    for _ in 0..10 {
        let said = format!("{:#}", pipe.open(&uri).unwrap_err());
        assert!(said.contains("did not answer within 5 s"), "{said}");
    }
    // One waited 5 s; ten would have waited 50.
    assert!(SystemClock.now().since(began) < Duration::from_secs(25));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_key_is_in_a_token_exchanges_and_the_key_is_never_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let hsm = tempfile::tempdir().unwrap();
    let token = Token::make(hsm.path(), &["member", "server"]).unwrap();
    let open = |label| Arc::new(TokenKey::open(program(), &token, label).unwrap());
    let (member, server) = (open("member"), open("server"));
    let keys = InToken {
        server_uri: token.uri("server"),
        member: member.clone(),
        server: server.clone(),
    };
    let world = World::build_with_token(dir.path(), keys).await.unwrap();
    let site = &world.consumer;
    world.serve_source().await.unwrap();
    let provider = world.start(&world.provider, Deps::real()).await.unwrap();
    let (name, value) = token.environment();
    let mut launch = Launch::of(Path::new(env!("CARGO_BIN_EXE_walk-server")));
    launch.through = vec!["env".into(), format!("{name}={}", value.display()).into()];
    let consumer = launch.start(site).await.unwrap();
    let system = Consumer::of(site);
    system.look_up().await.unwrap();
    // The session key is in memory: the token is not needed until tomorrow.
    token.away(true).unwrap();
    system.look_up().await.unwrap();
    consumer.stop().await.unwrap();
    // Without it the server does not start, and says why.
    assert!(launch.start(site).await.is_err());
    let log = std::fs::read_to_string(site.dir.join("server.log")).unwrap();
    assert!(log.contains("see whether its device is connected"), "{log}");
    provider.shutdown().await;

    // Member and server signed in the token, and a court can tell.
    for site in [site, &world.provider] {
        for (at, session) in sessions(site) {
            assert_eq!(session.chain.len(), 3);
            assert!(openssl_accepts(&session.chain, at));
        }
    }
    let kept: Vec<String> = std::fs::read_dir(site.dir.join("keys"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    let public = ["server.1.crt".to_owned()];
    let of_server = |name: &&String| name.starts_with("server.") || name.starts_with("member.");
    assert_eq!(
        kept.iter().filter(of_server).cloned().collect::<Vec<_>>(),
        public
    );
    let log = std::fs::read_to_string(site.dir.join("server.log")).unwrap();
    assert!(!log.contains(PIN));
    assert_ne!(member.verifying_key(), server.verifying_key());
}
