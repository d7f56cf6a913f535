//! `entente server`: registering security servers, and what changes of them.

mod backup;
mod change;
mod keys;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use entente_directory::{Address, Mode};
use entente_keys::KeyStore;
use entente_security_server::Config;
use serde_json::{Value, json};

use super::desk::{DeskArgs, office_failure};
use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};

/// Register, list and update security servers; rotate keys; revoke sessions; back up and restore data
///
/// A security server exists for others once its member has registered its name, keys, systems and
/// address.
#[derive(Debug, Subcommand)]
pub(crate) enum ServerCommand {
    Register(RegisterArgs),
    List(ListArgs),
    Update(change::UpdateArgs),
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    Backup(backup::BackupArgs),
    Restore(backup::RestoreArgs),
    SessionsRevoke(change::SessionsRevokeArgs),
}

/// Register this member's server, making its keys when they are missing
///
/// Example:
///   entente server register --server-config security-server.yaml --address ss1.example.ca:7443
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct RegisterArgs {
    /// The server's configuration: its name, key folder and systems
    #[arg(long, value_name = "FILE")]
    server_config: PathBuf,
    /// Where peers reach it, best first; by default where it listens
    #[arg(long, value_name = "HOST:PORT")]
    address: Vec<Address>,
    #[command(flatten)]
    desk: DeskArgs,
}

/// Every server in the registry
///
/// Example: entente server list
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    desk: DeskArgs,
}

pub(crate) async fn run(command: ServerCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        ServerCommand::Register(args) => register(args, screen).await,
        ServerCommand::List(args) => list(&args, screen).await,
        ServerCommand::Backup(args) => backup::make(&args, screen).await,
        ServerCommand::Restore(args) => backup::put_back(&args, screen).await,
        ServerCommand::Update(args) => change::update(args, screen).await,
        ServerCommand::Keys(command) => keys::run(command, screen).await,
        ServerCommand::SessionsRevoke(args) => change::revoke_sessions(&args, screen).await,
    }
}

async fn register(args: RegisterArgs, screen: &Screen) -> Result<(), Failure> {
    let config = Config::load(&super::in_folder(&args.server_config))?;
    let listens = config.peer.listen.to_string();
    let addresses = if args.address.is_empty() {
        let address = listens.parse().map_err(|_| {
            let what = screen.text(Text::AddressNeeded, &[("listen", &listens)]);
            Failure::new(Exit::Usage, what).note(Text::LabelDo, "--address HOST:PORT")
        })?;
        vec![address]
    } else {
        args.address
    };
    let keys =
        KeyStore::open(config.keys.as_path()).map_err(|error| Failure::of(Exit::Failed, &error))?;
    let office = args.desk.office(screen).await?;
    let systems = config.systems.keys().cloned().collect();
    let registered = office
        .register_server(
            &config.server,
            &keys,
            config.server_key.as_ref(),
            systems,
            addresses,
        )
        .await;
    office.close().await;
    let accepted = registered.map_err(|error| office_failure(&error, screen))?;
    let value = json!({ "server": config.server, "index": accepted.index });
    screen.show("server.registered", value, |screen| {
        let facts: [Fact<'_>; 2] = [("server", &config.server), ("index", &accepted.index)];
        print_out(screen.text(Text::ServerRegistered, &facts));
    });
    Ok(())
}

async fn list(args: &ListArgs, screen: &Screen) -> Result<(), Failure> {
    let reading = args.desk.read(screen).await?;
    let view = reading.view.clone();
    reading.desk.close().await;
    let items: Vec<Value> = view
        .state
        .servers()
        .map(|server| {
            let addresses = server.addresses.iter().map(ToString::to_string);
            let systems = server.systems.iter().map(ToString::to_string);
            let shard = view.state.shard(&server.id, Mode::Live);
            json!({
                "server": server.id,
                "addresses": addresses.collect::<Vec<_>>(),
                "systems": systems.collect::<Vec<_>>(),
                "ledger": shard.map(|shard| shard.origin.clone()),
            })
        })
        .collect();
    let columns = [
        ("server", Text::HeadServer),
        ("addresses", Text::HeadAddresses),
        ("systems", Text::HeadSystems),
        ("ledger", Text::HeadLedger),
    ];
    screen.list("servers", &items, &columns);
    Ok(())
}
