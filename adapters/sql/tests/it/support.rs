//! A folder with a contract, an adapter file and a source; and calls in JSON.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use entente_adapter_sdk::{Adapter, AdapterError, Context, Standing, fake};
use entente_adapter_sql::{OpenError, OpenOptions, SqlAdapter};
use entente_clock::{ManualClock, Timestamp};
use entente_contract::Direction;
use entente_identity::MethodName;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) struct Fixture {
    pub(crate) folder: TempDir,
    pub(crate) clock: ManualClock,
}

pub(crate) struct Running {
    pub(crate) adapter: SqlAdapter,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock: ManualClock::at(Timestamp::from_millis(1_800_000_000_000)),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes `things.db` from a script.
    pub(crate) fn database(&self, script: &str) {
        let path = self.path("things.db");
        let _ = std::fs::remove_file(&path);
        let connection = rusqlite::Connection::open(path).unwrap();
        connection.execute_batch(script).unwrap();
    }

    pub(crate) fn options(&self) -> OpenOptions {
        OpenOptions {
            clock: Arc::new(self.clock.clone()),
            ..OpenOptions::default()
        }
    }

    /// Opens `text` as an adapter file over the contract `contracts/<contract>.proto`.
    pub(crate) async fn open(&self, contract: &str, text: &str) -> Result<Running, OpenError> {
        std::fs::write(self.path("all.binpb"), descriptors(contract)).unwrap();
        let path = self.path("adapter.yaml");
        std::fs::write(&path, text).unwrap();
        let adapter = SqlAdapter::open(&path, &self.options()).await?;
        Ok(Running { adapter })
    }

    /// An adapter over `things.db` whose `methods:` are given.
    pub(crate) async fn things(&self, methods: &str) -> Running {
        self.open("things", &things_file(methods)).await.unwrap()
    }
}

impl Running {
    pub(crate) fn method(&self, name: &str) -> MethodName {
        format!("{}/{name}", self.adapter.contract().service())
            .parse()
            .unwrap()
    }

    /// A context that releases everything.
    pub(crate) fn context(&self, method: &str) -> Context {
        let contract = self.adapter.contract();
        let method = self.method(method);
        fake::context(contract.elements(&method, Direction::Response).unwrap())
    }

    pub(crate) async fn call(&self, method: &str, request: &str) -> Result<Value, AdapterError> {
        self.call_as(self.context(method), method, request).await
    }

    pub(crate) async fn call_as(
        &self,
        context: Context,
        method: &str,
        request: &str,
    ) -> Result<Value, AdapterError> {
        let contract = self.adapter.contract();
        let method = self.method(method);
        let request = contract
            .decode_json(&method, Direction::Request, request)
            .unwrap();
        let answer = self.adapter.call(context, &method, request).await?;
        Ok(contract
            .encode_json(&method, Direction::Response, &answer.message)
            .unwrap())
    }

    /// The reason of a refusal.
    pub(crate) async fn refusal(&self, method: &str, request: &str) -> String {
        let refused = self.call(method, request).await.unwrap_err();
        refused.code().to_owned()
    }

    pub(crate) fn standing(&self, method: &str) -> Standing {
        let description = self.adapter.describe();
        let state = description
            .methods
            .iter()
            .find(|state| state.method == method);
        state.unwrap().standing
    }
}

pub(crate) fn things_file(methods: &str) -> String {
    format!(
        "adapter: v1\nname: things\nservice: test.things.v1.Things\ndescriptors: ./all.binpb\n\
         sources:\n  db: {{sql: {{driver: sqlite, file: ./things.db, pool: {{max: 2}}}}}}\n\
         limits: {{rate: 1000/s, rows: 3, bytes: 64KiB}}\nmethods:\n{methods}"
    )
}

pub(crate) fn descriptors(contract: &str) -> Vec<u8> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [here.join("tests/it/contracts"), here.join("../../proto")];
    let mut compiler = protox::Compiler::new(folders).unwrap();
    compiler.include_imports(true).include_source_info(false);
    compiler.open_file(format!("{contract}.proto")).unwrap();
    compiler.encode_file_descriptor_set()
}
