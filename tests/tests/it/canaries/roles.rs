//! The federation as processes that log everything, and what each of them said.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use entente_tests::walk::until;
use entente_tests::world::{Site, World};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

use super::PLANTED;

/// A process of the federation.
pub(super) struct Role {
    child: Child,
    stdin: Option<ChildStdin>,
    admin: SocketAddr,
    name: String,
}

/// Starts processes, each with two files for what it says.
pub(super) struct Roles {
    folder: PathBuf,
    started: usize,
}

// === impl Roles ===

impl Roles {
    /// Whose files lie in `folder`.
    pub(super) fn logging_to(folder: &Path) -> Self {
        std::fs::create_dir(folder).unwrap();
        Self {
            folder: folder.to_owned(),
            started: 0,
        }
    }

    /// The registry of `world`, which must not run otherwise.
    pub(super) async fn registry(&mut self, world: &World) -> Role {
        let config = world.dir.join("registry/registry.yaml");
        self.start("registry", &config, &["registry"]).await
    }

    /// The server of `site`, and how it is startled.
    pub(super) async fn server(&mut self, site: &Site, how: &[&str]) -> Role {
        let words = [&["server"], how].concat();
        self.start(site.member.label(), &site.config, &words).await
    }

    async fn start(&mut self, name: &str, config: &Path, words: &[&str]) -> Role {
        self.started += 1;
        let name = format!("{}-{name}", self.started);
        let said = self.folder.join(format!("{name}.out"));
        let child = Command::new(env!("CARGO_BIN_EXE_canary-role"))
            .args(["--plant", PLANTED, "--config"])
            .arg(config)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(File::create_new(&said).unwrap())
            .stderr(File::create_new(self.folder.join(format!("{name}.err"))).unwrap())
            .kill_on_drop(true)
            .spawn();
        let mut child = child.unwrap();
        let admin = until(|| async {
            let text = std::fs::read_to_string(&said)?;
            let line = text.lines().find(|line| line.starts_with("{\"admin\""));
            let ready: serde_json::Value = serde_json::from_str(line.context("not ready")?)?;
            let admin = ready["admin"].as_str().context("no admin address")?;
            Ok(admin.parse()?)
        });
        let admin = match admin.await {
            Ok(admin) => admin,
            Err(error) => panic!(
                "{name}: {error:?}: {}",
                std::fs::read_to_string(&said).unwrap()
            ),
        };
        Role {
            stdin: child.stdin.take(),
            child,
            admin,
            name,
        }
    }
}

// === impl Role ===

impl Role {
    /// Its name among the processes.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What it shows operators, page by page.
    pub(super) async fn pages(&self) -> Vec<(String, Vec<u8>)> {
        let mut pages = Vec::new();
        for path in ["/metrics", "/readyz?verbose", "/livez?verbose", "/nowhere"] {
            let mut stream = TcpStream::connect(self.admin).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut page = Vec::new();
            let read = timeout(PATIENCE, stream.read_to_end(&mut page)).await;
            read.unwrap().unwrap();
            pages.push((format!("{} {path}", self.name), page));
        }
        pages
    }

    /// Lets it drain and end.
    pub(super) async fn stop(mut self) {
        drop(self.stdin.take());
        let ended = timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        assert!(ended.success(), "{} ended with {ended}", self.name);
    }

    /// Waits until it has aborted.
    pub(super) async fn aborted(mut self) {
        let ended = timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        assert!(!ended.success(), "{} ended well", self.name);
    }
}

const PATIENCE: Duration = Duration::from_secs(60);
