//! Golden bytes: the canonical form of an agreement is what the parties sign, for ever.

use std::path::PathBuf;

use entente_agreement::{Agreement, Document};

use crate::{PENSIONS, TRANSPORT};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/conformance/vectors/agreement")
        .join(name)
}

/// The published text. With `ENTENTE_NEW_VECTORS` set, a vector that is not there yet is written; one that is there is
/// never touched.
fn published(name: &str, text: &str) -> String {
    if std::env::var_os("ENTENTE_NEW_VECTORS").is_some() && !path(name).exists() {
        std::fs::write(path(name), text).unwrap();
    }
    std::fs::read_to_string(path(name)).unwrap_or_else(|_| panic!("no vector {name}"))
}

#[test]
fn yaml_gives_the_published_bytes_and_they_give_the_document_back() {
    for (name, yaml) in [("demo-001", PENSIONS), ("demo-002", TRANSPORT)] {
        let document = Document::from_yaml(yaml).unwrap();
        let canonical = String::from_utf8(document.canonical().into_bytes()).unwrap();
        let bytes = published(&format!("{name}.json"), &canonical);
        assert_eq!(bytes, canonical, "{name}");
        let agreement = Agreement::parse(bytes.as_bytes()).unwrap();
        assert_eq!(agreement.document(), &document);
        let line = format!("{}  {name}.json\n", agreement.id());
        assert_eq!(published(&format!("{name}.sha256"), &line), line);
    }
}

#[test]
fn any_altered_byte_is_another_agreement_or_none() {
    let bytes = crate::pensions().canonical().into_bytes();
    let id = Agreement::parse(&bytes).unwrap().id();
    for at in (0..bytes.len()).step_by(7) {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        if let Ok(other) = Agreement::parse(&altered) {
            assert_ne!(other.id(), id, "byte {at}");
        }
    }
}
