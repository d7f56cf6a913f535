//! Compiling a `.proto` text with our annotations in reach.

use std::collections::BTreeSet;

use entente_contract::{Contract, ContractError};
use entente_identity::ElementName;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

/// The descriptor set of one proto3 file in package `test.v1`.
pub(crate) fn compile(body: &str) -> Vec<u8> {
    compile_source(&format!(
        "syntax = \"proto3\";\npackage test.v1;\nimport \"entente/v1/annotations.proto\";\n{body}"
    ))
}

/// The descriptor set of one whole file.
pub(crate) fn compile_source(source: &str) -> Vec<u8> {
    let mut resolver = ChainFileResolver::new();
    resolver.add(Texts {
        source: source.to_owned(),
    });
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).include_source_info(false);
    compiler
        .open_file("test.proto")
        .unwrap_or_else(|error| panic!("{error}\n{source}"));
    compiler.encode_file_descriptor_set()
}

/// The service `test.v1.S` of one file's text after the usual head.
pub(crate) fn parse(body: &str) -> Result<Contract, ContractError> {
    Contract::parse(&compile(body), &"test.v1.S".parse().unwrap())
}

pub(crate) fn elements(names: &[&str]) -> BTreeSet<ElementName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

struct Texts {
    source: String,
}

impl FileResolver for Texts {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            "test.proto" => File::from_source(name, &self.source),
            "entente/v1/annotations.proto" => File::from_source(name, ANNOTATIONS),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

const ANNOTATIONS: &str = include_str!("../../../../proto/entente/v1/annotations.proto");
