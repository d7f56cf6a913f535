//! `entente log erase`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use entente_ledger::disk::{Disk, RealDisk};
use entente_security_server::{Config, Order, OrderError};
use entente_sidecar::Plan;
use serde_json::json;

use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};

/// Erase the sealed records of one exchange, by order of a court
///
/// What was said in it can then never be opened again, also from a backup. Its entries and their proofs
/// stay, and a SHRED entry says by whose authority. Stop the server first, and start it afterwards: it
/// erases as it starts, before it takes a call. Without --yes, only says what would be erased.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct EraseArgs {
    /// The server's configuration
    #[arg(value_name = "CONFIG")]
    config: PathBuf,
    /// The exchange, as `entente log show` names it
    #[arg(long, value_name = "ID")]
    transaction: String,
    /// By whose order, for the ledger: it stays there, so name the court and file, and no person
    #[arg(long, value_name = "TEXT", value_parser = authority)]
    authority: String,
    /// Erase, and do not only say what would be erased
    #[arg(long)]
    yes: bool,
}

pub(crate) fn run(args: &EraseArgs, screen: &Screen) -> Result<(), Failure> {
    let config = Config::load(&args.config)?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let order = Order::find(&config, &disk, &args.transaction);
    let order = order.map_err(|error| failure(&error, args, screen))?;
    if screen.format == crate::output::Format::Table {
        tell(&order, args, screen);
    }
    if args.yes {
        order
            .plan(&config, disk, &args.authority)
            .map_err(|error| failure(&error, args, screen))?;
    }
    let value = json!({
        "transaction": args.transaction,
        "authority": args.authority,
        "planned": args.yes,
        "logged_in": order.origin.as_str(),
        "records": order.records.iter().map(|record| json!({
            "ledger": record.origin,
            "index": record.index,
            "time": record.at.to_string(),
        })).collect::<Vec<_>>(),
    });
    let facts: [Fact<'_>; 1] = [("count", &order.records.len())];
    screen.show("log.erase", value, |screen| {
        let said = if args.yes {
            Text::ErasePlannedRecords
        } else {
            Text::EraseWithYes
        };
        print_out(screen.text(said, &facts));
    });
    Ok(())
}

fn tell(order: &Order, args: &EraseArgs, screen: &Screen) {
    print_out(screen.text(Text::EraseWould, &[("authority", &args.authority)]));
    for record in &order.records {
        print_out(format!(
            "{:>7}  {}  {}",
            record.index, record.at, record.origin
        ));
    }
}

fn failure(error: &OrderError, args: &EraseArgs, screen: &Screen) -> Failure {
    match error {
        OrderError::NotFound => {
            let facts: [Fact<'_>; 1] = [("transaction", &args.transaction)];
            Failure::new(Exit::NotFound, screen.text(Text::EraseNothing, &facts))
        }
        OrderError::Planned => Failure::new(Exit::Refused, screen.text(Text::ErasePlanned, &[]))
            .note(Text::LabelDo, "entente serve security-server"),
        OrderError::Running => Failure::new(Exit::Usage, screen.text(Text::EraseRunning, &[])),
        error => Failure::of(Exit::Failed, error),
    }
}

/// A text a ledger entry holds, on one line.
fn authority(text: &str) -> Result<String, String> {
    let text = text.trim();
    let fits = (1..=Plan::MAX_AUTHORITY).contains(&text.len());
    if fits && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(format!("one line of 1 to {} bytes", Plan::MAX_AUTHORITY))
    }
}

const EXAMPLES: &str = "\
Examples:
  entente log erase security-server.yaml --transaction ID --authority 'Superior Court, file 26-1001'
  entente log erase security-server.yaml --transaction ID --authority 'Superior Court, file 26-1001' --yes";
