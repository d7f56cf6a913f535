use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;
use crate::{ByteSize, DurationText, ListenAddr, Override, Rate, SecretFile, load_with, set};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Server {
    listen: ListenAddr,
    #[serde(default)]
    limits: Limits,
    password: Option<SecretFile>,
    #[serde(default)]
    labels: BTreeMap<String, Located<String>>,
    #[serde(default)]
    drain: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    bytes: Option<ByteSize>,
    deadline: Option<DurationText>,
    rate: Option<Rate>,
}

fn refused(text: &str) -> String {
    parse::<Server>(text, "server.yaml")
        .unwrap_err()
        .to_string()
}

#[test]
fn reads_a_typed_file_and_keeps_texts_as_texts() {
    let server: Server = parse(
        "listen: localhost:0\n\
         limits: {bytes: 16MiB, deadline: 3s, rate: 50/s}\n\
         labels: {NO: Y, code: 0123, version: 1.50}\n",
        "server.yaml",
    )
    .unwrap();
    assert!(server.listen.is_local());
    assert_eq!(server.limits.bytes.unwrap().as_bytes(), 16 << 20);
    assert_eq!(server.limits.deadline.unwrap().to_string(), "3s");
    assert_eq!(server.limits.rate.unwrap().to_string(), "50/s");
    assert!(!server.drain);
    let labels: Vec<_> = server
        .labels
        .iter()
        .map(|(key, label)| (key.as_str(), label.value.as_str(), label.line))
        .collect();
    assert_eq!(
        labels,
        [("NO", "Y", 3), ("code", "0123", 3), ("version", "1.50", 3)]
    );
}

#[test]
fn shows_the_line_the_column_and_what_to_do() {
    insta::assert_snapshot!(refused("listen: localhost:0\nlimist: {bytes: 1MiB}\n"), @r"
    unknown key `limist`
      --> server.yaml:2:1
       |
     2 | limist: {bytes: 1MiB}
       | ^
      help: did you mean `limits`?
    ");
    insta::assert_snapshot!(
        refused("listen: localhost:0\nlimits:\n  bytes: 1MiB\n  bytes: 2MiB\n"), @r"
    key `bytes` stands twice
      --> server.yaml:4:3
       |
     4 |   bytes: 2MiB
       |   ^
      help: keep one of them
    "
    );
    insta::assert_snapshot!(refused("listen: localhost:0\nlimits: {deadline: 3 seconds}\n"), @r"
    expected a duration such as 250ms, 3s, 10m or 24h
      --> server.yaml:2:20
       |
     2 | limits: {deadline: 3 seconds}
       |                    ^
    ");
    insta::assert_snapshot!(refused("limits: {}\n"), @r"
    missing key `listen`
      --> server.yaml:1:1
       |
     1 | limits: {}
       | ^
      help: add `listen:`
    ");
    insta::assert_snapshot!(refused("listen: localhost:0\ndrain: yes\n"), @r"
    expected true or false
      --> server.yaml:2:8
       |
     2 | drain: yes
       |        ^
      help: yes, no, on and off are texts in YAML 1.2
    ");
}

#[test]
fn never_repeats_a_secret_written_where_a_file_was_due() {
    let shown = refused("listen: localhost:0\npassword: hunter2\n");
    assert!(shown.contains("password: …"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
    let shown = refused("listen: localhost:0\npassword: {env: hunter2}\n");
    assert!(shown.contains("unknown key `env`"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn refuses_what_other_parsers_let_pass() {
    for text in [
        "listen: localhost:0\n---\nlisten: localhost:1\n",
        "base: &b {bytes: 1MiB}\nlisten: localhost:0\n",
        "listen: localhost:0\nlimits: {<<: {bytes: 1MiB}}\n",
        "listen: !custom localhost:0\n",
        "listen: localhost:0\nlimits: {bytes: 1MiB",
        "listen: *nowhere\n",
        "listen: localhost:0\n\tlimits: {}\n",
        "- listen\n",
        "",
    ] {
        assert!(parse::<Server>(text, "x").is_err(), "{text:?}");
    }
}

#[test]
fn stops_alias_bombs_deep_nesting_and_endless_files() {
    let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (name, before) in ["b", "c", "d", "e", "f", "g", "h", "i"]
        .iter()
        .zip(["a", "b", "c", "d", "e", "f", "g", "h"])
    {
        let nine = vec![format!("*{before}"); 9].join(",");
        bomb += &format!("{name}: &{name} [{nine}]\n");
    }
    // The laziest target there is: nothing of the document is kept.
    let error = parse::<serde::de::IgnoredAny>(&bomb, "bomb").unwrap_err();
    assert!(error.message().contains("too large"), "{error}");
    let deep = format!("a: {}{}", "[".repeat(40), "]".repeat(40));
    assert!(parse::<serde::de::IgnoredAny>(&deep, "deep").is_err());
    let long = format!(
        "listen: localhost:0\n# {}\n",
        "x".repeat(MAX_DOCUMENT_BYTES)
    );
    let error = parse::<Server>(&long, "long").unwrap_err();
    assert!(error.message().contains("larger"), "{error}");
}

#[test]
fn loads_a_file_with_paths_beside_it_and_environment_over_it() {
    const OVERRIDES: [Override<Server>; 1] = [Override {
        variable: "ENTENTE_LISTEN",
        key: "listen",
        apply: |server, text| set(&mut server.listen, text),
    }];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.yaml");
    std::fs::write(&path, "listen: unix:./a.sock\npassword: {file: ./pw}\n").unwrap();
    let server: Server = load_with(&path, &OVERRIDES, &|_| None).unwrap();
    assert_eq!(
        server.listen,
        ListenAddr::Unix(folder.path().join("a.sock"))
    );
    assert_eq!(
        server.password.unwrap().file.as_path(),
        folder.path().join("pw")
    );
    let listen = |_: &str| Some("127.0.0.1:9".to_owned());
    let server: Server = load_with(&path, &OVERRIDES, &listen).unwrap();
    assert_eq!(server.listen.to_string(), "127.0.0.1:9");
    let wrong = |_: &str| Some("nowhere".to_owned());
    let error = load_with(&path, &OVERRIDES, &wrong).unwrap_err();
    assert!(error.to_string().contains("ENTENTE_LISTEN"), "{error}");
    assert!(!error.to_string().contains("nowhere"), "{error}");
}
