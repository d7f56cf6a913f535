//! Evidence that rests on a registry whose ledger key was replaced, before and after.

use std::fs;

use super::{BUNDLE, CONFIG, demo, export};
use crate::doctor::site::Serving;
use crate::run::entente;

#[test]
fn bundles_of_before_and_after_a_pivot_are_bound_by_an_old_anchor_and_by_a_new_one() {
    let (dir, id) = demo();
    let dir = dir.path();
    let registry = ["--config", "sandbox/registry/registry.yaml"];
    let serving = Serving::start(dir, &[&["registry"][..], &registry].concat());
    serving.hears("registry.started");
    let exported = export(dir, &id, &CONFIG);
    assert_eq!(exported.code, 0, "{exported:?}");
    fs::rename(dir.join(BUNDLE), dir.join("before.asice")).unwrap();
    for act in ["new", "propose"] {
        let ran = entente(
            dir,
            &[&["registry", "ledger-key", act][..], &registry].concat(),
        );
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    let exported = export(dir, &id, &CONFIG);
    assert_eq!(exported.code, 0, "{exported:?}");
    let verify = |bundle: &str, anchor: &str| {
        let ran = entente(dir, &[&["log", "verify", bundle][..], &CONFIG].concat());
        assert_eq!(ran.code, 0, "{bundle}, {anchor} anchor: {ran:?}");
    };
    for bundle in ["before.asice", BUNDLE] {
        verify(bundle, "old");
    }
    let anchor = ["registry", "ledger-key", "anchor", "--to", "new.yaml"];
    let ran = entente(dir, &[&anchor[..], &registry].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    fs::rename(
        dir.join("new.yaml"),
        dir.join("sandbox/registry/anchor.yaml"),
    )
    .unwrap();
    for bundle in ["before.asice", BUNDLE] {
        verify(bundle, "new");
    }
}
