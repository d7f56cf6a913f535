//! The agreement crate from outside: samples, strictness, rules, lint and golden bytes.

// What clippy.toml allows in tests, also in what they share.
#![allow(clippy::unwrap_used)]

mod golden;
mod property;
mod rules;
mod strict;

use entente_agreement::Document;

const PENSIONS: &str = include_str!("../samples/demo-pensions.yaml");
const TRANSPORT: &str = include_str!("../samples/demo-transport.yaml");
const GUIDE: &str = include_str!("../../../../docs/samples/agreement.yaml");

fn pensions() -> Document {
    Document::from_yaml(PENSIONS).unwrap()
}
