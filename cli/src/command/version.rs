//! `entente version`.

use clap::Args;
use serde_json::json;

use crate::exit::Failure;
use crate::output::{Screen, print_out};

/// Say which version this is
///
/// Version, and the formats it reads and writes.
#[derive(Args, Debug)]
pub(crate) struct VersionArgs {}

#[expect(clippy::unnecessary_wraps, reason = "every command ends this way")]
pub(crate) fn run(_: &VersionArgs, screen: &Screen) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    let formats = json!({
        "agreement": "entente/agreement/v1",
        "ledger": entente_ledger::layout::FORMAT.trim(),
        "protocol": 1,
        "rules": entente_directory::RULES_VERSION,
        "statement": 1,
    });
    screen.show(
        "version",
        json!({ "version": version, "formats": formats }),
        |_| print_out(format!("entente {version}")),
    );
    Ok(())
}
