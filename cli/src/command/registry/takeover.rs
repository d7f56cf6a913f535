//! `entente registry backup`, `restore` and `takeover`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use entente_central_registry::{
    Config, Deps, TakenOver, Takeover, TakeoverError, backup, take_over,
};
use entente_config::DurationText;
use entente_ledger::Runner;
use entente_sandbox::Seams;
use serde_json::json;

use crate::exit::Failure;
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};

/// Copy a running registry into a folder: whole at first, later what is new
///
/// The copy holds every change, what they rest on, and the applications that await a registrar.
/// It is verified as it is made. Keys are not in it. Example:
///   entente registry backup --to /backup/registry --config registry.yaml
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct BackupArgs {
    /// The folder; made when missing
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// The longest it may take
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    within: DurationText,
    /// The registry's configuration
    #[arg(long, value_name = "FILE", default_value = "registry.yaml")]
    config: PathBuf,
}

/// Make a backup the registry again, when its data folder is gone
///
/// Refused while a witness has seen more than the backup holds, or too few answer to know.
/// Any follower's copy of the registry can stand in for the backup's folder `copy`. Example:
///   entente registry restore --from /backup/registry --config registry.yaml
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct RestoreArgs {
    /// The folder of the backup
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    #[command(flatten)]
    asked: AskedArgs,
}

/// Make a standby the registry, when the one before is gone
///
/// Stop the standby first; `entente serve registry` then serves. Refused while a witness has
/// seen more than the standby holds, or too few answer to know. Example:
///   entente registry takeover --config standby.yaml
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct TakeoverArgs {
    #[command(flatten)]
    asked: AskedArgs,
}

#[derive(Args, Debug)]
struct AskedArgs {
    /// The data folder of the registry before, if it can be reached: gives what the copy lacks, and never
    /// serves again
    #[arg(long, value_name = "DIR")]
    fence: Option<PathBuf>,
    /// Without witnesses and without that folder: changes that nobody can know of may be lost
    #[arg(long)]
    accept_loss: bool,
    /// This server's configuration
    #[arg(long, value_name = "FILE", default_value = "registry.yaml")]
    config: PathBuf,
}

pub(super) async fn run_backup(args: &BackupArgs, screen: &Screen) -> Result<(), Failure> {
    let config: Config = entente_config::load(&super::super::in_folder(&args.config))?;
    let to = super::super::in_folder(&args.to);
    let size = backup(&config, &to, args.within.get(), deps()).await;
    let size = size.map_err(|error| Failure::for_reason(error.reason(), &error, screen.lang))?;
    let value = json!({ "size": size, "folder": to });
    screen.show("registry.backup", value, |screen| {
        let facts: [Fact<'_>; 2] = [("size", &size), ("dir", &to.display())];
        print_out(screen.text(Text::RegistryCopied, &facts));
    });
    Ok(())
}

pub(super) async fn run_restore(args: &RestoreArgs, screen: &Screen) -> Result<(), Failure> {
    let backup = Some(super::super::in_folder(&args.from));
    run(&args.asked, backup, screen).await
}

pub(super) async fn run_takeover(args: &TakeoverArgs, screen: &Screen) -> Result<(), Failure> {
    run(&args.asked, None, screen).await
}

async fn run(args: &AskedArgs, backup: Option<PathBuf>, screen: &Screen) -> Result<(), Failure> {
    let config: Config = entente_config::load(&super::super::in_folder(&args.config))?;
    let takeover = Takeover {
        backup,
        fence: args.fence.as_deref().map(super::super::in_folder),
        accepts_loss: args.accept_loss,
    };
    let taken = take_over(&config, &takeover, deps()).await;
    let TakenOver { size, recovered } = taken.map_err(|error| refused(&error, screen))?;
    let value = json!({ "size": size, "recovered": recovered });
    screen.show("registry.takeover", value, |screen| {
        let facts: [Fact<'_>; 2] = [("size", &size), ("recovered", &recovered)];
        print_out(screen.text(Text::RegistryTaken, &facts));
        let facts: [Fact<'_>; 1] = [("config", &args.config.display())];
        screen.say(Text::RegistryTakenNext, &facts);
    });
    Ok(())
}

fn refused(error: &TakeoverError, screen: &Screen) -> Failure {
    let failure = Failure::for_reason(error.reason(), error, screen.lang);
    let then = match error {
        TakeoverError::Behind { .. } => Text::TakeoverBehind,
        TakeoverError::Silent => Text::TakeoverSilent,
        TakeoverError::Unfenced => Text::TakeoverUnfenced,
        TakeoverError::Running | TakeoverError::Copy(_) => Text::TakeoverRunning,
        _ => return failure,
    };
    failure.note(Text::LabelDo, screen.text(then, &[]))
}

fn deps() -> Deps {
    let Seams { clock, net, disk } = Seams::real();
    Deps {
        clock: Arc::clone(&clock),
        net,
        disk,
        runner: Runner::Thread,
    }
}
