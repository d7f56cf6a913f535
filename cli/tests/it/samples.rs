//! Every file in `docs/samples` is what it says it is.

use std::fs;
use std::path::Path;

use crate::run::entente;

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
