//! Log lines.

use std::io;
use std::sync::{Arc, Mutex};

use entente_clock::{ManualClock, Timestamp};
use entente_telemetry::{LogHandle, LogOutput, Logging, Personal};
use serde_json::Value;
use tracing::subscriber::with_default;
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn logging(filter: &str) -> Logging {
    Logging {
        filter: filter.into(),
        output: LogOutput::Stderr,
        clock: Arc::new(ManualClock::at(Timestamp::from_millis(1_795_305_600_007))),
    }
}

fn logged(filter: &str, work: impl FnOnce(&LogHandle)) -> Vec<Value> {
    let lines = Lines::default();
    let (subscriber, handle) = logging(filter).subscriber(lines.clone()).unwrap();
    with_default(subscriber, || work(&handle));
    let bytes = lines.0.lock().unwrap();
    str::from_utf8(&bytes)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn each_line_is_one_object_with_its_event_at_the_top() {
    let lines = logged("info", |_| {
        let span = tracing::info_span!(target: "entente", "exchange", id = "9f2c");
        let _within = span.enter();
        tracing::info!(
            target: "entente",
            event = "server.ready",
            port = 7443,
            "line\nbreak \"quoted\""
        );
    });
    assert_eq!(lines.len(), 1);
    let line = &lines[0];
    assert_eq!(line["event"], "server.ready");
    assert_eq!(line["port"], 7443);
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["timestamp"], "2026-11-22T00:00:00.007Z");
    assert_eq!(line["message"], "line\nbreak \"quoted\"");
    assert_eq!(line["span"]["id"], "9f2c");
}

#[test]
fn libraries_are_heard_at_warnings_only_whatever_the_filter_says() {
    let lines = logged("trace", |_| {
        tracing::debug!(target: "h2::codec", headers = "entente-user: jane");
        tracing::info!(target: "hyper::proto", headers = "entente-user: jane");
        tracing::warn!(target: "h2", event = "heard");
        tracing::trace!(target: "entente_ledger", event = "heard");
    });
    let events: Vec<_> = lines.iter().map(|line| &line["event"]).collect();
    assert_eq!(events, ["heard", "heard"]);
}

#[test]
fn the_filter_can_be_changed_while_running() {
    let lines = logged("warn", |handle| {
        tracing::info!(event = "before");
        handle.set_filter("info").unwrap();
        tracing::info!(event = "after");
        assert!(handle.set_filter("a=b=c").is_err());
        tracing::info!(event = "still");
    });
    // This test's own target does not begin with `entente`, so it is held to warnings too.
    assert!(lines.is_empty());

    let lines = logged("warn", |handle| {
        tracing::info!(target: "entente", event = "before");
        handle.set_filter("info").unwrap();
        tracing::info!(target: "entente", event = "after");
        assert!(handle.set_filter("a=b=c").is_err());
        tracing::info!(target: "entente", event = "still");
    });
    let events: Vec<_> = lines.iter().map(|line| &line["event"]).collect();
    assert_eq!(events, ["after", "still"]);
    assert!(logging("a=b=c").subscriber(io::sink).is_err());
}

#[test]
fn a_personal_value_is_never_shown() {
    let name = Personal::new("Jane Citizen".to_owned());
    assert_eq!(
        format!("{name} {name:?} {name:#?}"),
        "[personal] [personal] [personal]"
    );
    let lines = logged("info", |_| {
        tracing::warn!(event = "test", user = %name, again = ?Some(&name));
    });
    let text = lines[0].to_string();
    assert!(
        text.contains("[personal]") && !text.contains("Jane"),
        "{text}"
    );
    assert_eq!(name.expose(), "Jane Citizen");
    assert_eq!(name.into_exposed(), "Jane Citizen");
}
