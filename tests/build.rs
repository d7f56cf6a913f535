//! Compiles the contracts that only tests and benchmarks use. No protoc is needed on the machine.

use std::{error::Error, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);

    // Encoded by protox itself: prost's types would lose the options, and with them every element.
    let mut compiler = protox::Compiler::new(["proto", "../proto"])?;
    compiler.include_imports(true).include_source_info(false);
    compiler.open_files(["entente/bench/v1/echo.proto"])?;
    std::fs::write(
        out.join("echo.binpb"),
        compiler.encode_file_descriptor_set(),
    )?;
    Ok(())
}
