//! Every file in `docs/samples` is what it says it is.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::run::{Ran, entente, entente_with};

#[test]
fn every_sample_of_the_guides_is_a_valid_file() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/samples");
    let mut kinds = Vec::new();
    for item in fs::read_dir(&samples).unwrap() {
        let name = item.unwrap().file_name().into_string().unwrap();
        let ran = entente(&samples, &["config", "check", &name, "-o", "json"]);
        assert_eq!(ran.code, 0, "{name}: {ran:?}");
        kinds.push(ran.json()["is"].as_str().unwrap().to_owned());
    }
    kinds.sort();
    assert_eq!(
        kinds,
        [
            "agreement",
            "member",
            "registry",
            "security-server",
            "witness"
        ]
    );
}

/// The value of a key, and where it comes from.
#[track_caller]
fn setting(ran: &Ran, key: &str) -> (Value, String, String) {
    let json = ran.json();
    let items = json["items"].as_array().unwrap();
    let item = items.iter().find(|item| item["key"] == key);
    let item = item.unwrap_or_else(|| panic!("{key}: {json:#}"));
    let text = |name: &str| item[name].as_str().unwrap().to_owned();
    (item["value"].clone(), text("origin"), text("from"))
}

#[test]
fn each_value_says_whether_flag_environment_file_or_default_gave_it() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/samples");
    let file = "security-server.yaml";
    let show = ["config", "show", file, "--origin", "-o", "json"];
    let ran = entente(&samples, &show);
    assert_eq!(ran.code, 0, "{ran:?}");
    let text = fs::read_to_string(samples.join(file)).unwrap();
    let line = |words: &str| 1 + text.lines().position(|line| line.contains(words)).unwrap();
    let written = |words: &str| format!("./{file}:{}", line(words));
    for (key, value, words) in [
        ("server", "ca-demo/pensions/@ss1", "server: "),
        ("peer.listen", "0.0.0.0:7443", "0.0.0.0:7443"),
        ("admin.listen", "127.0.0.1:7480", "127.0.0.1:7480"),
        ("timestamp.policy", "1.2.3.4.1", "policy: "),
        (
            "systems.ca-demo/pensions/register.serves.test.loopback.dial",
            "127.0.0.1:7500",
            "dial: 127.0.0.1:7500",
        ),
    ] {
        let told = (value.into(), "file".to_owned(), written(words));
        assert_eq!(setting(&ran, key), told, "{key}");
    }
    let token = "systems.ca-demo/pensions/benefits.callers[1].loopback.token.file";
    let path = setting(&ran, token).0;
    assert!(path.as_str().unwrap().ends_with("benefits.token"), "{path}");
    let absent = (Value::Null, "default".to_owned(), "default".to_owned());
    assert_eq!(setting(&ran, "server_key"), absent);
    assert_eq!(setting(&ran, "log").1, "default");

    let environment = [
        ("ENTENTE_ADMIN_LISTEN", "127.0.0.1:9"),
        ("ENTENTE_LOG", "debug"),
    ];
    let ran = entente_with(
        &samples,
        &[&show[..], &["--log", "trace"]].concat(),
        &environment,
    );
    let (value, origin, from) = setting(&ran, "admin.listen");
    assert_eq!((value, &*origin), ("127.0.0.1:9".into(), "environment"));
    assert!(from.contains("ENTENTE_ADMIN_LISTEN"), "{from}");
    let flag = ("trace".into(), "flag".to_owned(), "flag, --log".to_owned());
    assert_eq!(setting(&ran, "log"), flag);
    // The role runs with it.
    let check = [
        "serve",
        "security-server",
        "--config",
        file,
        "--check-config",
    ];
    let run = entente_with(&samples, &check, &environment);
    assert!(
        run.out.contains("127.0.0.1:9") && !run.out.contains("127.0.0.1:7480"),
        "{run:?}"
    );
    let wrong = entente_with(&samples, &show, &[("ENTENTE_ADMIN_LISTEN", "nowhere")]);
    assert!(
        wrong.code == 2 && wrong.err.contains("ENTENTE_ADMIN_LISTEN"),
        "{wrong:?}"
    );

    let french = entente(
        &samples,
        &[
            "config",
            "show",
            "registry.yaml",
            "--origin",
            "--lang",
            "fr",
        ],
    );
    assert_eq!(french.code, 0, "{french:?}");
    assert!(
        french.out.contains("par défaut") && french.out.contains("registry.yaml:"),
        "{french:?}"
    );
    let plain = entente(&samples, &["config", "show", "registry.yaml"]);
    assert!(!plain.out.contains("registry.yaml:"), "{plain:?}");
    let agreement = entente(&samples, &["config", "show", "agreement.yaml"]);
    assert!(
        agreement.code == 2 && agreement.err.contains("config check"),
        "{agreement:?}"
    );
}

#[test]
fn an_unknown_key_is_an_error_with_its_line_and_the_nearest_known_key() {
    let dir = tempfile::tempdir().unwrap();
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/samples");
    let text = fs::read_to_string(samples.join("registry.yaml")).unwrap();
    let file = dir.path().join("registry.yaml");
    fs::write(&file, text.replace("anchor:", "anchr:")).unwrap();
    let ran = entente(dir.path(), &["config", "check", "registry.yaml"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains("anchr") && ran.err.contains("anchor"),
        "{}",
        ran.err
    );
}
