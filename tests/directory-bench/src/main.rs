//! The processes of `cargo xtask bench directory`.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use entente_directory_bench::{Country, apply, follow, serve, sync, write};

/// The product's own.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
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
        ["sync", folder, rounds] => {
            let rounds = rounds.parse().context(rounds.to_owned())?;
            sync(Path::new(folder), rounds).await?;
        }
        // The processes of `sync`.
        ["serve", folder] => serve(Path::new(folder), &mut told).await?,
        ["follow", folder, size, case] => {
            let size = size.parse().context(size.to_owned())?;
            for measured in follow(Path::new(folder), size, case).await? {
                told(measured.line());
            }
        }
        _ => bail!(
            "bench-directory write FOLDER MEMBERS | apply FOLDER | sync FOLDER ROUNDS | \
             serve FOLDER | follow FOLDER SIZE CASE"
        ),
    }
    Ok(())
}
