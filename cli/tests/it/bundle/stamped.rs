//! An authority's time stamps: over the ledger that a bundle is made from, and over the bundle.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use entente_clock::{Clock as _, SystemClock};
use entente_keys::{KeyStore, KeyUse};
use entente_ledger::companion::NoCompanion;
use entente_ledger::disk::RealDisk;
use entente_ledger::entry::{Body, Entry, TimeStamp};
use entente_ledger::{Append, Ledger, LedgerConfig, Reader, Runner};
use entente_signing::Digest;
use entente_testkit::Authority;
use entente_testkit::authority::Keys;
use entente_timestamp::{Authorities, Query};

use super::{BUNDLE, CONFIG, SITE, demo, export, run_instructions, said, unpack, verify};
use crate::run::entente;

/// Appends a token by an authority over all the consumer's ledger holds, as its server does.
async fn stamp(dir: &Path, authority: &Authority) {
    let store = KeyStore::open(dir.join(SITE).join("keys")).unwrap();
    let shards = fs::read_dir(dir.join(SITE).join("data/ledger")).unwrap();
    let ledger = shards.map(|shard| shard.unwrap().path()).next().unwrap();
    let disk = Arc::new(RealDisk);
    let reader = Reader::open(disk.clone(), &ledger).unwrap();
    let config = LedgerConfig::new(
        ledger,
        reader.origin().unwrap(),
        store.load(KeyUse::Ledger, "1").unwrap(),
        disk,
        Box::new(NoCompanion),
        Arc::new(SystemClock),
    );
    let ledger = Ledger::open(config, Runner::Thread).await.unwrap();
    let checkpoint = ledger.publish_now().await.unwrap();
    let authorities = Authorities::parse(&authority.root()).unwrap();
    let text = checkpoint.checkpoint().to_string();
    let query = Query::new(Digest::of(text.as_bytes()), &authorities);
    let reply = authority.reply(&query.encode());
    let (token, _) = query.open(&reply, &authorities).unwrap();
    let stamp = TimeStamp {
        size: checkpoint.size(),
        root: checkpoint.root(),
        token: token.to_vec().into(),
    };
    let at = SystemClock.now();
    let body = Body::TimeStamp(stamp);
    let append = Append {
        entry: Entry { at, body }.encode().unwrap(),
        attachment: None,
    };
    ledger.append(append).await.unwrap();
    ledger.publish_now().await.unwrap();
    ledger.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_authoritys_time_stamps_are_in_it_and_openssl_accepts_them() {
    let (dir, id) = demo();
    let dir = dir.path();
    let authority = Authority::create(&dir.join("tsa"), Keys::P256);
    stamp(dir, &authority).await;
    assert_eq!(export(dir, &id, &[]).code, 0);
    let value = verify(dir, &CONFIG).lines().remove(0);
    assert_eq!(said(&value, "not_proven")["authority"], 1);
    let root = authority.root_file();
    let roots = ["--timestamp-roots", root.to_str().unwrap()];
    let verified = verify(dir, &[&CONFIG[..], &roots].concat());
    assert_eq!(verified.code, 0, "{verified:?}");
    let value = verified.lines().remove(0);
    assert_eq!(said(&value, "proven")["stamped"], 4, "{value}");
    assert!(!said(&value, "not_proven").contains_key("time"));
    let other = Authority::create(&dir.join("other"), Keys::P256);
    let foreign = other.root_file();
    let roots = ["--timestamp-roots", foreign.to_str().unwrap()];
    // An authority that does not count proves no time, and takes nothing from the rest.
    let strange = verify(dir, &[&CONFIG[..], &roots].concat());
    assert_eq!(strange.code, 0, "{strange:?}");
    let value = strange.lines().remove(0);
    assert!(said(&value, "not_proven")["stamp"] > 0, "{value}");
    assert!(!said(&value, "proven").contains_key("stamped"), "{value}");

    let folder = dir.join("unpacked");
    unpack(&dir.join(BUNDLE), &folder);
    // Judged at the time that the token states, so that it outlives its authority's certificate.
    let text = fs::read_to_string(folder.join("ev/VERIFY.txt")).unwrap();
    assert!(text.contains("openssl ts -verify -attime 1"), "{text}");
    fs::copy(authority.root_file(), folder.join("tsa-root.pem")).unwrap();
    let (failed, _) = run_instructions(&folder, usize::MAX);
    assert!(failed.is_empty(), "{failed:#?}");
    fs::copy(other.root_file(), folder.join("tsa-root.pem")).unwrap();
    let (failed, _) = run_instructions(&folder, usize::MAX);
    assert_eq!(failed.len(), 1, "{failed:#?}");
}

/// Answers questions over HTTP until the test ends; its address.
fn serve(authority: Authority) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let query = read_body(&mut stream);
            let reply = authority.reply(&query);
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                reply.len()
            );
            stream
                .write_all(&[head.as_bytes(), &reply].concat())
                .unwrap();
        }
    });
    url
}

fn read_body(stream: &mut std::net::TcpStream) -> Vec<u8> {
    use std::io::Read as _;
    let mut read = Vec::new();
    let end = loop {
        let mut more = [0; 1024];
        let len = stream.read(&mut more).unwrap();
        assert!(len > 0, "a request that is cut short");
        read.extend_from_slice(&more[..len]);
        if let Some(at) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
    let (_, length) = head.split_once("content-length: ").unwrap();
    let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
    while read.len() < end + length {
        let mut more = [0; 1024];
        let len = stream.read(&mut more).unwrap();
        read.extend_from_slice(&more[..len]);
    }
    read[end..].to_vec()
}

#[test]
fn a_whole_bundle_is_stamped_and_openssl_accepts_that() {
    let (dir, id) = demo();
    let dir = dir.path();
    let authority = Authority::create(&dir.join("tsa"), Keys::P256);
    let root = authority.root_file();
    let roots = ["--timestamp-roots", root.to_str().unwrap()];
    let url = serve(authority);
    let asked = ["--timestamp-url", url.as_str()];
    let nobody = export(dir, &id, &asked);
    assert_eq!(nobody.code, 2, "nobody says whose stamps count: {nobody:?}");
    let done = export(dir, &id, &[&asked[..], &roots].concat());
    assert_eq!(done.code, 0, "{done:?}");

    let value = verify(dir, &CONFIG).lines().remove(0);
    assert_eq!(said(&value, "not_proven")["authority"], 1);
    let verified = verify(dir, &[&CONFIG[..], &roots].concat());
    assert_eq!(verified.code, 0, "{verified:?}");
    let value = verified.lines().remove(0);
    assert_eq!(said(&value, "proven")["bundle-stamped"], 1, "{value}");
    let other = Authority::create(&dir.join("other"), Keys::P256);
    let foreign = other.root_file();
    let strange = ["--timestamp-roots", foreign.to_str().unwrap()];
    assert_eq!(verify(dir, &strange).code, 6);

    let folder = dir.join("unpacked");
    unpack(&dir.join(BUNDLE), &folder);
    let kind = fs::read_to_string(folder.join("mimetype")).unwrap();
    assert_eq!(kind, "application/vnd.etsi.asic-s+zip");
    let ts = |file: &str| {
        let token = ["-in", "META-INF/timestamp.tst", "-token_in"];
        let root = ["-CAfile", root.to_str().unwrap()];
        let verified = Command::new("openssl")
            .args(["ts", "-verify", "-data", file])
            .args(token)
            .args(root)
            .current_dir(&folder)
            .output()
            .unwrap();
        verified.status.success()
    };
    assert!(ts("evidence.asice") && !ts("mimetype"));
    // What is inside is the bundle as ever.
    let inner = folder.join("evidence.asice");
    unpack(&inner, &dir.join("inner"));
    let (failed, _) = run_instructions(&dir.join("inner"), usize::MAX);
    assert!(failed.is_empty(), "{failed:#?}");
    // A byte altered anywhere in it is found.
    let bytes = fs::read(dir.join(BUNDLE)).unwrap();
    for at in (0..bytes.len()).step_by(bytes.len() / 40) {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        fs::write(dir.join(BUNDLE), altered).unwrap();
        let found = verify(dir, &[&CONFIG[..], &roots].concat());
        assert!(found.code != 0, "byte {at}");
    }
}

#[test]
fn the_servers_own_authority_stamps_the_bundle_unless_it_is_told_not_to() {
    let (dir, id) = demo();
    let dir = dir.path();
    let authority = Authority::create(&dir.join("tsa"), Keys::P256);
    let roots = authority.root_file().canonicalize().unwrap();
    let config = dir.join(SITE).join("security-server.yaml");
    let url = serve(authority);
    let named = format!(
        "timestamp: {{url: \"{url}\", roots: \"{}\"}}\n",
        roots.display()
    );
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.clone() + &named).unwrap();
    assert_eq!(export(dir, &id, &[]).code, 0);
    let value = verify(dir, &CONFIG).lines().remove(0);
    assert_eq!(said(&value, "not_proven")["authority"], 1, "{value}");
    fs::remove_file(dir.join(BUNDLE)).unwrap();
    let plain = export(dir, &id, &["--no-timestamp"]);
    assert_eq!(plain.code, 0, "{plain:?}");
    let value = verify(dir, &CONFIG).lines().remove(0);
    assert!(
        !said(&value, "not_proven").contains_key("authority"),
        "{value}"
    );

    // Nobody answers there: it says so, and how to go on without.
    fs::remove_file(dir.join(BUNDLE)).unwrap();
    let gone = named.replace(&url, "http://127.0.0.1:9/");
    fs::write(&config, text + &gone).unwrap();
    let failed = entente(
        dir,
        &[
            "log",
            "export",
            &id,
            "--ledger",
            SITE,
            "--seal-key",
            super::KEYS,
        ],
    );
    assert!(
        failed.code != 0 && failed.err.contains("--no-timestamp"),
        "{failed:?}"
    );
}
