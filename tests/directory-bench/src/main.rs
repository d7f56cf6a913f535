//! The processes of `cargo xtask bench directory`.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use entente_directory_bench::{Country, apply, write};

/// The product's own.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut out = std::io::stdout();
    let mut told = |line: String| {
        // Whoever wanted to read this is gone when it fails, and the next line ends us.
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    };
    match words[..] {
        ["write", folder, members] => {
            let members = members.parse().context(members.to_owned())?;
            write(&Country::of(members), Path::new(folder))?;
        }
        ["apply", folder] => {
            for measured in apply(Path::new(folder))? {
                told(measured.line());
            }
        }
        _ => bail!("bench-directory write FOLDER MEMBERS | apply FOLDER"),
    }
    Ok(())
}
