//! Every payload through every kind of bind, on both drivers: it arrives as data, or is refused.

use entente_adapter_sdk::AdapterError;
use serde_json::{Value, json};

use crate::corpus::PAYLOADS;
use crate::server::Database;
use crate::support::{Fixture, Running};

/// The binds; `{…}` is how each driver reads a text of the type.
const BINDS: &str = "
    bind:
      text:    {from: request.text, absent: null}
      checked: {from: request.checked, check: \"[A-Za-z' =-]+|[0-9]+\", absent: null}
      listed:  {from: request.listed, one_of: [OAS, \"' OR 1=1 --\"], absent: null}
      cleaned: {from: request.cleaned, remove: \" -'\", upper: true, max_length: 40, absent: null}
      number:  {from: request.number, type: int, absent: null}
      decimal: {from: request.decimal, type: decimal, absent: null}
      date:    {from: request.date, type: date, absent: null}
      time:    {from: request.time, type: timestamp, absent: null}
      flag:    {from: request.flag, type: bool, absent: null}
      raw:     {from: request.raw, absent: null}
    fields: {text: text, checked: checked, listed: listed, cleaned: cleaned, number: number,
             decimal: decimal, date: {column: date, type: date}, time: time, flag: flag, raw: raw}
";

const FIELDS: [&str; 9] = [
    "text", "checked", "listed", "cleaned", "number", "decimal", "date", "time", "flag",
];

async fn try_everything(adapter: &Running) -> usize {
    let mut arrived = 0;
    for payload in PAYLOADS {
        for field in FIELDS {
            let request = json!({ field: payload }).to_string();
            let answer = adapter.call("Echo", &request).await;
            arrived += usize::from(arrived_as_data(field, payload, answer));
        }
        let raw = json!({ "raw": base64(payload.as_bytes()) }).to_string();
        let answer = adapter.call("Echo", &raw).await.unwrap();
        assert_eq!(answer["raw"], base64(payload.as_bytes()), "{payload:?}");
        // The same value, looked up, finds nothing.
        let request = json!({ "name": payload }).to_string();
        let found = adapter.call("Find", &request).await.unwrap_err();
        assert!(
            ["NO_RECORD", "BAD_FIELD"].contains(&found.code()),
            "{payload:?}: {}",
            found.code()
        );
    }
    arrived
}

fn arrived_as_data(field: &str, payload: &str, answer: Result<Value, AdapterError>) -> bool {
    match answer {
        Err(error) => {
            assert_eq!(error.code(), "BAD_FIELD", "{field} {payload:?}");
            let shown = format!("{error:?} {error} {:?}", error.metadata());
            // Shorter ones are parts of our own words.
            if payload.len() >= 8 {
                assert!(!shown.contains(payload), "{field} {payload:?}: {shown}");
            }
            false
        }
        Ok(answer) => {
            let expected = match field {
                "cleaned" => payload.replace([' ', '-', '\''], "").to_uppercase(),
                _ => payload.to_owned(),
            };
            let echoed = answer[field].as_str().unwrap_or_default();
            assert_eq!(echoed, expected, "{field}");
            true
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk
            .iter()
            .chain([0, 0].iter())
            .take(3)
            .fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        for index in 0..4 {
            if index <= chunk.len() {
                let letter = word >> (18 - 6 * index) & 63;
                text.push(char::from(LETTERS[letter as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[test]
fn the_corpus_is_large_enough() {
    assert!(PAYLOADS.len() >= 60);
}

#[tokio::test]
async fn sqlite_takes_every_payload_as_data_or_refuses_it() {
    let fixture = Fixture::new();
    fixture.database(
        "CREATE TABLE secret (word TEXT); INSERT INTO secret VALUES ('canary');
         CREATE TABLE thing (name TEXT); INSERT INTO thing VALUES ('one'), ('two');",
    );
    let before = std::fs::read(fixture.path("things.db")).unwrap();
    let adapter = fixture
        .things(&format!(
            "  Echo:
    source: db
    query: |
      SELECT :text AS text, :checked AS checked, :listed AS listed, :cleaned AS cleaned,
             :number AS number, :decimal AS decimal, :date AS date, :time AS time,
             CASE :flag WHEN 1 THEN 'true' WHEN 0 THEN 'false' END AS flag, :raw AS raw
{BINDS}
    limits: {{rate: 100000/s}}
  Find:
    source: db
    query: SELECT name FROM thing WHERE name = :name
    bind: {{name: {{from: request.name}}}}
    limits: {{rate: 100000/s}}
    fields: {{name: name}}
"
        ))
        .await;
    assert_eq!(adapter.adapter.findings(), []);
    let arrived = try_everything(&adapter).await;
    assert!(arrived > PAYLOADS.len(), "only {arrived} arrived at all");
    let after = std::fs::read(fixture.path("things.db")).unwrap();
    assert!(before == after, "the file is as it was");
}

#[tokio::test]
async fn postgresql_takes_every_payload_as_data_or_refuses_it() {
    let database = Database::create(
        "CREATE TABLE secret (word text); INSERT INTO secret VALUES ('canary');
         CREATE TABLE thing (name text); INSERT INTO thing VALUES ('one'), ('two');
         GRANT SELECT ON thing TO reader;",
    )
    .await;
    let fixture = Fixture::new();
    let file = database.adapter_file(
        &fixture,
        "things",
        "test.things.v1.Things",
        &format!(
            "  Echo:
    source: db
    query: |
      SELECT :text::text AS text, :checked::text AS checked, :listed::text AS listed,
             :cleaned::text AS cleaned, :number::bigint AS number, :decimal::numeric AS decimal,
             :date::date AS date, :time::text AS time, :flag::boolean AS flag, :raw::bytea AS raw
{BINDS}
    limits: {{rate: 100000/s}}
  Find:
    source: db
    query: SELECT name FROM thing WHERE name = :name
    bind: {{name: {{from: request.name}}}}
    limits: {{rate: 100000/s}}
    fields: {{name: name}}
"
        ),
    );
    let adapter = fixture.open("things", &file).await.unwrap();
    assert_eq!(adapter.adapter.findings(), []);
    let arrived = try_everything(&adapter).await;
    assert!(arrived > PAYLOADS.len(), "only {arrived} arrived at all");
    let words = database
        .query("SELECT string_agg(word, ',') FROM secret")
        .await;
    assert_eq!(words, "canary");
}
