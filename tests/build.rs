//! Compiles the contracts that only tests and benchmarks use. No protoc is needed on the machine.

use std::{error::Error, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);

    for (file, encoded) in [
        ("entente/bench/v1/echo.proto", "echo.binpb"),
        ("entente/tests/v1/ticker.proto", "ticker.binpb"),
    ] {
        // Encoded by protox itself: prost's types would lose the options, and with them every element.
        let mut compiler = protox::Compiler::new(["proto", "../proto"])?;
        compiler.include_imports(true).include_source_info(false);
        compiler.open_files([file])?;
        std::fs::write(out.join(encoded), compiler.encode_file_descriptor_set())?;
    }
    Ok(())
}
