//! `entente server backup` and `restore`: a server's data, copied while it runs and put back into nothing.

use std::path::{Path, PathBuf};

use clap::Args;
use entente_clock::{Clock as _, SystemClock};
use entente_directory::Mode;
use entente_keys::{KeyStore, KeyUse};
use entente_security_server::Config;
use entente_security_server::backup::{self, BackupError, Made, PutBack, Restore, Shard, Wanted};
use entente_signing::VerifyingKey;
use serde_json::{Value, json};

use super::super::doctor::role_file;
use super::super::log::HeldView;
use super::super::{admin, in_folder};
use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};

/// Copy a server's data to a new folder, and verify the copy
///
/// Works while the server runs. Every shard of the ledger is copied until the copy holds together, and is
/// checked byte by byte. Left out are the keys that wrap openings (a copy of them would undo destruction),
/// what is rebuilt or fetched again, and, without --with-keys, private keys.
///
/// Example: entente server backup -c security-server.yaml --to /mnt/backup/2026-11-27
#[derive(Args, Debug)]
pub(crate) struct BackupArgs {
    /// The server's configuration; by default the one in this folder
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The new folder
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
    /// Copy private keys too: whoever reads the backup can then act as this server
    #[arg(long)]
    with_keys: bool,
}

/// Put a backup back, where nothing is
///
/// The server must be down, and its data folder missing or empty: nothing is replaced. At its next start the
/// server opens a new shard of its ledger that says what happened, unless nothing can have been written since
/// the backup.
///
/// Example: entente server restore -c security-server.yaml --from /mnt/backup/2026-11-27
#[derive(Args, Debug)]
pub(crate) struct RestoreArgs {
    /// The server's configuration; where there is no such file, the backup's is put there
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// The backup
    #[arg(long, value_name = "FOLDER")]
    from: PathBuf,
    /// Put back private keys that are missing
    #[arg(long)]
    with_keys: bool,
}

pub(crate) async fn make(args: &BackupArgs, screen: &Screen) -> Result<(), Failure> {
    let file = role_file(args.config.as_deref(), screen)?;
    let config = Config::load(&file)?;
    let keys = Keys::of(&config, screen).await?;
    let to = in_folder(&args.to);
    let with_keys = args.with_keys;
    let made = tokio::task::spawn_blocking(move || {
        let wanted = Wanted {
            config: &config,
            file: &file,
            to: &to,
            with_keys,
        };
        backup::make(&wanted, &|shard| keys.of_shard(shard), SystemClock.now())
    });
    let made = made
        .await
        .map_err(|error| Failure::of(Exit::Failed, &error))?;
    let made = made.map_err(|error| failure(&error, screen))?;
    show_made(args, &made, screen);
    Ok(())
}

pub(crate) async fn put_back(args: &RestoreArgs, screen: &Screen) -> Result<(), Failure> {
    let file = in_folder(&args.config);
    refuse_running(&file, screen).await?;
    let (from, with_keys) = (in_folder(&args.from), args.with_keys);
    let put_back = tokio::task::spawn_blocking(move || {
        backup::restore(&Restore {
            from: &from,
            file: &file,
            with_keys,
        })
    });
    let put_back = put_back
        .await
        .map_err(|error| Failure::of(Exit::Failed, &error))?;
    let put_back = put_back.map_err(|error| failure(&error, screen))?;
    show_put_back(args, &put_back, screen);
    Ok(())
}

/// A server that runs would write to what is put under it.
async fn refuse_running(file: &Path, screen: &Screen) -> Result<(), Failure> {
    if !file.exists() {
        return Ok(());
    }
    let config = Config::load(file)?;
    let net = entente_tls::net::TokioNet;
    match admin::ask(&net, &config.admin.listen, "/livez").await {
        Ok(answer) if answer.is_ok => {
            let what = screen.text(Text::RestoreRunning, &[("server", &config.server)]);
            let stop = "systemctl stop entente@security-server";
            Err(Failure::new(Exit::Refused, what).note(Text::LabelDo, stop))
        }
        _ => Ok(()),
    }
}

/// By which key each shard of a server is signed.
struct Keys {
    /// As the registry has them: the folder's name, and the key.
    shards: Vec<(String, VerifyingKey)>,
    /// The server's own, for a shard that the copy of the registry does not know yet.
    own: Option<VerifyingKey>,
}

// === impl Keys ===

impl Keys {
    /// From the server's copy of the registry, read as a copy of itself.
    async fn of(config: &Config, screen: &Screen) -> Result<Self, Failure> {
        let own = KeyStore::existing(config.keys.as_path());
        let own = own.and_then(|store| store.load(KeyUse::Ledger, "1"));
        let own = own.ok().map(|key| key.verifying_key().clone());
        let directory = config.data.as_path().join("directory");
        let anchor = entente_follow::Anchor::load(config.anchor.as_path())?;
        let shards = match HeldView::borrow(anchor, &directory, screen).await {
            Ok(view) => {
                let live = view.state.shards(&config.server, Mode::Live);
                let test = view.state.shards(&config.server, Mode::Test);
                let named = live.iter().chain(test).filter_map(|shard| {
                    let (_, name) = shard.origin.rsplit_once('/')?;
                    Some((name.to_owned(), shard.key.clone()))
                });
                named.collect()
            }
            // Its own key is at hand all the same.
            Err(_) => Vec::new(),
        };
        Ok(Self { shards, own })
    }

    fn of_shard(&self, shard: &str) -> Option<VerifyingKey> {
        let named = self.shards.iter().find(|(name, _)| name == shard);
        named
            .map(|(_, key)| key.clone())
            .or_else(|| self.own.clone())
    }
}

fn failure(error: &BackupError, screen: &Screen) -> Failure {
    let fact = |text, path: &Path| screen.text(text, &[("path", &path.display())]);
    match error {
        BackupError::Config(error) => (**error).clone().into(),
        BackupError::Occupied { path } => {
            let aside = format!("mv {0} {0}.old", path.display());
            Failure::new(Exit::Refused, fact(Text::BackupOccupied, path)).note(Text::LabelDo, aside)
        }
        BackupError::NoBackup { path } => {
            Failure::new(Exit::NotFound, fact(Text::BackupNone, path))
                .note(Text::LabelDo, screen.text(Text::BackupAnotherDo, &[]))
        }
        BackupError::Differs { path } => {
            Failure::new(Exit::Integrity, fact(Text::BackupDiffers, path))
                .note(Text::LabelDo, screen.text(Text::BackupAnotherDo, &[]))
        }
        BackupError::NoKeys => Failure::new(Exit::NotFound, screen.text(Text::BackupNoKeys, &[]))
            .note(Text::LabelDo, screen.text(Text::BackupNoKeysDo, &[])),
        BackupError::OtherServer { found, expected } => {
            let facts: [Fact<'_>; 2] = [("found", found), ("expected", expected)];
            Failure::new(Exit::Usage, screen.text(Text::BackupOther, &facts))
                .note(Text::LabelDo, screen.text(Text::BackupAnotherDo, &[]))
        }
        BackupError::Damaged { shard, file } => {
            let facts: [Fact<'_>; 2] = [("dir", shard), ("file", file)];
            Failure::new(Exit::Integrity, screen.text(Text::IntegrityFailed, &facts))
                .note(Text::LabelDo, screen.text(Text::IntegrityDo, &[]))
        }
        BackupError::Busy { .. } => Failure::of(Exit::Failed, error)
            .note(Text::LabelDo, screen.text(Text::BackupBusyDo, &[])),
        BackupError::Unknown { .. } => Failure::of(Exit::NotFound, error)
            .note(Text::LabelDo, screen.text(Text::BackupUnknownDo, &[])),
        error => Failure::of(Exit::Failed, error),
    }
}

fn show_made(args: &BackupArgs, made: &Made, screen: &Screen) {
    let left_out = left_out(made);
    let value = json!({
        "to": args.to,
        "files": made.files,
        "bytes": made.bytes,
        "shards": shards(&made.shards),
        "with_keys": made.with_keys,
        "was_down": made.was_down,
        "left_out": left_out.iter().map(|(name, _)| name).collect::<Vec<_>>(),
    });
    screen.show("server.backup", value, |screen| {
        let facts: [Fact<'_>; 3] = [
            ("to", &args.to.display()),
            ("files", &made.files),
            ("bytes", &made.bytes),
        ];
        print_out(screen.green(&screen.text(Text::BackupMade, &facts)));
        print_shards(&made.shards, screen);
        for (name, why) in left_out {
            let why = screen.text(why, &[]);
            let facts: [Fact<'_>; 2] = [("name", &name), ("why", &why)];
            print_out(format!("  {}", screen.text(Text::BackupLeftOut, &facts)));
        }
    });
}

/// What is not in a backup, and why.
fn left_out(made: &Made) -> Vec<(&'static str, Text)> {
    let mut left_out = vec![
        ("keys/kek", Text::BackupNoKek),
        ("keys/newest-checkpoint", Text::BackupNoMark),
        ("data/directory", Text::BackupFetched),
        ("data/store", Text::BackupRebuilt),
    ];
    if !made.with_keys {
        left_out.insert(0, ("keys", Text::BackupKeysAside));
    }
    left_out
}

fn show_put_back(args: &RestoreArgs, put_back: &PutBack, screen: &Screen) {
    let file = args.config.display();
    let value = json!({
        "server": put_back.server,
        "made_at": put_back.made_at,
        "data": put_back.data,
        "shards": shards(&put_back.shards),
        "keys": put_back.keys,
        "with_config": put_back.with_config,
    });
    screen.show("server.restored", value, |screen| {
        let facts: [Fact<'_>; 3] = [
            ("server", &put_back.server),
            ("at", &put_back.made_at),
            ("data", &put_back.data.display()),
        ];
        print_out(screen.green(&screen.text(Text::RestoreDone, &facts)));
        print_shards(&put_back.shards, screen);
        print_out(format!("  {}", screen.text(Text::RestoreShard, &[])));
        print_out(format!("  entente doctor -c {file}"));
        print_out(format!("  entente serve security-server --config {file}"));
    });
}

fn shards(shards: &[Shard]) -> Vec<Value> {
    let shards = shards.iter().map(
        |shard| json!({ "shard": shard.name, "ledger": shard.origin, "entries": shard.entries, "signed": shard.signed }),
    );
    shards.collect()
}

fn print_shards(shards: &[Shard], screen: &Screen) {
    for shard in shards {
        let facts: [Fact<'_>; 3] = [
            ("shard", &shard.name),
            ("entries", &shard.entries),
            ("signed", &shard.signed),
        ];
        print_out(format!("  {}", screen.text(Text::BackupShard, &facts)));
    }
}
