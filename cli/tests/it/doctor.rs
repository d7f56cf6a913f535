//! `entente doctor`: nothing to find in a sandbox, and each fault of a copy of one with its remedy.

pub(crate) mod site;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use entente_keys::{KeyStore, KeyUse, LocalToken};
use entente_testkit::Authority;
use entente_testkit::authority::Keys;

use crate::run::{Ran, entente};
use site::{Serving, Site, Up, flip, look};

fn doctor(dir: &Path, file: &str, args: &[&str]) -> Ran {
    entente(dir, &[&["doctor", "-c", file][..], args].concat())
}

/// The verdict of the first check of this name that is not OK, and its remedy.
#[track_caller]
fn fault(ran: &Ran, check: &str) -> (String, String) {
    let json = ran.json();
    let checks = json["checks"].as_array().unwrap();
    let mut of_it = checks.iter().filter(|found| found["check"] == check);
    let found = of_it.find(|found| found["verdict"] != "ok");
    let found = found.unwrap_or_else(|| panic!("{check} is well: {json:#}"));
    let text = |key: &str| found[key].as_str().unwrap().to_owned();
    (text("verdict"), text("do"))
}

/// Looks at a broken site: this check does not hold, and its remedy says this; exit code `code`.
#[track_caller]
fn finds(site: &Site, check: &str, verdict: &str, words: &str, code: i32) {
    let ran = doctor(site.dir(), site.file(), &["-o", "json"]);
    let (found, remedy) = fault(&ran, check);
    assert_eq!(found, verdict, "{ran:?}");
    assert!(remedy.contains(words), "{remedy}");
    assert_eq!(ran.code, code, "{ran:?}");
}

#[test]
fn every_check_of_a_sandbox_is_well_and_each_fault_is_found_with_its_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let up = entente(dir, &["sandbox", "up"]);
    let _up = Up(dir.to_owned());
    assert_eq!(up.code, 0, "{up:?}");
    everything_is_well(dir);
    the_file_and_its_paths(dir);
    keys(dir);
    the_registry(dir);
    the_ledger(dir);
    time_stamps(dir);
    systems(dir);
    // These change the registry, and stop it.
    peers(dir);
    a_revoked_session(dir);
    assert_eq!(entente(dir, &["sandbox", "down"]).code, 0);
    roles_that_are_down(dir);
}

fn everything_is_well(dir: &Path) {
    for (file, groups) in [
        ("sandbox/pensions/security-server.yaml", 7),
        ("sandbox/vital-events/security-server.yaml", 7),
        ("sandbox/registry/registry.yaml", 5),
        ("sandbox/vital-events/adapter/vital-events.adapter.yaml", 2),
    ] {
        let ran = doctor(dir, file, &[]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(
            ran.out.contains("failures: 0. Nothing was changed"),
            "{ran:?}"
        );
        let json = doctor(dir, file, &["-o", "json"]).json();
        let checks = json["checks"].as_array().unwrap();
        // How full the disk of the test's machine is, is not the sandbox's fault.
        let mut others = checks
            .iter()
            .filter(|check| check["check"] != "ledger.space");
        assert!(others.all(|check| check["verdict"] == "ok"), "{json:#}");
        let mut seen: Vec<_> = checks.iter().map(|check| &check["group"]).collect();
        seen.dedup();
        assert_eq!(seen.len(), groups, "{seen:?}");
    }
    let some = ["keys", "clock", "-o", "json"];
    let json = doctor(dir, "sandbox/pensions/security-server.yaml", &some).json();
    let checks = json["checks"].as_array().unwrap();
    assert!(
        checks.len() > 5
            && checks
                .iter()
                .all(|c| c["group"] == "keys" || c["group"] == "clock")
    );
    let nobody = entente(dir, &["doctor"]);
    assert!(
        nobody.code == 2 && nobody.err.contains("--config"),
        "{nobody:?}"
    );
    let no_role = doctor(dir, "sandbox/pensions/member.yaml", &[]);
    assert_eq!(no_role.code, 2, "{no_role:?}");
}

fn the_file_and_its_paths(dir: &Path) {
    let site = Site::of(dir, "pensions", "config");
    // Whoever looks leaves no trace.
    let before = look(&site.path());
    let sound = doctor(site.dir(), site.file(), &[]);
    assert_eq!(sound.code, 0, "{sound:?}");
    assert_eq!(look(&site.path()), before);

    let yaml = site.yaml();
    site.write(&yaml.replace("peer:", "pear:"));
    finds(&site, "config.file", "fail", "entente config check", 2);
    let french = doctor(site.dir(), site.file(), &["--lang", "fr"]);
    assert!(
        french.out.contains("ÉCHEC") && french.out.contains("à faire"),
        "{french:?}"
    );
    site.write(&yaml.replace("unix: ./benefits.sock", "unix: ./away/benefits.sock"));
    finds(
        &site,
        "config.paths",
        "fail",
        "put bad/config/away in its place",
        2,
    );
    site.write(&yaml);
    let keys = site.path().join("keys");
    fs::set_permissions(&keys, Permissions::from_mode(0o755)).unwrap();
    finds(
        &site,
        "config.paths",
        "fail",
        "chmod 0700 bad/config/keys",
        1,
    );
    finds(
        &site,
        "keys.folder",
        "fail",
        "chmod 0700 bad/config/keys",
        1,
    );
    fs::set_permissions(&keys, Permissions::from_mode(0o700)).unwrap();
    let secret = keys.join("tls.1.pem");
    fs::set_permissions(&secret, Permissions::from_mode(0o644)).unwrap();
    finds(
        &site,
        "config.paths",
        "fail",
        "chmod 0600 bad/config/keys/tls.1.pem",
        1,
    );
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    site.anchor(|_| "anchor: 2\n".to_owned());
    finds(&site, "config.anchor", "fail", "by a way you trust", 2);
}

fn keys(dir: &Path) {
    let site = Site::of(dir, "pensions", "keys");
    let keys = site.path().join("keys");
    let other = KeyStore::open(dir.join("other-keys")).unwrap();
    other.generate(KeyUse::Tls, "1").unwrap();
    other.generate(KeyUse::Server, "1").unwrap();
    other.generate(KeyUse::Ledger, "1").unwrap();
    other.generate_secret(KeyUse::Hpke, "1").unwrap();
    for (check, file) in [
        ("keys.tls", "tls.1.pem"),
        ("keys.server", "server.1.pem"),
        ("keys.ledger", "ledger.1.pem"),
        ("keys.hpke", "hpke.1.secret"),
    ] {
        let register = "entente server register";
        let path = keys.join(file);
        let key = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        finds(&site, check, "fail", register, 1);
        fs::copy(other.folder().join(file), &path).unwrap();
        // With the server's key its certificates are another's too.
        finds(&site, check, "fail", register, 3);
        fs::write(&path, "no key").unwrap();
        finds(&site, check, "fail", register, 1);
        fs::write(&path, key).unwrap();
    }
    let chain = keys.join("server.1.crt");
    fs::copy(dir.join("sandbox/transport/keys/server.1.crt"), &chain).unwrap();
    finds(
        &site,
        "keys.chain",
        "fail",
        "entente member certificate --server ca-demo/pensions/@ss1",
        1,
    );
    site.write(&site.yaml().replace("pensions/@ss1", "pensions/@ss9"));
    finds(
        &site,
        "keys.server",
        "fail",
        "entente server register --server-config",
        3,
    );
}

fn the_registry(dir: &Path) {
    let site = Site::of(dir, "pensions", "registry");
    let anchor = site.anchor(str::to_owned);
    site.anchor(|anchor| anchor.replace("127.0.0.1:", "127.0.0.2:"));
    finds(&site, "registry.reachable", "fail", "127.0.0.2:", 5);
    finds(&site, "clock.registry", "warn", "registry.reachable", 5);
    // The same, after a day and a little more.
    let heard = site.path().join("data/directory/heard");
    let at: u64 = fs::read_to_string(&heard).unwrap().trim().parse().unwrap();
    fs::write(&heard, format!("{}\n", at - 25 * 3_600_000)).unwrap();
    finds(&site, "registry.fresh", "fail", "REGISTRY_STALE", 5);
    let tls_key = entente_signing::Digest::of(b"another").to_string();
    let pinned = anchor
        .lines()
        .find(|line| line.starts_with("  - \"") && line.len() > 60);
    let pinned = pinned
        .unwrap()
        .trim_start_matches("  - ")
        .trim_matches('"')
        .to_owned();
    site.anchor(|_| anchor.replace(&pinned, &tls_key));
    finds(
        &site,
        "registry.reachable",
        "fail",
        "compare its fingerprint",
        6,
    );
    site.anchor(|_| anchor.clone());
    let directory = site.path().join("data/directory");
    flip(&directory.join("entries"), 100);
    finds(
        &site,
        "registry.copy",
        "fail",
        "mv bad/registry/data/directory",
        6,
    );
    // What else is known of the registry was asked for anew.
    let ran = doctor(site.dir(), site.file(), &["keys", "-o", "json"]);
    assert_eq!(ran.json()["failures"], 0, "{ran:?}");
    fs::remove_dir_all(&directory).unwrap();
    finds(&site, "registry.copy", "warn", "start the role", 0);
    // Without either, a key is only there, and a ledger only lies there.
    site.anchor(|anchor| anchor.replace("127.0.0.1:", "127.0.0.2:"));
    finds(&site, "keys.tls", "warn", "registry.reachable", 5);
    finds(&site, "ledger.sound", "warn", "registry.reachable", 5);
}

fn the_ledger(dir: &Path) {
    let site = Site::of(dir, "pensions", "ledger");
    let shard = fs::read_dir(site.path().join("data/ledger")).unwrap();
    let shard = shard.flatten().next().unwrap().path();
    let partial = fs::read_dir(shard.join("log/tile/entries/000.p")).unwrap();
    let bundle = partial.flatten().next().unwrap().path();
    let sound = fs::read(&bundle).unwrap();
    flip(&bundle, 20);
    finds(&site, "ledger.sound", "fail", "for evidence", 6);
    fs::write(&bundle, sound).unwrap();
    let incidents = site.path().join("data/incidents");
    fs::write(incidents.join("omission.ca-demo!x!@ss1.00"), "{}").unwrap();
    finds(
        &site,
        "ledger.incidents",
        "warn",
        "prove-omission --check",
        0,
    );
    fs::write(incidents.join("fork.ca-demo!x!@ss1.00"), "").unwrap();
    finds(&site, "ledger.incidents", "fail", "move the file away", 7);
    fs::remove_dir_all(&incidents).unwrap();
    fs::remove_file(shard.join("log/checkpoint")).unwrap();
    finds(&site, "ledger.checkpoint", "warn", "start the role", 0);
    fs::remove_dir_all(&shard).unwrap();
    finds(&site, "ledger.sound", "fail", "entente server restore", 6);
}

fn time_stamps(dir: &Path) {
    let site = Site::of(dir, "pensions", "stamps");
    let authority = Authority::create(&dir.join("tsa"), Keys::P256);
    let roots = authority.root_file();
    let yaml = site.yaml();
    let with = |roots: &Path, more: &str| {
        let url = "url: \"http://127.0.0.2:1/\"";
        site.write(&format!(
            "{yaml}\ntimestamp:\n  {url}\n  roots: {}\n{more}",
            roots.display()
        ));
    };
    with(&roots, "");
    finds(&site, "clock.timestamp", "warn", "timestamp.url", 0);
    with(&roots, "  required_within: 4h\n");
    finds(&site, "clock.timestamp", "fail", "timestamp.url", 5);
    with(&site.path().join("anchor.yaml"), "");
    finds(&site, "clock.timestamp", "fail", "timestamp.roots", 2);
}

fn systems(dir: &Path) {
    let site = Site::of(dir, "vital-events", "systems");
    let yaml = site.yaml();
    fs::create_dir_all(site.path().join("adapter")).unwrap();
    finds(&site, "adapters.answer", "fail", "entente serve adapter", 5);
    let token = site.path().join("adapter.token");
    LocalToken::create(&token).unwrap();
    let adapter = "sandbox/vital-events/adapter/vital-events.adapter.yaml";
    let serving = Serving::start(
        dir,
        &[
            "adapter",
            "--config",
            adapter,
            "--listen",
            "127.0.0.1:0",
            "--token",
            token.to_str().unwrap(),
        ],
    );
    let address = serving.heard("adapter.listening", "address");
    let live =
        format!("live: {{loopback: {{dial: \"{address}\", token: {{file: ./adapter.token}}}}}}");
    let unix = "live: { unix: ./adapter/adapter.sock }";
    assert!(yaml.contains(unix));
    site.write(&yaml.replace(unix, &live));
    let ran = doctor(site.dir(), site.file(), &["adapters"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    fs::remove_file(&token).unwrap();
    finds(&site, "adapters.answer", "fail", "--token FILE", 1);
    LocalToken::create(&token).unwrap();
    finds(&site, "adapters.answer", "fail", "--token FILE", 1);
    // An adapter whose database is away says so itself.
    let copy = dir.join("bad/adapter");
    site::copy(&dir.join("sandbox/vital-events/adapter"), &copy);
    let file = "bad/adapter/vital-events.adapter.yaml";
    let down = doctor(dir, file, &["-o", "json"]);
    assert_eq!(fault(&down, "adapters.answer").0, "warn");
    let text = fs::read_to_string(dir.join(file)).unwrap();
    fs::write(dir.join(file), text.replace("p.ALIAS_TXT", "p.ALIAS")).unwrap();
    let unknown = doctor(dir, file, &["-o", "json"]);
    assert!(
        fault(&unknown, "config.adapter")
            .1
            .contains("entente config check")
    );
    assert_eq!(unknown.code, 2);
    fs::write(
        dir.join(file),
        text.replace("adapter:", "adapter:\n  nonsense: 1\n"),
    )
    .unwrap();
    let broken = doctor(dir, file, &["-o", "json"]);
    assert!(
        fault(&broken, "config.file")
            .1
            .contains("entente config check")
    );
    assert_eq!(broken.code, 2);
}

fn a_revoked_session(dir: &Path) {
    let site = Site::of(dir, "pensions", "session");
    let member = ["--config", "sandbox/pensions/member.yaml"];
    let revoke = ["server", "sessions-revoke", "ca-demo/pensions/@ss1"];
    let done = entente(dir, &[&revoke[..], &member].concat());
    assert_eq!(done.code, 0, "{done:?}");
    finds(&site, "keys.session", "fail", "start the server anew", 3);
}

fn peers(dir: &Path) {
    let site = Site::of(dir, "pensions", "peers");
    let member = ["--config", "sandbox/vital-events/member.yaml"];
    let update = |address: &str| {
        let update = [
            "server",
            "update",
            "ca-demo/vital-events/@ss1",
            "--address",
            address,
        ];
        let done = entente(dir, &[&update[..], &member].concat());
        assert_eq!(done.code, 0, "{done:?}");
    };
    update("127.0.0.2:1");
    finds(
        &site,
        "peers.reached",
        "fail",
        "ask ca-demo/vital-events whether",
        5,
    );
    // Somebody else answers there: the registry.
    let anchor = site.anchor(str::to_owned);
    let registry = anchor
        .lines()
        .find(|line| line.contains("127.0.0.1:"))
        .unwrap();
    update(registry.trim_start_matches("  - ").trim_matches('"'));
    finds(
        &site,
        "peers.reached",
        "fail",
        "somebody stands in between",
        3,
    );
    // Their only system that answers is moved away from the server.
    let update = ["server", "update", "ca-demo/vital-events/@ss1"];
    let system = ["--system", "ca-demo/vital-events/archive"];
    let done = entente(dir, &[&update[..], &system, &member].concat());
    assert_eq!(done.code, 0, "{done:?}");
    finds(&site, "peers.reached", "fail", "entente server update", 3);
}

fn roles_that_are_down(dir: &Path) {
    let registry = doctor(dir, "sandbox/registry/registry.yaml", &["-o", "json"]);
    let (verdict, remedy) = fault(&registry, "registry.reachable");
    assert_eq!((&*verdict, registry.code), ("fail", 5), "{registry:?}");
    assert!(remedy.contains("entente serve registry"), "{remedy}");
    // What needs nobody is checked all the same.
    let ran = doctor(
        dir,
        "sandbox/vital-events/security-server.yaml",
        &["-o", "json"],
    );
    let json = ran.json();
    let checks = json["checks"].as_array().unwrap();
    let well = |check: &str| {
        checks
            .iter()
            .any(|c| c["check"] == check && c["verdict"] == "ok")
    };
    assert!(
        well("keys.tls") && well("ledger.sound") && well("registry.copy"),
        "{json:#}"
    );
    assert_eq!(ran.code, 5, "{json:#}");
}
