//! Compiling a `.proto` text with our annotations in reach.

use std::collections::BTreeSet;

use entente_contract::{Contract, ContractError};
use entente_identity::ElementName;
use entente_testkit::contracts::source_of;

pub(crate) use entente_testkit::contracts::compile_source;

/// The descriptor set of one proto3 file in package `test.v1`.
pub(crate) fn compile(body: &str) -> Vec<u8> {
    compile_source(&source_of("test.v1", body))
}

/// The service `test.v1.S` of one file's text after the usual head.
pub(crate) fn parse(body: &str) -> Result<Contract, ContractError> {
    Contract::parse(&compile(body), &"test.v1.S".parse().unwrap())
}

pub(crate) fn elements(names: &[&str]) -> BTreeSet<ElementName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}
