//! A member with one server: its folder, its configuration and its keys.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context as _;
use entente_follow::Anchor;
use entente_identity::{MemberId, ServerId, SystemId};
use entente_keys::KeyStore;
use entente_security_server::enrol::ServerKeys;
use entente_signing::{P256Key, Signer};

/// One member with one server.
#[derive(Debug)]
pub struct Site {
    /// The member.
    pub member: MemberId,
    /// Its server.
    pub server: ServerId,
    /// Its one system.
    pub system: SystemId,
    /// Where the server's configuration is.
    pub config: PathBuf,
    /// The folder of the site.
    pub dir: PathBuf,
    /// The address peers reach the server at.
    pub address: String,
    pub(super) officer: Arc<dyn Signer>,
    /// Signs for the member.
    pub key: Arc<dyn Signer>,
    /// The server's key, when it is not in its folder.
    pub(super) server_key: Option<Arc<dyn Signer>>,
}

/// The keys of a site that are in a token.
#[derive(Clone, Debug)]
pub struct InToken {
    /// The member's.
    pub member: Arc<dyn Signer>,
    /// The server's.
    pub server: Arc<dyn Signer>,
    /// Where the server finds its own.
    pub server_uri: String,
}

// === impl Site ===

impl Site {
    /// A folder with a configuration and new keys.
    pub(super) fn lay_out(
        dir: &Path,
        anchor: &Anchor,
        member: &str,
        system: &str,
        systems: &str,
    ) -> anyhow::Result<Self> {
        let dir = dir.join(member);
        let address = own_address();
        let member: MemberId = format!("ca-demo/{member}").parse()?;
        let site = Self {
            server: format!("{member}/@ss1").parse()?,
            system: format!("{member}/{system}").parse()?,
            config: dir.join("server.yaml"),
            officer: Arc::new(P256Key::generate()?),
            key: Arc::new(P256Key::generate()?),
            server_key: None,
            address,
            member,
            dir,
        };
        write(&site.dir.join("anchor.yaml"), &anchor.to_string())?;
        let text = format!(
            "server: {}\ndata: ./data\nkeys: ./keys\nanchor: ./anchor.yaml\n\
             peer: {{listen: \"{}\"}}\nadmin: {{listen: \"127.0.0.1:0\"}}\n\
             systems:\n  {}:\n{systems}",
            site.server, site.address, site.system,
        );
        write(&site.config, &text)?;
        Ok(site)
    }

    pub(super) fn keep_in_token(&mut self, keys: InToken) -> anyhow::Result<()> {
        let line = format!("server_key: \"{}\"\n", keys.server_uri);
        let text = std::fs::read_to_string(&self.config)?;
        write(&self.config, &[line, text].concat())?;
        self.key = keys.member;
        self.server_key = Some(keys.server);
        Ok(())
    }

    /// The keys its server has in its folder.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn server_keys(&self) -> anyhow::Result<ServerKeys> {
        Ok(ServerKeys::load_or_create(&self.key_store()?)?)
    }

    /// Its server's key folder.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn key_store(&self) -> anyhow::Result<KeyStore> {
        Ok(KeyStore::open(self.dir.join("keys"))?)
    }

    /// The socket its consumer system calls.
    pub fn caller_socket(&self) -> PathBuf {
        self.dir.join("caller.sock")
    }

    /// The socket its provider system answers at.
    pub fn source_socket(&self) -> PathBuf {
        self.dir.join("source.sock")
    }

    /// The folder of one shard of its access ledger, as in `2026h2.1`.
    pub fn shard_dir(&self, shard: &str) -> PathBuf {
        self.dir.join("data/ledger").join(shard)
    }

    /// The folder of its newest access ledger.
    ///
    /// # Errors
    /// When there is none.
    pub fn ledger_dir(&self) -> anyhow::Result<PathBuf> {
        let shards = std::fs::read_dir(self.dir.join("data/ledger"))?;
        let mut folders: Vec<PathBuf> = shards
            .flatten()
            .map(|item| item.path())
            .filter(|path| path.is_dir())
            .collect();
        folders.sort();
        folders.pop().context("no ledger yet")
    }
}

/// A loopback address no other test uses: scenarios run side by side, also in other processes.
pub fn own_address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::SeqCst);
    let process = std::process::id();
    let [_, _, high, low] = process.to_be_bytes();
    format!(
        "127.{}.{high}.{low}:{}",
        1 + (process >> 16) % 250,
        20_000 + next
    )
}

pub(super) fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    Ok(std::fs::write(path, text)?)
}
