//! `entente log verify` and the time stamps in a ledger.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use entente_clock::{Clock as _, ManualClock, SystemClock, Timestamp};
use entente_ledger::companion::NoCompanion;
use entente_ledger::disk::RealDisk;
use entente_ledger::entry::{Body, Boot, Entry, TimeStamp};
use entente_ledger::note::NoteKey;
use entente_ledger::{Append, Ledger, LedgerConfig, Runner};
use entente_signing::{Digest, Ed25519Key, Signer as _};
use entente_testkit::Authority;
use entente_testkit::authority::Keys;
use entente_timestamp::{Authorities, Query};
use tempfile::TempDir;

use crate::run::{Ran, entente};

const ORIGIN: &str = "ss1.pensions.ca-demo/access/2026h2.1";
const DAY: Duration = Duration::from_secs(24 * 3_600);
const HOUR: Duration = Duration::from_secs(3_600);

/// A ledger that is being written, and an authority.
struct Book {
    ledger: Ledger,
    key: String,
    authority: Authority,
    now: Timestamp,
    dir: TempDir,
}

impl Book {
    async fn begin() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemClock.now();
        let key = Arc::new(Ed25519Key::generate().unwrap());
        let vkey = NoteKey::new(ORIGIN, key.verifying_key().clone()).unwrap();
        let config = LedgerConfig::new(
            dir.path().join("ledger"),
            ORIGIN,
            key,
            Arc::new(RealDisk),
            Box::new(NoCompanion),
            // Late enough for entries of any date.
            Arc::new(ManualClock::at(now.saturating_add(DAY * 10))),
        );
        let book = Self {
            ledger: Ledger::open(config, Runner::Thread).await.unwrap(),
            key: vkey.to_string(),
            authority: Authority::create(&dir.path().join("tsa"), Keys::P256),
            now,
            dir,
        };
        book.boot(now).await;
        book
    }

    async fn append(&self, at: Timestamp, body: Body) {
        let entry = Entry { at, body }.encode().unwrap();
        let append = Append {
            entry,
            attachment: None,
        };
        self.ledger.append(append).await.unwrap();
    }

    async fn boot(&self, at: Timestamp) {
        let boot = Boot {
            version: "0.1.0".to_owned(),
            last_size: 0,
            note: None,
        };
        self.append(at, Body::Boot(boot)).await;
    }

    /// A token over everything so far, that states a time so much from now.
    async fn token(&self, later: Duration) -> TimeStamp {
        let checkpoint = self.ledger.publish_now().await.unwrap();
        let authorities = Authorities::parse(&self.authority.root()).unwrap();
        let text = checkpoint.checkpoint().to_string();
        let query = Query::new(Digest::of(text.as_bytes()), &authorities);
        let reply = self.authority.reply(&query.encode());
        let (token, _) = query.open(&reply, &authorities).unwrap();
        let token = match later.is_zero() {
            true => token.to_vec(),
            false => self.authority.later(token, later),
        };
        TimeStamp {
            size: checkpoint.size(),
            root: checkpoint.root(),
            token: token.into(),
        }
    }

    async fn log(&self, at: Timestamp, stamp: &TimeStamp) {
        self.append(at, Body::TimeStamp(stamp.clone())).await;
    }

    /// A token over everything so far, as `alter` leaves it.
    async fn stamp(&self, alter: impl FnOnce(&mut TimeStamp)) {
        let mut stamp = self.token(Duration::ZERO).await;
        alter(&mut stamp);
        self.log(SystemClock.now(), &stamp).await;
    }

    async fn close(self) -> Closed {
        self.ledger.shutdown().await.unwrap();
        Closed {
            key: self.key,
            authority: self.authority,
            dir: self.dir,
        }
    }
}

/// The ledger on disk.
struct Closed {
    key: String,
    authority: Authority,
    dir: TempDir,
}

impl Closed {
    fn verify(&self, roots: Option<&Path>, more: &[&str]) -> Ran {
        let mut args = vec!["log", "verify", "ledger", "--key", self.key.as_str()];
        let roots = roots.map(|roots| roots.display().to_string());
        if let Some(roots) = &roots {
            args.extend(["--timestamp-roots", roots.as_str()]);
        }
        args.extend(more);
        entente(self.dir.path(), &args)
    }

    /// What is found first when the right authority counts.
    fn found(&self) -> (i32, String) {
        let (code, found) = self.all_found();
        (code, found.first().cloned().unwrap_or_default())
    }

    /// What is found, in the order of checking.
    fn all_found(&self) -> (i32, Vec<String>) {
        let root = self.authority.root_file();
        let ran = self.verify(Some(&root), &["-o", "json"]);
        let value = &ran.lines()[0]["timestamps"]["findings"];
        let faults = value.as_array().unwrap().iter();
        let faults = faults.map(|found| found["fault"].as_str().unwrap().to_owned());
        (ran.code, faults.collect())
    }
}

#[tokio::test]
async fn checks_tokens_and_says_how_far_they_reach() {
    let book = Book::begin().await;
    book.stamp(|_| {}).await;
    book.boot(SystemClock.now()).await;
    let closed = book.close().await;
    let root = closed.authority.root_file();
    let ran = closed.verify(Some(&root), &["--times"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let said = "time stamps: 1; the first 1 entries were there by ";
    assert!(ran.out.contains(said), "{ran:?}");
    let json = closed
        .verify(Some(&root), &["--times", "-o", "json"])
        .json();
    let times = json["timestamps"]["times"].as_array().unwrap().clone();
    assert_eq!(times.len(), 3);
    assert!(times[0]["after"].is_null() && times[0]["before"].is_string());
    assert!(times[1]["after"].is_null() && times[1]["before"].is_null());
    assert!(times[2]["after"].is_string() && times[2]["before"].is_null());
}

#[tokio::test]
async fn says_when_it_is_not_known_whose_tokens_count() {
    let book = Book::begin().await;
    book.stamp(|_| {}).await;
    let closed = book.close().await;
    let ran = closed.verify(None, &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("authority was not checked"), "{ran:?}");
}

#[tokio::test]
async fn refuses_tokens_of_another_authority_and_over_something_else() {
    let book = Book::begin().await;
    book.stamp(|_| {}).await;
    let closed = book.close().await;
    let other = Authority::create(&closed.dir.path().join("other"), Keys::P256);
    let ran = closed.verify(Some(&other.root_file()), &[]);
    assert_eq!(ran.code, 6, "{ran:?}");
    assert!(ran.out.contains("does not hold"), "{ran:?}");

    let book = Book::begin().await;
    book.stamp(|stamp| stamp.root = Digest::of(b"another"))
        .await;
    assert_eq!(book.close().await.found(), (6, "root".to_owned()));

    // The very root, of a size that this entry is not after.
    let book = Book::begin().await;
    book.stamp(|stamp| stamp.size = 7).await;
    assert_eq!(book.close().await.found(), (6, "root".to_owned()));

    let book = Book::begin().await;
    book.stamp(|stamp| {
        let mut token = stamp.token.to_vec();
        *token.last_mut().unwrap() ^= 1;
        stamp.token = token.into();
    })
    .await;
    assert_eq!(book.close().await.found(), (6, "token".to_owned()));
}

/// Whoever names the roots names no policy: that of the configuration still holds.
#[tokio::test]
async fn refuses_tokens_of_another_policy_also_under_roots_that_are_given() {
    let book = Book::begin().await;
    book.stamp(|_| {}).await;
    let closed = book.close().await;
    let root = closed.authority.root_file();
    for (policy, code) in [(Authority::POLICY, 0), (Authority::OTHER_POLICY, 6)] {
        let config = format!(
            "server: ca-demo/pensions/@ss1\ndata: ./data\nkeys: ./keys\nanchor: ./anchor.yaml\n\
             peer: {{listen: \"127.0.0.1:0\"}}\nadmin: {{listen: \"127.0.0.1:0\"}}\nsystems: {{}}\n\
             timestamp: {{url: \"http://tsa.example/\", roots: ./none.pem, policy: {policy}}}\n"
        );
        let file = closed.dir.path().join("security-server.yaml");
        std::fs::write(&file, config).unwrap();
        // Named, and found above the ledger.
        for more in [&["--config", "security-server.yaml"][..], &[]] {
            let ran = closed.verify(Some(&root), more);
            assert_eq!(ran.code, code, "{policy}: {ran:?}");
        }
    }
}

#[tokio::test]
async fn finds_entries_whose_time_no_clock_can_have_shown() {
    let book = Book::begin().await;
    book.stamp(|_| {}).await;
    book.boot(book.now.saturating_sub(DAY)).await;
    assert_eq!(book.close().await.found(), (6, "backdated".to_owned()));

    let book = Book::begin().await;
    book.boot(book.now.saturating_add(DAY)).await;
    book.stamp(|_| {}).await;
    assert_eq!(book.close().await.found(), (6, "postdated".to_owned()));
}

/// A server that logs an old token again would have everything after it stand after that one alone.
#[tokio::test]
async fn an_old_token_logged_again_takes_nothing_back() {
    let book = Book::begin().await;
    let old = book.token(Duration::ZERO).await;
    book.log(book.now, &old).await;
    let later = book.now.saturating_add(HOUR);
    let new = book.token(HOUR).await;
    book.log(later, &new).await;
    book.log(later, &old).await;
    book.boot(book.now).await;
    let (code, found) = book.close().await.all_found();
    assert_eq!(code, 6);
    assert_eq!(found, ["repeated", "backdated"]);
}

/// Sizes and times of tokens need not grow together: each entry stands before all tokens over it.
#[tokio::test]
async fn an_entry_stands_before_the_earliest_token_over_it() {
    let book = Book::begin().await;
    let half = HOUR / 2;
    book.boot(book.now.saturating_add(half)).await;
    let late = book.token(HOUR).await;
    book.log(book.now.saturating_add(half), &late).await;
    let early = book.token(Duration::ZERO).await;
    book.log(book.now.saturating_add(HOUR), &early).await;
    let (code, found) = book.close().await.all_found();
    assert_eq!(code, 6);
    assert_eq!(found, ["postdated", "postdated"]);
}
