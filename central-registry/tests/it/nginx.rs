//! Debian's nginx over the files of a registry's ledger, as a mirror.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use entente_tls::http::HttpUrl;
use tempfile::TempDir;

/// A web server that knows nothing of registries. Ended with the test.
pub(crate) struct Nginx {
    process: Child,
    pub(crate) at: HttpUrl,
    dir: TempDir,
}

/// What it answered to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answered {
    pub(crate) path: String,
    pub(crate) status: u16,
    pub(crate) bytes: u64,
}

// === impl Nginx ===

impl Nginx {
    /// Serves the ledger and the blobs of a registry's data folder, as the operator's guide has it.
    pub(crate) async fn over(data: &Path) -> Self {
        // It cannot say which port it took: one that was free a moment ago, or the next.
        for _ in 0..10 {
            if let Some(nginx) = Self::start(data).await {
                return nginx;
            }
        }
        panic!("nginx does not start: see its words above");
    }

    async fn start(data: &Path) -> Option<Self> {
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let dir = tempfile::tempdir().unwrap();
        let configuration = format!(
            "user root;
worker_processes 1;
daemon off;
error_log stderr error;
pid nginx.pid;
events {{ worker_connections 64; }}
http {{
    log_format answered '$request_uri $status $body_bytes_sent';
    access_log access.log answered;
    client_body_temp_path tmp;
    proxy_temp_path tmp;
    fastcgi_temp_path tmp;
    uwsgi_temp_path tmp;
    scgi_temp_path tmp;
    default_type application/octet-stream;
    server {{
        listen 127.0.0.1:{port};
        root {data}/ledger/log;
        location / {{ return 404; }}
        location = /checkpoint {{ }}
        location /tile/ {{ }}
        location /blob/ {{ alias {data}/blob/; }}
    }}
}}
",
            data = data.display()
        );
        std::fs::write(dir.path().join("nginx.conf"), configuration).unwrap();
        let mut process = Command::new("nginx")
            .args(["-c", "nginx.conf", "-e", "stderr", "-p"])
            .arg(dir.path())
            .stdin(Stdio::null())
            .spawn()
            .expect("nginx, which `cargo xtask needs` installs");
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        for _ in 0..1_000 {
            tick.tick().await;
            if process.try_wait().unwrap().is_some() {
                return None;
            }
            // Our own: another that took the port would not have the process's file.
            let listens = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
            if listens.is_ok() && dir.path().join("nginx.pid").exists() {
                let at = format!("http://127.0.0.1:{port}").parse().unwrap();
                return Some(Self { process, at, dir });
            }
        }
        None
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("access.log")
    }

    /// What it answered since this was asked last, once there are so many answers: it writes them down
    /// after it gave them.
    pub(crate) async fn answered(&self, count: usize) -> Vec<Answered> {
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        let lines = async {
            loop {
                tick.tick().await;
                let text = std::fs::read_to_string(self.log()).unwrap_or_default();
                if text.lines().count() >= count && text.ends_with('\n') {
                    return text;
                }
            }
        };
        let lines = tokio::time::timeout(crate::town::LONG, lines).await;
        let lines = lines.expect("so many answers");
        // It appends: what is cut off here is not written again.
        std::fs::write(self.log(), "").unwrap();
        let answered = lines.lines().map(|line| {
            let words: Vec<_> = line.split(' ').collect();
            let [path, status, bytes] = words[..] else {
                panic!("{line:?}");
            };
            Answered {
                path: path.to_owned(),
                status: status.parse().unwrap(),
                bytes: bytes.parse().unwrap(),
            }
        });
        answered.collect()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The worker ends with its parent's word; killed, it would go on alone.
        let quit = Command::new("nginx")
            .args(["-c", "nginx.conf", "-e", "stderr", "-s", "stop", "-p"])
            .arg(self.dir.path())
            .status();
        if !quit.is_ok_and(|status| status.success()) {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}
