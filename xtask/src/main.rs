//! The project's own tasks: `cargo xtask test | ci | tidy | docs | bench`.
//!
//! Nothing here ships. It runs cargo and reads the tree; it never changes a source file, except the
//! pages that `cargo xtask docs` generates.

#![allow(clippy::print_stdout, reason = "a command-line tool for developers")]

mod bench;
mod ci;
mod docs;
mod needs;
mod stages;
mod test;
mod tidy;
mod verifiers;
mod workspace;

use std::process::ExitCode;

use anyhow::bail;

const USAGE: &str = "\
cargo xtask <task>
  test              every test: sources, unit, integration, documentation
  needs             what the tests need from the machine, and no test
  ci [check|text|doc]
                    every stage of continuous integration, cheapest first; or a part of it
  tidy              the rules a compiler does not know: directions, bans, licences, names
  docs reasons      write the pages generated from the catalogue of reasons
  bench NAME        a benchmark; see `cargo xtask bench`";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> anyhow::Result<()> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["test"] => test::run(),
        ["needs"] => test::provide(),
        ["ci"] => ci::run(ci::Part::All),
        ["ci", "check"] => ci::run(ci::Part::Check),
        ["ci", "text"] => ci::run(ci::Part::Text),
        ["ci", "doc"] => ci::run(ci::Part::Doc),
        ["tidy"] => tidy::run(),
        ["docs", "reasons"] => docs::write_reasons(),
        ["bench", rest @ ..] => bench::run(rest),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        [] => bail!("which task?\n{USAGE}"),
        [other, ..] => bail!("no task `{other}`, or not with these words\n{USAGE}"),
    }
}
