//! A real PostgreSQL, started once for all tests of a run and stopped after it.
//!
//! It listens on a Unix socket only, in a folder of its own, and runs as an unprivileged user when
//! the tests run as root, because it refuses to be root.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio_postgres::{Client, Config, NoTls};

use crate::support::Fixture;

/// A database of one test.
pub(crate) struct Database {
    pub(crate) name: String,
    owner: Client,
}

/// The password of the role `reader`, which may log in and is granted nothing.
pub(crate) const PASSWORD: &str = "reader's \"password\"";

static FOLDER: OnceLock<PathBuf> = OnceLock::new();
static NEXT: AtomicU32 = AtomicU32::new(0);

impl Database {
    /// A new database with the role `reader` and what `script` makes.
    pub(crate) async fn create(script: &str) -> Self {
        let name = format!(
            "t{}_{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::SeqCst)
        );
        let maintenance = connect("postgres").await;
        maintenance
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .await
            .unwrap();
        let owner = connect(&name).await;
        owner.batch_execute(script).await.unwrap();
        Self { name, owner }
    }

    pub(crate) async fn run(&self, script: &str) {
        self.owner.batch_execute(script).await.unwrap();
    }

    pub(crate) async fn query(&self, sql: &str) -> String {
        self.owner.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// An adapter file over this database, and the password beside it.
    pub(crate) fn adapter_file(
        &self,
        fixture: &Fixture,
        name: &str,
        service: &str,
        methods: &str,
    ) -> String {
        self.adapter_file_as("reader", fixture, name, service, methods)
    }

    pub(crate) fn adapter_file_as(
        &self,
        role: &str,
        fixture: &Fixture,
        name: &str,
        service: &str,
        methods: &str,
    ) -> String {
        let secret = fixture.path("password");
        fs::write(&secret, format!("{PASSWORD}\n")).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        format!(
            "adapter: v1\nname: {name}\nservice: {service}\ndescriptors: ./all.binpb\n\
             sources:\n  db:\n    sql: {{driver: postgres, host: {}, database: {}, user: {role}, \
             password: {{file: ./password}}, pool: {{max: 2}}}}\n\
             limits: {{rate: 1000/s, rows: 3, bytes: 64KiB}}\nmethods:\n{methods}",
            socket_folder().display(),
            self.name
        )
    }
}

/// The folder of the server's socket.
pub(crate) fn socket_folder() -> &'static Path {
    FOLDER.get_or_init(start)
}

async fn connect(database: &str) -> Client {
    let mut config = Config::new();
    config
        .host_path(socket_folder())
        .user("postgres")
        .dbname(database);
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Starts the server, or finds the one another test of this run has started.
fn start() -> PathBuf {
    // Under nextest every test is a process of its own, and its parent lives as long as the run.
    let (run, keeper) = match std::env::var("NEXTEST_RUN_ID") {
        Ok(run) => (run, std::os::unix::process::parent_id()),
        Err(_) => (std::process::id().to_string(), std::process::id()),
    };
    let run: String = run
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(16)
        .collect();
    let folder = PathBuf::from(format!("/tmp/entente-pg-{run}"));
    let lock = File::create(format!("{}.lock", folder.display())).unwrap();
    lock.lock().unwrap();
    if !folder.join("ready").exists() {
        initialise(&folder, keeper);
        File::create(folder.join("ready")).unwrap();
    }
    folder
}

fn initialise(folder: &Path, keeper: u32) {
    let tools = tools();
    fs::create_dir_all(folder).unwrap();
    let root = fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt;
        own.uid() == 0
    });
    if root {
        chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let data = folder.join("data");
    let command = |tool: &str| {
        let tool = tools.join(tool);
        let mut command = if root {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
                .arg(tool);
            command
        } else {
            Command::new(tool)
        };
        command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    };
    let made = command("initdb")
        .arg("-D")
        .arg(&data)
        .args([
            "-U",
            "postgres",
            "--auth=trust",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C",
        ])
        .status()
        .unwrap();
    assert!(made.success(), "initdb failed");
    fs::write(
        data.join("pg_hba.conf"),
        "local all postgres trust\nlocal all all scram-sha-256\n",
    )
    .unwrap();
    let options = format!(
        "-c listen_addresses='' -c unix_socket_directories='{}' -c fsync=off -c max_connections=60",
        folder.display()
    );
    let started = command("pg_ctl")
        .arg("-D")
        .arg(&data)
        .args(["-w", "-t", "60", "-l"])
        .arg(folder.join("log"))
        .args(["-o", &options, "start"])
        .status()
        .unwrap();
    assert!(started.success(), "PostgreSQL did not start");
    keep(folder, &data, keeper, &tools, root);
    let setup = format!(
        "CREATE ROLE reader LOGIN PASSWORD '{}'",
        PASSWORD.replace('\'', "''")
    );
    // A runtime of its own: tests call this from within theirs.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let mut config = Config::new();
                config.host_path(folder).user("postgres").dbname("postgres");
                let (client, connection) = config.connect(NoTls).await.unwrap();
                let running = tokio::spawn(connection);
                client.batch_execute(&setup).await.unwrap();
                drop(client);
                running.await.unwrap().unwrap();
            });
        });
    });
}

/// Leaves a small process behind that stops the server once the run is over.
fn keep(folder: &Path, data: &Path, keeper: u32, tools: &Path, root: bool) {
    let user = if root {
        "setpriv --reuid=65534 --regid=65534 --clear-groups -- "
    } else {
        ""
    };
    let script = format!(
        "while kill -0 {keeper} 2>/dev/null; do sleep 1; done; \
         {user}'{}' -D '{}' -m immediate stop; rm -rf '{f}' '{f}.lock'",
        tools.join("pg_ctl").display(),
        data.display(),
        f = folder.display()
    );
    // In the background of a shell that ends at once: nobody is left to wait for it.
    let left = Command::new("sh")
        .args(["-c", "setsid sh -c \"$1\" </dev/null >/dev/null 2>&1 &"])
        .args(["sh", &script])
        .current_dir("/")
        .status()
        .unwrap();
    assert!(left.success());
}

/// The folder of initdb and pg_ctl: on the path, or where Debian keeps them.
fn tools() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"));
    std::env::split_paths(&path)
        .chain(debian)
        .find(|folder| folder.join("initdb").exists() && folder.join("pg_ctl").exists())
        .expect("install postgresql (Debian: apt-get install postgresql)")
}

const NOBODY: u32 = 65_534;
