//! A registry that holds a made-up country: its folder written at once, and the real role over it.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use entente_central_registry::{CentralRegistry, Config, Deps};
use entente_clock::SystemClock;
use entente_keys::{KeyStore, KeyUse};
use entente_ledger::disk::{RealDisk, durable};
use entente_ledger::{Append, Ledger, LedgerConfig, NoCompanion, Runner};
use entente_signing::{Digest, Ed25519Key, P256Key};
use entente_tls::net::TokioNet;

use crate::country::{JURISDICTION, ORIGIN, ledger_key, registrar_key};
use crate::pack::{Entries, each_blob};

/// Makes the registry of the country in a folder, in the folder `registry` of it.
///
/// # Errors
/// When it cannot be written.
pub(crate) async fn found(country: &Path) -> anyhow::Result<()> {
    let config = config(country)?;
    let (data, keys) = (config.data.as_path(), config.keys.as_path());
    std::fs::create_dir_all(data.join("blob"))?;
    ensure!(durable::claim(&RealDisk, data, FORMAT)?, "a folder in use");
    let store = KeyStore::open(keys)?;
    let tls = P256Key::generate()?;
    let (changes, state) = (ledger_key()?, registrar_key()?);
    store.import(KeyUse::Ledger, "changes", &changes.to_pkcs8_der()?)?;
    store.import(KeyUse::Registrar, "state", &state.to_pkcs8_der()?)?;
    store.import(KeyUse::Tls, "registry", &tls.to_pkcs8_der()?)?;
    each_blob(country, |blob| {
        let path = data.join("blob").join(Digest::of(blob).to_string());
        Ok(std::fs::write(path, blob)?)
    })?;
    append(&config, changes, Entries::open(country)?).await
}

/// Appends what happened later in the country to its registry, which is not served meanwhile.
///
/// # Errors
/// When it cannot be written.
pub(crate) async fn grow(country: &Path) -> anyhow::Result<()> {
    append(&config(country)?, ledger_key()?, Entries::later(country)?).await
}

async fn append(config: &Config, key: Ed25519Key, entries: Entries) -> anyhow::Result<()> {
    let mut ledger = LedgerConfig::new(
        config.data.as_path().join("ledger"),
        ORIGIN,
        Arc::new(key),
        Arc::new(RealDisk),
        Box::new(NoCompanion),
        Arc::new(SystemClock),
    );
    ledger.preallocate = false;
    let ledger = Ledger::open(ledger, Runner::Thread).await?;
    let mut waiting = Vec::new();
    for entry in entries {
        let (entry, attachment) = (entry?, None);
        waiting.push(Append { entry, attachment });
        if waiting.len() == AT_ONCE {
            ledger.append_all(std::mem::take(&mut waiting)).await?;
        }
    }
    ledger.append_all(waiting).await?;
    ledger.publish_now().await?;
    Ok(ledger.shutdown().await?)
}

/// Serves the registry until stdin ends. Writes its anchor, and says so, once it answers.
///
/// # Errors
/// When it cannot be started, or stopped in order.
pub async fn serve(country: &Path, told: &mut dyn FnMut(String)) -> anyhow::Result<()> {
    let deps = Deps {
        clock: Arc::new(SystemClock),
        net: Arc::new(TokioNet),
        disk: Arc::new(RealDisk),
        runner: Runner::Thread,
    };
    let running = CentralRegistry::start(config(country)?, deps).await?;
    std::fs::write(anchor_of(country), running.anchor().to_string())?;
    told(format!("{SERVING}{}", running.size()));
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    ended.await?.context("waiting for stdin to end")?;
    Ok(running.shutdown().await?)
}

pub(crate) fn anchor_of(country: &Path) -> PathBuf {
    country.join("registry").join("anchor.yaml")
}

fn config(country: &Path) -> anyhow::Result<Config> {
    let folder = country.join("registry");
    let at = |name: &str| folder.join(name).display().to_string();
    let text = format!(
        "jurisdiction: {JURISDICTION}\nlisten: 127.0.0.1:0\ndata: {}\nkeys: {}\nanchor: {}\n",
        at("data"),
        at("keys"),
        at("anchor.yaml"),
    );
    std::fs::create_dir_all(&folder)?;
    Ok(entente_config::parse(&text, "registry")?)
}

/// What [`serve`] says first, before the size of its ledger.
pub(crate) const SERVING: &str = "serving ";
/// What the role's own data folder says.
const FORMAT: &str = "entente-registry 1\n";
const AT_ONCE: usize = 256;
