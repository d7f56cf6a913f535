//! A registry that is off, and its ledger on a web server: followed from there, and believed no more than
//! is signed.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use entente_directory::{Author, Change, MemberAct};
use entente_follow::author::Pen;
use entente_follow::{AlarmKind, Directory, Follower, View};
use entente_tls::http::HttpUrl;

use crate::fake::Fake;
use crate::faults::alarm;
use crate::nginx::{Answered, Nginx};
use crate::town::{Member, Town, caught_up};
use crate::witness::Onlooker;
use crate::witnessed::{copy_folder, suspend, until};

const HOUR: Duration = Duration::from_secs(3600);
const BUNDLE: u64 = 256;

/// A follower of a registry that nobody runs, and of these mirrors.
async fn follow(town: &Town, name: &str, mirrors: &[&HttpUrl]) -> Follower {
    let mut config = town.follower_config(name);
    config.anchor.mirrors = mirrors.iter().map(|at| (*at).clone()).collect();
    Follower::open(config).await.unwrap()
}

/// Has the registrar suspend and resume a member until the ledger has so many changes.
async fn grow(town: &Town, directory: &Directory, member: &Member, size: u64) {
    let view = caught_up(directory, town.running().size()).await;
    let client = town.client();
    let mut pen = Pen::new(&view.state, Author::Registrar, &*town.registrar, town.now()).unwrap();
    for at in view.size..size {
        let act = MemberAct {
            member: member.id.clone(),
            reason: None,
        };
        let change = match (at - view.size) % 2 {
            0 => Change::MemberSuspend(act),
            _ => Change::MemberResume(act),
        };
        pen.submit(&change, Vec::new(), &client).await.unwrap();
    }
    caught_up(directory, size).await;
}

fn paths(answered: &[Answered]) -> BTreeSet<&str> {
    answered.iter().map(|answer| &*answer.path).collect()
}

fn same(one: &View, other: &View) {
    assert_eq!((one.size, one.root), (other.size, other.root));
    assert_eq!(one.state.state_hash(), other.state.state_hash());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_follows_a_mirror_alone_and_later_fetches_only_what_is_new() {
    let mut town = Town::found().await;
    let witness = Onlooker::of(&town, "witness").await;
    let online = town.follow("online").await;
    let directory = online.directory();
    let (vital, pensions) = (Member::vital(), Member::pensions());
    caught_up(&directory, 1).await;
    town.trust(&directory, witness.policy()).await;
    town.admit(&directory, &vital).await;
    town.admit(&directory, &pensions).await;
    town.agree(&directory, &vital, &pensions).await;
    let size = BUNDLE + 10;
    grow(&town, &directory, &pensions, size).await;
    let held = directory.view();
    town.stop().await;
    let nginx = Nginx::over(town.config.data.as_path()).await;

    let cold = follow(&town, "cold", &[&nginx.at]).await;
    let view = caught_up(&cold.directory(), size).await;
    same(&view, &held);
    assert!(!cold.directory().is_connected());
    assert!(!cold.directory().is_stale(), "by its cosignatures");
    cold.shutdown().await;
    let blobs = std::fs::read_dir(town.config.data.as_path().join("blob"));
    let blobs: Vec<_> = blobs
        .unwrap()
        .map(|item| format!("/blob/{}", item.unwrap().file_name().display()))
        .collect();
    assert_eq!(blobs.len(), 2, "a contract and an agreement");
    // Each once, and nothing else.
    let answered = nginx.answered(3 + blobs.len()).await;
    let wanted = ["/checkpoint", "/tile/entries/000", "/tile/entries/001.p/10"];
    let wanted: BTreeSet<_> = wanted
        .into_iter()
        .chain(blobs.iter().map(|path| &**path))
        .collect();
    assert_eq!(paths(&answered), wanted);
    assert_eq!(answered.len(), wanted.len(), "{answered:?}");
    assert!(answered.iter().all(|answer| answer.status == 200));
    let in_all: u64 = answered.iter().map(|answer| answer.bytes).sum();

    // The registry comes, three changes are made, and it goes.
    town.start().await;
    let again = town.follow("again").await;
    let grown = size + 3;
    grow(&town, &again.directory(), &pensions, grown).await;
    let held = again.directory().view();
    town.stop().await;
    let warm = follow(&town, "cold", &[&nginx.at]).await;
    same(&*caught_up(&warm.directory(), grown).await, &held);
    warm.shutdown().await;
    let answered = nginx.answered(2).await;
    let wanted = ["/checkpoint", "/tile/entries/001.p/13"];
    assert_eq!(paths(&answered), wanted.into(), "{answered:?}");
    let bytes: u64 = answered.iter().map(|answer| answer.bytes).sum();
    assert!(bytes * 10 < in_all, "{bytes} of {in_all}");

    // Nothing new: one small file.
    let warm = follow(&town, "cold", &[&nginx.at]).await;
    assert_eq!(paths(&nginx.answered(1).await), ["/checkpoint"].into());
    same(&warm.directory().view(), &held);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_without_cosignatures_makes_no_view_fresher_than_its_newest_entry() {
    let mut town = Town::found().await;
    let online = town.follow("online").await;
    town.admit(&online.directory(), &Member::vital()).await;
    online.shutdown().await;
    town.stop().await;
    town.clock.advance(20 * HOUR);
    // By an anchor that names no address at all.
    town.anchor.addresses = Vec::new();
    let nginx = Nginx::over(town.config.data.as_path()).await;
    let follower = follow(&town, "follower", &[&nginx.at]).await;
    let directory = follower.directory();
    caught_up(&directory, 2).await;
    until("it to be looked at", || directory.age() < Duration::MAX).await;
    assert!(directory.age() >= 20 * HOUR && !directory.is_stale());
    // However often it answers.
    town.clock.advance(5 * HOUR);
    follower.shutdown().await;
    let follower = follow(&town, "follower", &[&nginx.at]).await;
    let directory = follower.directory();
    until("it to be looked at", || directory.age() < Duration::MAX).await;
    assert!(directory.age() >= 25 * HOUR && directory.is_stale());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_lags_or_alters_is_not_believed_and_the_registry_not_blamed() {
    let mut town = Town::found().await;
    let online = town.follow("online").await;
    let directory = online.directory();
    let (vital, pensions) = (Member::vital(), Member::pensions());
    town.admit(&directory, &vital).await;
    let folder = |town: &Town, name: &str| {
        let copy = town.folder(name);
        copy_folder(town.config.data.as_path(), &copy);
        copy
    };
    let old = folder(&town, "old");
    town.admit(&directory, &pensions).await;
    town.agree(&directory, &vital, &pensions).await;
    suspend(&town, &directory, &vital).await.unwrap();
    let size = town.running().size();
    let held = caught_up(&directory, size).await;
    town.stop().await;

    // One byte of an entry; one byte of a blob; the beginning only.
    let (entry, blob) = (folder(&town, "entry"), folder(&town, "blob"));
    let bundle = format!("ledger/log/tile/entries/000.p/{size}");
    alter(&entry.join(&bundle));
    for item in std::fs::read_dir(blob.join("blob")).unwrap() {
        alter(&item.unwrap().path());
    }
    let mut mirrors = Vec::new();
    for data in [&old, &entry, &blob] {
        mirrors.push(Nginx::over(data).await);
    }
    let honest = Nginx::over(town.config.data.as_path()).await;
    let at: Vec<_> = mirrors.iter().map(|nginx| &nginx.at).collect();
    for bad in &at[1..] {
        let name = format!("of-{}", bad.to_string().replace([':', '/'], "-"));
        let follower = follow(&town, &name, &[bad, &honest.at]).await;
        same(&*caught_up(&follower.directory(), size).await, &held);
        assert!(follower.directory().alarms().borrow().is_none());
        follower.shutdown().await;
    }
    // One that holds more than an old mirror is shown nothing by it, and says nothing of it.
    let follower = follow(&town, "online-too", &[&honest.at]).await;
    caught_up(&follower.directory(), size).await;
    follower.shutdown().await;
    let follower = follow(&town, "online-too", &[at[0]]).await;
    mirrors[0].answered(1).await;
    same(&follower.directory().view(), &held);
    follower.shutdown().await;

    // What the registry signed itself is its own fault, wherever it lies.
    let fake = Fake::of(&town).await;
    let forked = folder(&town, "forked");
    let other = fake.sign(size, entente_signing::Digest::of(b"another tree"));
    std::fs::write(forked.join("ledger/log/checkpoint"), other).unwrap();
    let forked = Nginx::over(&forked).await;
    let follower = follow(&town, "online-too", &[&forked.at]).await;
    assert_eq!(alarm(&follower.directory()).await.kind, AlarmKind::Fork);
    same(&follower.directory().view(), &held);
}

fn alter(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).unwrap();
}
