//! The processes of `cargo xtask bench ledger`.

use std::io::Write as _;

use entente_ledger_bench::Task;

/// The product's own.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (task, folder, segment_bytes) = Task::parse(&words)?;
    let mut out = std::io::stdout();
    task.execute(folder, segment_bytes, &mut |line| {
        // Whoever wanted to read this is gone when it fails, and the next line ends us.
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    })
}
