//! Commands that need no federation: what they print, and how they exit.

use std::fs;

use crate::run::entente;

const SCHEMA: &str = "entente.cli/v1";

#[test]
fn says_its_version_and_formats() {
    let dir = tempfile::tempdir().unwrap();
    let ran = entente(dir.path(), &["version"]);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (0, concat!("entente ", env!("CARGO_PKG_VERSION"), "\n"))
    );
    let json = entente(dir.path(), &["version", "-o", "json"]).json();
    assert_eq!(json["schema"], SCHEMA);
    assert_eq!(json["kind"], "version");
    assert_eq!(json["formats"]["ledger"], "entente-ledger 1");
}

#[test]
fn explains_reasons_in_either_language() {
    let dir = tempfile::tempdir().unwrap();
    let english = entente(dir.path(), &["help", "purpose_not_agreed"]);
    assert!(english.out.contains("The purpose stated"), "{english:?}");
    let french = entente(dir.path(), &["help", "PURPOSE_NOT_AGREED", "--lang", "fr"]);
    assert!(french.out.contains("La fin indiquée"), "{french:?}");
    let missing = entente(dir.path(), &["help", "PURPOSE_NOT_AGREE"]);
    assert_eq!(missing.code, 4);
    assert!(missing.err.contains("PURPOSE_NOT_AGREED"), "{missing:?}");
    let json = entente(dir.path(), &["help", "NO_AGREEMENT", "-o", "json"]).json();
    assert_eq!(
        (&json["exit"], &json["at"]),
        (&3.into(), &"caller_server".into())
    );
}

#[test]
fn takes_the_language_from_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_entente"));
    command.current_dir(dir.path()).args(["sandbox", "status"]);
    command.env("LC_ALL", "fr_CA.UTF-8");
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("bac à sable"), "{said}");
}

#[test]
fn exits_with_2_for_wrong_usage_and_4_for_what_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    for (args, code) in [
        (&["nonsense"][..], 2),
        (&["call", "nobody", "x"], 2),
        (&["agreement", "list"], 2),
        (&["member", "apply"], 2),
        (&["config", "check", "missing.yaml"], 2),
        (&["registry", "init"], 2),
        (&["sandbox", "status"], 4),
        (&["sandbox", "down"], 4),
        (&["log", "show", "."], 4),
        (&["log", "verify", "."], 4),
        (&["help", "no", "such", "command"], 4),
    ] {
        let ran = entente(dir.path(), args);
        assert_eq!(ran.code, code, "{args:?}: {ran:?}");
        assert!(
            ran.out.is_empty(),
            "results only on stdout: {args:?}: {ran:?}"
        );
    }
    let failed = entente(dir.path(), &["sandbox", "down", "-o", "json"]).json();
    assert_eq!(
        (&failed["schema"], &failed["kind"]),
        (&SCHEMA.into(), &"error".into())
    );
    assert_eq!(failed["error"]["exit"], 4);
}

#[test]
fn refuses_to_replace_a_folder_no_sandbox_made() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("sandbox")).unwrap();
    fs::write(dir.path().join("sandbox/thesis.txt"), "mine").unwrap();
    for args in [
        &["demo"][..],
        &["sandbox", "up"],
        &["sandbox", "up", "--fresh"],
    ] {
        let ran = entente(dir.path(), args);
        assert_eq!(ran.code, 3, "{ran:?}");
    }
    assert!(dir.path().join("sandbox/thesis.txt").exists());
}

#[test]
fn finds_the_faults_of_an_agreement_before_anybody_signs() {
    let dir = tempfile::tempdir().unwrap();
    let sample = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/samples/agreement.yaml"
    );
    let text = fs::read_to_string(sample).unwrap();
    let sound = entente(dir.path(), &["agreement", "check", sample]);
    assert_eq!(sound.code, 0, "{sound:?}");
    let faulty = text.replace("    onward: { rule: none }\n", "");
    assert_ne!(faulty, text);
    fs::write(dir.path().join("faulty.yaml"), faulty).unwrap();
    let ran = entente(dir.path(), &["agreement", "check", "faulty.yaml"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.err.contains("clause 1"), "{ran:?}");
}

#[test]
fn makes_a_registry_once() {
    let dir = tempfile::tempdir().unwrap();
    let args = [
        "registry",
        "init",
        "--jurisdiction",
        "ca-demo",
        "--listen",
        "127.0.0.1:7100",
    ];
    let made = entente(dir.path(), &args);
    assert_eq!(made.code, 0, "{made:?}");
    assert!(dir.path().join("anchor.yaml").exists());
    let checked = entente(
        dir.path(),
        &["config", "check", "registry.yaml", "anchor.yaml"],
    );
    assert_eq!(checked.code, 0, "{checked:?}");
    let again = entente(dir.path(), &["registry", "init"]);
    assert_eq!(again.code, 3, "{again:?}");
    let verified = entente(dir.path(), &["log", "verify", "."]);
    assert_eq!(verified.code, 0, "{verified:?}");
}

#[test]
fn writes_completions_for_each_shell() {
    let dir = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = entente(dir.path(), &["completions", shell]);
        assert!(ran.code == 0 && ran.out.contains("agreement"), "{shell}");
    }
}
