//! Compiles the contracts with protox: no protoc is needed on the machine.

use std::{error::Error, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=entente");
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);

    // The embedded sets are encoded by protox itself: decoding them into prost's types and encoding
    // those again would lose the extension options, and with them every element name.
    for (name, files) in [("entente.binpb", FILES), ("vital_events.binpb", DEMO)] {
        let mut compiler = protox::Compiler::new(["."])?;
        compiler.include_imports(true).include_source_info(false);
        compiler.open_files(files)?;
        std::fs::write(out.join(name), compiler.encode_file_descriptor_set())?;
    }

    // Generated code wants the comments too.
    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(FILES)?;
    // Payloads are shared, never copied: every `bytes` field is a reference-counted `Bytes`.
    tonic_prost_build::configure()
        .bytes(".")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

const FILES: &[&str] = &[
    "entente/v1/annotations.proto",
    "entente/exchange/v1/exchange.proto",
    "entente/registry/v1/registry.proto",
    "entente/oversight/v1/oversight.proto",
    "entente/adapter/v1/adapter.proto",
    "entente/demo/vitalevents/v1/vital_events.proto",
];

const DEMO: &[&str] = &["entente/demo/vitalevents/v1/vital_events.proto"];
