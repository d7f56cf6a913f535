//! `entente server update` and `sessions-revoke`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use entente_clock::Timestamp;
use entente_directory::Address;
use entente_identity::{ServerId, SystemId};
use entente_sandbox::Wanted;
use serde_json::json;

use super::super::desk::{DeskArgs, office_failure};
use super::keys;
use crate::exit::Failure;
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};

/// Change where peers reach a server, its systems, or its TLS and HPKE keys, as its member
///
/// A named address or system takes the place of the whole list; what is not named stays as it is. Keys of
/// --keys-of come beside those registered, so that both hold while the server is restarted; afterwards
/// --drop-old-keys leaves the newest of each. Examples:
///   entente server update ca-demo/pensions/@ss1 --address ss1.example.ca:7443
///   entente server update ca-demo/pensions/@ss1 --keys-of security-server.yaml
///   entente server update ca-demo/pensions/@ss1 --keys-of security-server.yaml --drop-old-keys
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
#[command(group(ArgGroup::new("what").required(true).multiple(true).args(["address", "system", "keys_of"])))]
pub(crate) struct UpdateArgs {
    /// Which server
    server: ServerId,
    /// Where peers reach it, best first; may be repeated
    #[arg(long, value_name = "HOST:PORT")]
    address: Vec<Address>,
    /// A system it may sign for; may be repeated
    #[arg(long, value_name = "SYSTEM")]
    system: Vec<SystemId>,
    /// The server's configuration, whose folder has the keys to register
    #[arg(long, value_name = "FILE")]
    keys_of: Option<PathBuf>,
    /// Leave only the newest TLS and HPKE key of the folder, once it is registered and in use
    #[arg(long, requires = "keys_of")]
    drop_old_keys: bool,
    #[command(flatten)]
    desk: DeskArgs,
}

/// End every session of a server that was issued before now, as its member
///
/// For a session key that was perhaps stolen: peers refuse what it signs within 5 seconds. A server
/// that runs begins another session by itself. Example:
///   entente server sessions-revoke ca-demo/pensions/@ss1
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct SessionsRevokeArgs {
    /// Which server
    server: ServerId,
    /// Only those issued before this: 2026-11-27T01:00:00Z
    #[arg(long, value_name = "TIME")]
    before: Option<Timestamp>,
    #[command(flatten)]
    desk: DeskArgs,
}

pub(super) async fn update(args: UpdateArgs, screen: &Screen) -> Result<(), Failure> {
    let keys = match &args.keys_of {
        None => None,
        Some(file) => Some(keys::of(file, &args.server, args.drop_old_keys, screen).await?),
    };
    let office = args.desk.office(screen).await?;
    let addresses = (!args.address.is_empty()).then_some(args.address);
    let systems = (!args.system.is_empty()).then(|| args.system.into_iter().collect());
    let wanted = Wanted {
        addresses,
        systems,
        keys,
    };
    let updated = office.update_server(&args.server, wanted).await;
    let view = office.desk().view();
    office.close().await;
    let updated = updated.map_err(|error| office_failure(&error, screen))?;
    let index = updated.map(|accepted| accepted.index);
    let record = view.state.server(&args.server);
    let addresses = record.map(|record| record.addresses.iter().map(ToString::to_string));
    let value = json!({
        "server": args.server,
        "addresses": addresses.map(Iterator::collect::<Vec<_>>),
        "systems": record.map(|record| &record.systems[..]),
        "tls": record.map(keys::shown_tls),
        "hpke": record.map(keys::shown_hpke),
        "changed": index.is_some(),
        "index": index,
    });
    screen.show("server.updated", value, |screen| {
        let server: Fact<'_> = ("server", &args.server);
        print_out(match &index {
            Some(index) => screen.text(Text::ServerUpdated, &[server, ("index", index)]),
            None => screen.text(Text::ServerUpdatedAlready, &[server]),
        });
    });
    Ok(())
}

pub(super) async fn revoke_sessions(
    args: &SessionsRevokeArgs,
    screen: &Screen,
) -> Result<(), Failure> {
    let office = args.desk.office(screen).await?;
    let revoked = office.revoke_sessions(&args.server, args.before).await;
    office.close().await;
    let (before, accepted) = revoked.map_err(|error| office_failure(&error, screen))?;
    let index = accepted.map(|accepted| accepted.index);
    let value = json!({
        "server": args.server,
        "before": before.to_string(),
        "changed": index.is_some(),
        "index": index,
    });
    screen.show("server.sessions_revoked", value, |screen| {
        let facts: [Fact<'_>; 2] = [("server", &args.server), ("before", &before)];
        print_out(match &index {
            Some(index) => {
                let [server, before] = facts;
                let facts = [server, before, ("index", index)];
                screen.text(Text::SessionsRevoked, &facts)
            }
            None => screen.text(Text::SessionsRevokedAlready, &facts),
        });
    });
    Ok(())
}
