//! A server's data, backed up while it runs, lost, and put back: exchanges go on in a new shard that says what
//! happened, what was proven before still is, and no ledger is ever written to twice.

mod town;

use std::fs;
use std::path::{Path, PathBuf};

use crate::doctor::site::{flip, look};
use town::Town;

const SERVER: &str = "sandbox/vital-events/security-server.yaml";
const SITE: &str = "sandbox/vital-events";
const MEMBER: &str = "sandbox/vital-events/member.yaml";

#[test]
fn a_server_put_back_goes_on_in_a_new_shard_and_what_was_proven_before_still_is() {
    let dir = tempfile::tempdir().unwrap();
    let mut town = Town::start(dir.path());
    let before = town.exchange();
    town.exchange();
    while_it_runs_a_whole_copy_is_made(&town);
    let mark = town.mark();
    let after = town.exchange();
    town.signs_more_than(&mark);

    // The data is lost, and the keys are not.
    town.die();
    fs::remove_dir_all(town.path(SITE).join("data")).unwrap();
    let restored = town.restore("first", &[]);
    assert_eq!(restored.code, 0, "{restored:?}");
    assert!(restored.out.contains("new shard"), "{restored:?}");
    town.up();
    let next = town.exchange();
    assert_eq!(town.shards(), ["2026h2.1", "2026h2.2"].map(half_year));
    let opening = town.opening(&half_year("2026h2.2"));
    assert!(
        opening.contains("incident: follows ss1.vital-events"),
        "{opening}"
    );
    town.is_sound();
    let logged = town.logged();
    assert!(
        logged.contains(&before) && logged.contains(&next),
        "{logged:?}"
    );
    assert!(!logged.contains(&after), "{logged:?}");
    let incident = town.incident();
    assert_eq!(incident["verdict"], "warn");
    assert!(
        incident["do"].as_str().unwrap().contains("entries"),
        "{incident}"
    );
    // A bundle about what was before convinces whoever reads it.
    let key = "sandbox/vital-events/member-keys";
    let export = [
        "log",
        "export",
        &before,
        "--ledger",
        SITE,
        "--seal-key",
        key,
    ];
    let exported = town.run(&[&export[..], &["--out", "before.asice"]].concat());
    assert_eq!(exported.code, 0, "{exported:?}");
    let verified = town.run(&["log", "verify", "before.asice", "--config", MEMBER]);
    assert_eq!(verified.code, 0, "{verified:?}");

    everything_is_lost(&mut town);
    what_was_promised_and_never_signed_is_missed_too(&mut town);
    a_shard_that_the_backup_does_not_know_is_not_begun_again(&mut town);
    nothing_is_lost_when_nothing_was_written_since(&mut town);
    what_is_no_backup_or_has_no_room_is_refused(&town);
}

fn while_it_runs_a_whole_copy_is_made(town: &Town) {
    let made = town.backup("first", &[]);
    assert_eq!(made.code, 0, "{made:?}");
    let json = made.json();
    assert_eq!(
        (&json["was_down"], &json["with_keys"]),
        (&false.into(), &false.into())
    );
    // What is not signed proves nothing once the shard is closed.
    let shard = &json["shards"][0];
    assert!(shard["signed"].as_u64() > Some(5), "{json}");
    let left_out = json["left_out"].to_string();
    for name in [
        "keys/kek",
        "keys/newest-checkpoint",
        "data/store",
        "data/directory",
        "\"keys\"",
    ] {
        assert!(left_out.contains(name), "{left_out}");
    }
    assert!(!town.path("first/keys").exists() && !town.path("first/data/store").exists());
    let verified = town.run(&["log", "verify", "first", "--config", MEMBER]);
    assert_eq!(verified.code, 0, "{verified:?}");
    // As what the provider's system answers goes on.
    let again = town.backup("first", &[]);
    assert_eq!(again.code, 3, "never over anything: {again:?}");
}

/// With the keys, and so with the mark beside them: nothing here knows how far the ledger was.
fn everything_is_lost(town: &mut Town) {
    let french = [
        "server",
        "backup",
        "-c",
        SERVER,
        "--to",
        "second",
        "--with-keys",
        "--lang",
        "fr",
    ];
    let made = town.run(&french);
    assert_eq!(made.code, 0, "{made:?}");
    assert!(made.out.contains("keys/kek"), "{made:?}");
    assert!(town.path("second/keys/server.1.pem").exists());
    assert!(!town.path("second/keys/kek").exists());
    assert!(!town.path("second/keys/newest-checkpoint").exists());
    let lost = town.exchange();
    town.die();
    for gone in ["data", "keys"] {
        fs::remove_dir_all(town.path(SITE).join(gone)).unwrap();
    }
    fs::remove_file(town.path(SERVER)).unwrap();
    let restored = town.restore("second", &["--with-keys", "-o", "json"]);
    assert_eq!(restored.code, 0, "{restored:?}");
    let json = restored.json();
    assert!(
        json["with_config"] == true && json["keys"].as_u64() > Some(4),
        "{json}"
    );
    town.up();
    town.exchange();
    let shards = ["2026h2.1", "2026h2.2", "2026h2.3"].map(half_year);
    assert_eq!(town.shards(), shards);
    let opening = town.opening(&half_year("2026h2.3"));
    assert!(
        opening.contains("incident: ") && opening.contains("put back"),
        "{opening}"
    );
    assert!(!town.logged().contains(&lost));
    let incident = town.incident();
    assert!(
        incident["do"]
            .as_str()
            .unwrap()
            .contains("entente log compare"),
        "{incident}"
    );
    // It goes on in that shard from now on.
    town.down();
    town.up();
    town.exchange();
    assert_eq!(town.shards(), shards);
}

/// An answer promises its entry before a checkpoint signs it, so the mark alone would not tell.
fn what_was_promised_and_never_signed_is_missed_too(town: &mut Town) {
    let mark = town.mark();
    town.exchange();
    town.signs_more_than(&mark);
    assert_eq!(town.backup("fourth", &[]).code, 0);
    let promised = town.exchange();
    town.die();
    fs::remove_dir_all(town.path(SITE).join("data")).unwrap();
    assert_eq!(town.restore("fourth", &[]).code, 0);
    town.up();
    town.exchange();
    let shards = ["2026h2.1", "2026h2.2", "2026h2.3", "2026h2.4"].map(half_year);
    assert_eq!(town.shards(), shards);
    assert!(town.opening(&shards[3]).contains("incident: "));
    assert!(!town.logged().contains(&promised));
}

/// The registry knows a shard that was opened after the backup; it is lost whole, with the mark.
fn a_shard_that_the_backup_does_not_know_is_not_begun_again(town: &mut Town) {
    town.die();
    fs::remove_dir_all(town.path(SITE).join("data")).unwrap();
    fs::remove_file(town.path(SITE).join("keys/newest-checkpoint")).unwrap();
    assert_eq!(town.restore("first", &[]).code, 0);
    town.up();
    town.exchange();
    assert_eq!(town.shards(), ["2026h2.1", "2026h2.5"].map(half_year));
    let opening = town.opening(&half_year("2026h2.5"));
    let lost = half_year("2026h2.4");
    let lost = format!("incident: follows ss1.vital-events.ca-demo/access/{lost}");
    assert!(opening.contains(&lost), "{opening}");
}

/// A server that was down while it was copied, and whose mark says that it signed nothing since.
fn nothing_is_lost_when_nothing_was_written_since(town: &mut Town) {
    town.down();
    let made = town.backup("third", &[]);
    assert_eq!(made.json()["was_down"], true, "{made:?}");
    let data = town.path(SITE).join("data");
    fs::remove_dir_all(&data).unwrap();
    assert_eq!(town.restore("third", &[]).code, 0);
    let shards = town.shards();
    town.up();
    town.exchange();
    assert_eq!(town.shards(), shards);
    assert!(!data.join("restored").exists());
    // The same copy again, now that something was written: not in that shard.
    town.down();
    fs::remove_dir_all(&data).unwrap();
    assert_eq!(town.restore("third", &[]).code, 0);
    town.up();
    town.exchange();
    assert_eq!(town.shards().len(), shards.len() + 1);
    town.is_sound();
}

fn what_is_no_backup_or_has_no_room_is_refused(town: &Town) {
    let running = town.restore("first", &[]);
    assert!(
        running.code == 3 && running.err.contains("systemctl stop"),
        "{running:?}"
    );
    let into = |from: &str, more: &[&str]| {
        let yaml = fs::read_to_string(town.path(SERVER)).unwrap();
        let yaml = yaml.replace("data: ./data", "data: ./again");
        let admin = yaml
            .rsplit_once("listen: ")
            .unwrap()
            .1
            .lines()
            .next()
            .unwrap();
        let yaml = yaml.replace(&format!("listen: {admin}"), "listen: 127.0.0.2:1");
        fs::write(town.path(SITE).join("again.yaml"), yaml).unwrap();
        let file = format!("{SITE}/again.yaml");
        let restore = ["server", "restore", "-c", &file, "--from", from];
        town.run(&[&restore[..], more].concat())
    };
    let no_keys = into("first", &["--with-keys"]);
    assert!(
        no_keys.code == 4 && no_keys.err.contains("--with-keys"),
        "{no_keys:?}"
    );
    let before = look(&town.path(SITE).join("keys"));
    assert_eq!(into("sandbox", &[]).code, 4, "no backup");
    let entry = first_file(&town.path("third/data/ledger"));
    flip(&entry, 0);
    let altered = into("third", &[]);
    assert!(
        altered.code == 6 && altered.err.contains("data/ledger"),
        "{altered:?}"
    );
    let other = [
        "server",
        "restore",
        "-c",
        "sandbox/transport/x.yaml",
        "--from",
        "first",
    ];
    let yaml = fs::read_to_string(town.path("sandbox/transport/security-server.yaml")).unwrap();
    let yaml = yaml.replace("data: ./data", "data: ./again");
    fs::write(town.path("sandbox/transport/x.yaml"), yaml).unwrap();
    let other = town.run(&other);
    assert!(
        other.code == 2 && other.err.contains("ca-demo/vital-events"),
        "{other:?}"
    );
    assert!(!town.path("sandbox/transport/again").exists());
    fs::create_dir(town.path(SITE).join("again")).unwrap();
    fs::write(town.path(SITE).join("again/thesis.txt"), "mine").unwrap();
    let occupied = into("first", &[]);
    assert!(
        occupied.code == 3 && occupied.err.contains("mv "),
        "{occupied:?}"
    );
    assert_eq!(look(&town.path(SITE).join("keys")), before);
}

fn first_file(dir: &Path) -> PathBuf {
    let mut items: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap()
        .flatten()
        .map(|item| item.path())
        .collect();
    items.sort();
    let first = items.into_iter().next().unwrap();
    match first.is_dir() {
        true => first_file(&first),
        false => first,
    }
}

/// The shard's name in the half-year of the test.
fn half_year(shard: &str) -> String {
    use entente_clock::{Clock as _, SystemClock};
    let (_, n) = shard.split_once('.').unwrap();
    format!("{}.{n}", SystemClock.now().half_year())
}
