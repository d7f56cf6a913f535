//! `entente server keys`: another TLS or HPKE key of a server, and what of its folder is registered.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use entente_directory::ServerRecord;
use entente_follow::Anchor;
use entente_identity::ServerId;
use entente_keys::KeyStore;
use entente_sandbox::{FolderKeys, Then};
use entente_security_server::Config;
use entente_security_server::enrol::{Rotated, ServerKeys};
use entente_signing::VerifyingKey;
use entente_tls::net::TokioNet;
use serde_json::json;

use super::super::dial::{Dialled, dial, nobody};
use super::super::doctor::role_file;
use super::super::in_folder;
use super::super::log::HeldView;
use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};

/// Replace a server's TLS or HPKE key, with both in force meanwhile
///
/// No exchange fails: the old key is registered until the new one is in use.
#[derive(Debug, Subcommand)]
#[command(after_help = STEPS)]
pub(crate) enum KeysCommand {
    New(NewArgs),
}

/// Make the next key beside the present one, and say its fingerprint
///
/// On the server's machine, as its account; the server may run. Said again, it is the same key until
/// that was registered. Example:
///   entente server keys new --use tls --config security-server.yaml
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct NewArgs {
    /// What it is for: tls, which peers know the server by, or hpke, which they seal to
    #[arg(long = "use", value_enum, hide_possible_values = true)]
    key_use: UseArg,
    /// The server's configuration; by default the one in this folder
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// A use, by its word.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum UseArg {
    Tls,
    Hpke,
}

const STEPS: &str = "In this order:
  1. entente server keys new --use tls --config security-server.yaml
  2. entente server update SERVER --keys-of security-server.yaml
  3. systemctl restart entente@security-server
  4. entente server update SERVER --keys-of security-server.yaml --drop-old-keys
  5. delete the old key from the folder";

pub(super) async fn run(command: KeysCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        KeysCommand::New(args) => new(&args, screen).await,
    }
}

async fn new(args: &NewArgs, screen: &Screen) -> Result<(), Failure> {
    let config = Config::load(&role_file(args.config.as_deref(), screen)?)?;
    let store = existing(&config)?;
    let directory = config.data.as_path().join("directory");
    // The registry may be down: then whether the newest was registered is not known, and another is made.
    let view = match Anchor::load(config.anchor.as_path()) {
        Ok(anchor) => HeldView::borrow(anchor, &directory, screen).await.ok(),
        Err(_) => None,
    };
    let record = view.as_ref();
    let record = record.and_then(|view| view.state.server(&config.server));
    let rotated = match args.key_use {
        UseArg::Tls => Rotated::Tls,
        UseArg::Hpke => Rotated::Hpke,
    };
    let prepared = ServerKeys::prepare(&store, rotated, record)
        .map_err(|error| Failure::of(Exit::Failed, &error))?;
    let value = json!({
        "server": config.server,
        "file": prepared.file,
        "fingerprint": prepared.fingerprint,
        "keys": config.keys.as_path(),
        "made": prepared.is_new,
    });
    screen.show("server.keys.new", value, |screen| {
        let facts: [Fact<'_>; 3] = [
            ("keys", &config.keys),
            ("file", &prepared.file),
            ("fingerprint", &prepared.fingerprint),
        ];
        print_out(screen.text(Text::ServerKeyMade, &facts));
        screen.say(Text::ServerKeyMadeNext, &[("server", &config.server)]);
    });
    Ok(())
}

/// The keys of the folder of a server's configuration. Old ones are not dropped while a server that runs shows
/// one of them.
pub(super) async fn of(
    file: &Path,
    server: &ServerId,
    drop_old: bool,
    screen: &Screen,
) -> Result<FolderKeys, Failure> {
    let config = Config::load(&in_folder(file))?;
    if config.server != *server {
        let facts: [Fact<'_>; 2] = [("server", server), ("found", &config.server)];
        let again = format!(
            "entente server update {} --keys-of {}",
            config.server,
            file.display()
        );
        let what = screen.text(Text::ServerKeysOther, &facts);
        return Err(Failure::new(Exit::Usage, what).note(Text::LabelDo, again));
    }
    let store = existing(&config)?;
    let keys = ServerKeys::public_of(&store).map_err(|error| Failure::of(Exit::Failed, &error))?;
    let (tls, hpke) = keys;
    if drop_old {
        refuse_shown(&config, &tls, screen).await?;
    }
    let then = match drop_old {
        true => Then::DropOld,
        false => Then::KeepAll,
    };
    Ok(FolderKeys { tls, hpke, then })
}

/// A server that is down shows the newest as it starts.
async fn refuse_shown(
    config: &Config,
    tls: &[VerifyingKey],
    screen: &Screen,
) -> Result<(), Failure> {
    let Ok(to) = config.peer.listen.to_string().parse() else {
        return Ok(());
    };
    let newest = tls.last().map(VerifyingKey::spki_digest);
    match dial(&TokioNet, &to, newest, &nobody()?).await {
        Dialled::OtherKey => {
            let what = screen.text(Text::ServerKeyShown, &[("server", &config.server)]);
            let failure = Failure::new(Exit::Refused, what);
            Err(failure.note(Text::LabelDo, screen.text(Text::ServerKeyShownDo, &[])))
        }
        _ => Ok(()),
    }
}

fn existing(config: &Config) -> Result<KeyStore, Failure> {
    KeyStore::existing(config.keys.as_path()).map_err(|error| Failure::of(Exit::Failed, &error))
}

/// The fingerprints of what it may show in TLS, newest last.
pub(super) fn shown_tls(record: &ServerRecord) -> Vec<String> {
    let keys = record.tls_keys();
    keys.map(|key| key.key_id().to_string()).collect()
}

/// The fingerprints of what is sealed to, newest last.
pub(super) fn shown_hpke(record: &ServerRecord) -> Vec<String> {
    let keys = record.hpke.iter().filter(|key| key.is_current());
    keys.map(|key| key.value.fingerprint()).collect()
}
