//! `entente registry`: making one, looking at it, and what it asks of everybody.

mod ledger_key;
mod policy;
mod quorum;
mod takeover;

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use entente_central_registry::{Config, Founding, InitError};
use entente_clock::SystemClock;
use entente_config::{DurationText, ListenAddr};
use entente_directory::Policy;
use entente_identity::Jurisdiction;
use entente_ledger::Runner;
use entente_ledger::disk::RealDisk;
use entente_ledger::witness::{MAX_POLICY, WitnessPolicy};
use entente_signing::VerifyingKey;
use serde_json::json;

use super::desk::{DeskArgs, registrar_failure};
use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};

pub(super) use policy::weaker;
pub(super) use quorum::{say_tabled, say_tabled_by};

/// Make a registry; look at what it says; its policy; copy it, and take over
///
/// The registry of a jurisdiction says who is a member, with which keys, and under which agreements.
/// Everybody verifies what it says.
#[derive(Debug, Subcommand)]
pub(crate) enum RegistryCommand {
    Init(InitArgs),
    Show(ShowArgs),
    Policy(policy::PolicyArgs),
    Proposals(quorum::ProposalsArgs),
    Approve(quorum::ApproveArgs),
    Withdraw(quorum::WithdrawArgs),
    Registrars(quorum::RegistrarsArgs),
    #[command(subcommand)]
    LedgerKey(ledger_key::LedgerKeyCommand),
    Witnesses(WitnessesArgs),
    Backup(takeover::BackupArgs),
    Restore(takeover::RestoreArgs),
    Takeover(takeover::TakeoverArgs),
}

/// Make a registry: keys, first change, and the anchor file that others start from
///
/// Writes `registry.yaml` from --jurisdiction and --listen when it is not there yet. Example:
///   entente registry init --jurisdiction ca-demo --listen 127.0.0.1:7100
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct InitArgs {
    /// The registry's configuration
    #[arg(long, value_name = "FILE", default_value = "registry.yaml")]
    config: PathBuf,
    /// Whose names it speaks for: ca-on
    #[arg(long, value_name = "CODE")]
    jurisdiction: Option<Jurisdiction>,
    /// Where it listens: 127.0.0.1:7100
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<ListenAddr>,
    /// Another registrar's key, as `entente registry registrars --own` prints it; may be repeated
    #[arg(long, value_name = "KEY", value_parser = quorum::public_key)]
    registrar: Vec<VerifyingKey>,
    /// How many registrars decide together what weakens, and what the policy names
    #[arg(long, value_name = "N", default_value_t = 1)]
    quorum: u32,
}

/// Say which witnesses cosign the ledgers of servers, and how many of them a checkpoint needs
///
/// The file is a policy in the form of C2SP `tlog-policy`, without logs. From then on servers stop when no
/// quorum has cosigned for --within. Asking for less than before is refused.
///
/// With --of-registry it is about the registry's own checkpoints: from then on nobody believes anything
/// permissive under one that lacks the quorum. Name witnesses of other jurisdictions.
#[derive(Args, Debug)]
#[command(after_help = WITNESSES)]
pub(crate) struct WitnessesArgs {
    /// The policy
    file: PathBuf,
    /// Which witnesses cosign the registry's own checkpoints, instead of servers'
    #[arg(long, conflicts_with = "within")]
    of_registry: bool,
    /// How old a server's newest cosigned checkpoint may be: 1m to 24h; otherwise as before
    #[arg(long, value_name = "DURATION")]
    within: Option<DurationText>,
    #[command(flatten)]
    desk: DeskArgs,
}

/// What the registry says now: size, members, services, agreements, freshness
///
/// Example: entente registry show --config sandbox/registry/registry.yaml
#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    desk: DeskArgs,
}

pub(crate) async fn run(command: RegistryCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        RegistryCommand::Init(args) => init(&args, screen).await,
        RegistryCommand::Show(args) => show(&args, screen).await,
        RegistryCommand::Policy(args) => policy::run(&args, screen).await,
        RegistryCommand::Proposals(args) => quorum::proposals(&args, screen).await,
        RegistryCommand::Approve(args) => quorum::approve(&args, screen).await,
        RegistryCommand::Withdraw(args) => quorum::withdraw(&args, screen).await,
        RegistryCommand::Registrars(args) => quorum::registrars(&args, screen).await,
        RegistryCommand::LedgerKey(command) => ledger_key::run(command, screen).await,
        RegistryCommand::Witnesses(args) => witnesses(&args, screen).await,
        RegistryCommand::Backup(args) => takeover::run_backup(&args, screen).await,
        RegistryCommand::Restore(args) => takeover::run_restore(&args, screen).await,
        RegistryCommand::Takeover(args) => takeover::run_takeover(&args, screen).await,
    }
}

async fn witnesses(args: &WitnessesArgs, screen: &Screen) -> Result<(), Failure> {
    let text = super::read_file(&args.file)?;
    let text = String::from_utf8_lossy(&text);
    let policy: WitnessPolicy = text
        .parse()
        .map_err(|error| Failure::of(Exit::Usage, &error))?;
    if policy.to_string().len() > MAX_POLICY || !policy.logs().is_empty() {
        return Err(Failure::new(
            Exit::Usage,
            screen.text(Text::WitnessesFile, &[]),
        ));
    }
    let seconds = args.within.map(|within| within.get().as_secs());
    let seconds = seconds.map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX));
    let registrar = args.desk.registrar(screen).await?;
    let (fewest, named) = (policy.fewest(), policy.witnesses().len());
    let changed = registrar.change_policy(false, |held| {
        if args.of_registry {
            held.registry_witnesses = policy;
            return;
        }
        held.witnesses = policy;
        held.cosigned_within_seconds = seconds.unwrap_or(held.cosigned_within_seconds);
    });
    let changed = changed.await;
    registrar.close().await;
    let changed = changed.map_err(|error| registrar_failure(&error, screen))?;
    let index = changed.map(|accepted| accepted.index);
    let value = json!({
        "changed": index.is_some(),
        "index": index,
        "witnesses": named,
        "fewest": fewest,
    });
    screen.show("registry.witnesses", value, |screen| {
        let Some(index) = index else {
            return print_out(screen.text(Text::PolicyAlready, &[]));
        };
        let facts: [Fact<'_>; 3] = [("index", &index), ("count", &named), ("fewest", &fewest)];
        print_out(screen.text(Text::WitnessesSet, &facts));
    });
    Ok(())
}

async fn init(args: &InitArgs, screen: &Screen) -> Result<(), Failure> {
    if !args.config.exists() {
        write_config(args, screen)?;
    }
    let config: Config = entente_config::load(&super::in_folder(&args.config))?;
    let (clock, disk) = (Arc::new(SystemClock), Arc::new(RealDisk));
    let founding = Founding {
        policy: Policy::usual(),
        registrars: args.registrar.clone(),
        quorum: args.quorum,
    };
    let made = entente_central_registry::init(&config, founding, clock, disk, Runner::Thread).await;
    let made = made.map_err(|error| match error {
        InitError::Exists => Failure::new(Exit::Refused, screen.text(Text::RegistryExists, &[])),
        error => Failure::for_reason(error.reason(), &error, screen.lang),
    })?;
    let anchor = &made.anchor;
    let value = json!({
        "jurisdiction": anchor.jurisdiction,
        "anchor": config.anchor.as_path(),
        "ledger": anchor.ledger.to_string(),
        "genesis": anchor.genesis.to_string(),
        "keys": config.keys.as_path(),
    });
    screen.show("registry.made", value, |screen| {
        let facts: [Fact<'_>; 2] = [
            ("jurisdiction", &anchor.jurisdiction),
            ("anchor", &config.anchor),
        ];
        print_out(screen.text(Text::RegistryMade, &facts));
        print_out(format!("  {}", anchor.genesis));
        let facts: [Fact<'_>; 2] = [("keys", &config.keys), ("config", &args.config.display())];
        screen.say(Text::RegistryMadeNext, &facts);
    });
    Ok(())
}

fn write_config(args: &InitArgs, screen: &Screen) -> Result<(), Failure> {
    let (Some(jurisdiction), Some(listen)) = (&args.jurisdiction, &args.listen) else {
        let facts: [Fact<'_>; 1] = [("file", &args.config.display())];
        return Err(
            Failure::new(Exit::Usage, screen.text(Text::RegistryNeeds, &facts)).note(
                Text::LabelDo,
                "entente registry init --jurisdiction CODE --listen ADDRESS",
            ),
        );
    };
    let yaml = format!(
        "# The registry of {jurisdiction}: entente serve registry --config {}\n\
         jurisdiction: {jurisdiction}\n\
         listen: {listen}\n\
         data: ./data\n\
         keys: ./keys\n\
         anchor: ./anchor.yaml\n",
        args.config.display()
    );
    std::fs::write(&args.config, yaml).map_err(|error| {
        Failure::new(Exit::Failed, args.config.display().to_string()).because(&error)
    })
}

async fn show(args: &ShowArgs, screen: &Screen) -> Result<(), Failure> {
    let reading = args.desk.read(screen).await?;
    let view = reading.view.clone();
    let anchor = reading.desk.anchor().clone();
    let ledger = view.ledger_key().unwrap_or_else(|| anchor.ledger.clone());
    let connected = reading.desk.directory().is_connected();
    reading.desk.close().await;
    let state = &view.state;
    let counts = json!({
        "members": state.members().count(),
        "servers": state.servers().count(),
        "services": state.services().count(),
        "agreements": state.agreements().count(),
    });
    let purposes = state.policy().map(|policy| {
        let purposes = policy.purposes.iter().map(ToString::to_string);
        purposes.collect::<Vec<_>>()
    });
    let witnesses = state.policy().map(|policy| policy.witnesses.to_string());
    let witnesses = witnesses.unwrap_or_default();
    let own = state.policy().map(|policy| &policy.registry_witnesses);
    let own = own.filter(|own| own.is_demanding());
    let own = own.map(ToString::to_string).unwrap_or_default();
    let value = json!({
        "witnesses": witnesses,
        "registry_witnesses": own,
        "jurisdiction": anchor.jurisdiction,
        "ledger": ledger.to_string(),
        "genesis": anchor.genesis.to_string(),
        "addresses": anchor.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "connected": connected,
        "size": view.size,
        "root": view.root.to_string(),
        "newest": state.last_at().to_string(),
        "counts": counts,
        "purposes": purposes,
    });
    screen.show("registry", value, |screen| {
        let row = |label: Text, value: String| {
            print_out(format!("  {:<11} {value}", screen.text(label, &[])));
        };
        print_out(screen.bold(anchor.origin()));
        let answer = if connected {
            Text::RegistryAnswers
        } else {
            Text::RegistryDoesNot
        };
        let addresses: Vec<String> = anchor.addresses.iter().map(ToString::to_string).collect();
        row(
            Text::HeadAddresses,
            format!("{}  {}", addresses.join(", "), screen.text(answer, &[])),
        );
        row(Text::HeadSize, view.size.to_string());
        row(Text::HeadRoot, view.root.to_string());
        row(Text::HeadNewest, state.last_at().to_string());
        row(Text::HeadMembers, counts["members"].to_string());
        row(Text::HeadServers, counts["servers"].to_string());
        row(Text::HeadServices, counts["services"].to_string());
        row(Text::HeadAgreements, counts["agreements"].to_string());
        row(Text::HeadPurposes, purposes.unwrap_or_default().join(", "));
        for line in witnesses.lines() {
            row(Text::HeadWitnesses, line.to_owned());
        }
        for line in own.lines() {
            row(Text::HeadOwnWitnesses, line.to_owned());
        }
        row(Text::HeadKey, ledger.to_string());
        row(Text::HeadGenesis, anchor.genesis.to_string());
    });
    Ok(())
}

const WITNESSES: &str = "\
Example:
  entente registry witnesses witnesses.policy --config registry/registry.yaml

where the file says, for instance:
  witness registry NAME+HASH+KEY http://registry.example:7101
  witness commissioner NAME+HASH+KEY http://commissioner.example:7200
  witness auditor NAME+HASH+KEY http://auditor.example:7200
  group two-of-three 2 registry commissioner auditor
  quorum two-of-three";
