//! `entente log show`.

use std::path::PathBuf;

use clap::Args;
use entente_sidecar::Standing;
use serde_json::Value;

use super::records::Records;
use super::{Line, damaged, ledgers_in, open};
use crate::exit::{Exit, Failure};
use crate::output::{Format, Screen, print_out};
use crate::texts::Text;

/// Entries in words: who asked what of whom, when, why, and how it ended
///
/// Prints no person: an entry holds salted commitments and keyed tags, never a name.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ShowArgs {
    /// A ledger's folder, or one that holds ledgers
    dir: PathBuf,
    /// Only the entries of one exchange
    #[arg(long, value_name = "ID")]
    transaction: Option<String>,
    /// Only entries of this kind: IN, OUT, DENIED, BOOT …
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// The newest so many; 0 for all
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Say of each entry's sealed record whether it is there, was shredded by rule, or is missing
    #[arg(long)]
    records: bool,
    /// For --records, the configuration that says which registry to believe about what was agreed;
    /// otherwise the nearest above the folder
    #[arg(long, value_name = "FILE", env = "ENTENTE_CONFIG")]
    config: Option<PathBuf>,
}

pub(crate) async fn run(args: &ShowArgs, screen: &Screen) -> Result<(), Failure> {
    let mut values = Vec::new();
    let mut violated = false;
    for dir in ledgers_in(&args.dir, screen)? {
        let mut reader = open(&dir, screen)?;
        let mut shown = Vec::new();
        for entry in reader.entries(0) {
            let (index, bytes) = entry.map_err(|error| damaged(&dir, &error, screen))?;
            let Some(line) = Line::read(index, &bytes) else {
                let facts: [crate::texts::Fact<'_>; 1] = [("index", &index)];
                return Err(Failure::new(
                    Exit::Integrity,
                    screen.text(Text::NoEntry, &facts),
                ));
            };
            if args.wants(&line) {
                shown.push(line);
                if args.limit > 0 && shown.len() > args.limit {
                    shown.remove(0);
                }
            }
        }
        let facts: [crate::texts::Fact<'_>; 4] = [
            ("dir", &dir.display()),
            ("ledger", &reader.origin().unwrap_or("-")),
            ("shown", &shown.len()),
            ("size", &reader.size()),
        ];
        screen.say(Text::LedgerHolds, &facts);
        let mut records = match args.records {
            true => Records::beside(&dir, None, args.config.as_deref(), screen).await?,
            false => None,
        };
        for line in shown {
            let judged = match &mut records {
                Some(records) => records.standing(&line, screen)?,
                None => None,
            };
            violated |= judged
                .as_ref()
                .is_some_and(|judged| matches!(judged.standing, Standing::Violation(_)));
            match screen.format {
                Format::Table => {
                    print_out(line.human(screen));
                    if let Some(judged) = &judged {
                        print_out(format!("       {}", judged.text(screen)));
                    }
                }
                Format::Json | Format::Ndjson => {
                    let mut value = line.value();
                    value["ledger"] = reader.origin().into();
                    if let Some(judged) = &judged {
                        value["record"] = judged.value();
                    }
                    values.push(value);
                }
            }
        }
    }
    if screen.format != Format::Table {
        screen.list("log.entries", &values, &[]);
    }
    if violated {
        let what = screen.text(Text::RecordsViolated, &[]);
        return Err(Failure::new(Exit::Integrity, what));
    }
    Ok(())
}

// === impl ShowArgs ===

impl ShowArgs {
    fn wants(&self, line: &Line) -> bool {
        let of_transaction = self.transaction.as_ref().is_none_or(|wanted| {
            line.transaction.as_ref() == Some(wanted)
                || line.facts.get("transaction").and_then(Value::as_str) == Some(wanted)
        });
        let of_kind = self.kind.as_ref();
        of_transaction && of_kind.is_none_or(|kind| line.kind.eq_ignore_ascii_case(kind))
    }
}

const EXAMPLES: &str = "\
Examples:
  entente log show sandbox/pensions
  entente log show sandbox/pensions --kind DENIED
  entente log show sandbox/pensions --records       what is shredded, and what is missing
  entente log show sandbox/registry                 the registry's changes
  entente log show sandbox/pensions -o ndjson | jq .method";
