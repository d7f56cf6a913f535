//! The chains that are compared: which processes each consists of, and how a load reaches it.

use std::fs;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::nginx;
use super::running::Running;
use crate::workspace;

/// Folders, binaries and what all cases share.
#[derive(Debug)]
pub(crate) struct Site {
    /// `bench-peer`.
    peer: PathBuf,
    /// `entente`.
    pub(crate) entente: PathBuf,
    /// Ledgers, keys, logs: on the disk that is to be measured.
    pub(crate) data: Folder,
    /// Unix sockets, whose paths must be short.
    pub(crate) sockets: Folder,
    /// The provider's system behind every chain of servers.
    echo: Running,
}

/// A folder that is removed when dropped.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

/// A chain of running servers.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// How the load reaches it.
    pub(crate) to: Vec<String>,
    /// The servers whose time and memory count.
    pub(crate) servers: Vec<u32>,
    /// What else works for this case and is not foreign: an echo of its own, the registry.
    pub(crate) others: Vec<u32>,
    /// Ended with the case, in this order: consumer side first.
    running: Vec<Running>,
}

/// What the federation's builder says of it.
#[derive(Debug)]
struct Federation {
    /// Configuration files of the two servers.
    consumer: String,
    provider: String,
    /// The socket of the consumer's system.
    caller: PathBuf,
    /// Where the provider's server listens for peers.
    peer: String,
    /// Where the provider's system has to listen.
    source: String,
    /// What the consumer's system says with each call, as `key=value`.
    metadata: Vec<String>,
}

// === impl Site ===

impl Site {
    /// Makes the folders and keys and starts the echo. `bin` holds the binaries.
    pub(crate) fn new(bin: &Path) -> anyhow::Result<Self> {
        let id = std::process::id();
        let data = Folder::new(workspace::target().join("bench").join(id.to_string()))?;
        let sockets = Folder::new(std::env::temp_dir().join(format!("entente-bench-{id}")))?;
        let peer = bin.join("bench-peer");
        let made = Command::new(&peer)
            .arg("keys")
            .arg(data.path().join("keys"))
            .args(["client", "echo", "hop-a", "hop-b", "nginx-a", "nginx-b"])
            .status()
            .with_context(|| format!("starting {}", peer.display()))?;
        if !made.success() {
            bail!("making keys: {made}");
        }
        let listen = format!("unix:{}", sockets.path().join("echo").display());
        let mut echo = Running::start(
            "echo",
            &peer,
            &words(&["echo", "--listen", &listen]),
            data.path(),
        )?;
        echo.line(listening)?;
        Ok(Self {
            peer,
            entente: bin.join("entente"),
            data,
            sockets,
            echo,
        })
    }

    /// Where the echo behind the proxies listens.
    fn echo_socket(&self) -> PathBuf {
        self.sockets.path().join("echo")
    }

    /// The client calls the echo itself, over mutual TLS.
    pub(crate) fn direct(&self) -> anyhow::Result<Case> {
        let args = ["echo", "--listen", "127.0.0.1:0", "--admit"];
        let mut args = words(&args);
        args.extend([
            self.key("client"),
            "--identity".to_owned(),
            self.key("echo"),
        ]);
        let (echo, at) = self.listening("direct-echo", &args)?;
        let mut to = words(&["--to", &at, "--expect"]);
        to.extend([
            self.key("echo"),
            "--identity".to_owned(),
            self.key("client"),
        ]);
        Ok(Case {
            name: "direct",
            to,
            servers: vec![echo.pid()],
            others: Vec::new(),
            running: vec![echo],
        })
    }

    /// Two raw proxies: plain in, mutual TLS between them, plain out.
    pub(crate) fn hops2(&self) -> anyhow::Result<Case> {
        let echo = format!("unix:{}", self.echo_socket().display());
        let mut args = words(&["hop", "--listen", "127.0.0.1:0", "--to", &echo, "--admit"]);
        args.extend([
            self.key("hop-a"),
            "--identity".to_owned(),
            self.key("hop-b"),
        ]);
        let (b, between) = self.listening("hop-b", &args)?;
        let front = format!("unix:{}", self.sockets.path().join("hop-a").display());
        let mut args = words(&["hop", "--listen", &front, "--to", &between, "--expect"]);
        args.extend([
            self.key("hop-b"),
            "--identity".to_owned(),
            self.key("hop-a"),
        ]);
        let (a, _) = self.listening("hop-a", &args)?;
        Ok(Case {
            name: "hops2",
            to: words(&["--to", &front]),
            servers: vec![a.pid(), b.pid()],
            others: vec![self.echo.pid()],
            running: vec![a, b],
        })
    }

    /// nginx twice, wired as the raw proxies are.
    pub(crate) fn nginx2(&self) -> anyhow::Result<Case> {
        let keys = self.data.path().join("keys");
        let port = nginx::free_port()?;
        let front = self.sockets.path().join("nginx-a");
        let b = nginx::provider_side(&keys, port, &self.echo_socket());
        let mut b = self.nginx("nginx-b", &b)?;
        b.wait_until(|| TcpStream::connect(("127.0.0.1", port)).is_ok())?;
        let a = nginx::consumer_side(&keys, &front, port);
        let mut a = self.nginx("nginx-a", &a)?;
        a.wait_until(|| UnixStream::connect(&front).is_ok())?;
        // The master only waits: the workers are the servers.
        let servers = [a.children()?, b.children()?].concat();
        Ok(Case {
            name: "nginx2",
            to: words(&["--to", &format!("unix:{}", front.display())]),
            servers,
            others: vec![self.echo.pid()],
            running: vec![a, b],
        })
    }

    /// The product: two security servers, which sign, seal and log durably, under an agreement.
    pub(crate) fn exchange(&self) -> anyhow::Result<Case> {
        let folder = self.data.path().join("federation");
        let args = words(&["federation", &folder.display().to_string()]);
        let mut registry = Running::start("registry", &self.peer, &args, self.data.path())?;
        let made = registry.line(Federation::parse)?;
        let (echo, _) = self.listening("source", &words(&["echo", "--listen", &made.source]))?;
        let mut b = self.security_server("provider", &made.provider)?;
        b.wait_until(|| TcpStream::connect(&made.peer).is_ok())?;
        let mut a = self.security_server("consumer", &made.consumer)?;
        a.wait_until(|| UnixStream::connect(&made.caller).is_ok())?;
        let mut to = words(&["--to", &format!("unix:{}", made.caller.display())]);
        for pair in &made.metadata {
            to.extend(["--metadata".to_owned(), pair.clone()]);
        }
        Ok(Case {
            name: "exchange",
            to,
            servers: vec![a.pid(), b.pid()],
            others: vec![echo.pid(), registry.pid()],
            running: vec![a, b, echo, registry],
        })
    }

    /// Where ledgers are written.
    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    /// Runs one load to its end and returns what it printed.
    pub(crate) fn load(&self, args: &[String], limit: Duration) -> anyhow::Result<String> {
        let mut all = words(&["load"]);
        all.extend_from_slice(args);
        let mut load = Running::start("load", &self.peer, &all, self.data.path())?;
        // The load measures for a fixed time, so a late line means that it hangs.
        let line =
            load.line_within(limit, |line| line.starts_with('{').then(|| line.to_owned()))?;
        load.wait(Duration::from_secs(5))?;
        Ok(line)
    }

    fn listening(&self, name: &str, args: &[String]) -> anyhow::Result<(Running, String)> {
        let mut running = Running::start(name, &self.peer, args, self.data.path())?;
        let at = running.line(listening)?;
        Ok((running, at))
    }

    fn security_server(&self, name: &str, config: &str) -> anyhow::Result<Running> {
        let args = words(&["serve", "security-server", "--config", config]);
        Running::start_logging(name, &self.entente, &args, self.data.path())
    }

    fn nginx(&self, name: &str, configuration: &str) -> anyhow::Result<Running> {
        let prefix = self.data.path().join(name);
        fs::create_dir_all(&prefix).with_context(|| format!("making {}", prefix.display()))?;
        let file = prefix.join("nginx.conf");
        fs::write(&file, configuration).with_context(|| format!("writing {}", file.display()))?;
        let prefix = format!("{}/", prefix.display());
        let args = words(&["-p", &prefix, "-c", "nginx.conf", "-e", "stderr"]);
        Running::start(name, Path::new("nginx"), &args, self.data.path())
    }

    fn key(&self, name: &str) -> String {
        self.data
            .path()
            .join("keys")
            .join(name)
            .display()
            .to_string()
    }
}

// === impl Case ===

impl Case {
    /// What each process said last, for when a measurement fails.
    pub(crate) fn last_words(&self) -> String {
        let words: Vec<String> = self.running.iter().map(Running::last_words).collect();
        words.join("\n")
    }
}

// === impl Federation ===

impl Federation {
    /// Reads the line that `bench-peer federation` prints when the registry serves it.
    fn parse(line: &str) -> Option<Self> {
        let said: Value = serde_json::from_str(line.strip_prefix("federation ")?).ok()?;
        let text = |key: &str| said[key].as_str().map(str::to_owned);
        let metadata = said["metadata"].as_array()?.iter();
        Some(Self {
            consumer: text("consumer")?,
            provider: text("provider")?,
            caller: text("caller")?.into(),
            peer: text("peer")?,
            source: text("source")?,
            metadata: metadata
                .map(|pair| pair.as_str().map(str::to_owned))
                .collect::<Option<_>>()?,
        })
    }
}

// === impl Folder ===

impl Folder {
    pub(crate) fn new(path: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left lies under target or the system's temporary folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a bench-peer says when it listens.
fn listening(line: &str) -> Option<String> {
    line.strip_prefix("listening ").map(str::to_owned)
}

/// Words as a process takes them.
pub(crate) fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_federation_is_read_from_its_line() {
        let line = r#"federation {"consumer": "c.yaml", "provider": "p.yaml", "caller": "/s",
            "peer": "127.0.0.1:1", "source": "unix:/e", "metadata": ["a=b"]}"#;
        let federation = Federation::parse(line).unwrap();
        assert_eq!(federation.caller, Path::new("/s"));
        assert_eq!(federation.metadata, ["a=b"]);
        assert!(Federation::parse("listening 127.0.0.1:1").is_none());
        assert!(Federation::parse("federation {}").is_none());
    }

    #[test]
    fn a_dropped_folder_is_gone() {
        let path = std::env::temp_dir().join(format!("entente-folder-{}", std::process::id()));
        let folder = Folder::new(path.clone()).unwrap();
        assert!(folder.path().is_dir());
        drop(folder);
        assert!(!path.exists());
    }
}
