//! The documentation's first example, word for word, over a real PostgreSQL.

use entente_adapter_sdk::Standing;
use entente_adapter_sql::SqlAdapter;
use entente_reason::Reason;

use crate::server::{Database, PASSWORD, socket_folder};
use crate::support::{Fixture, Running, descriptors};

const FILE: &str = include_str!("contracts/benefits.adapter.yaml");

#[tokio::test]
async fn its_first_method_serves_and_passes_its_examples_and_the_others_say_why_not() {
    let database = Database::create(
        "CREATE SCHEMA core; CREATE SCHEMA api;
         CREATE TABLE core.person (number text, program text, eligible boolean, band text,
                                   changed timestamptz);
         INSERT INTO core.person VALUES
            ('046454286', 'GIS', true, 'L', '2026-09-14 13:02:11+00'),
            ('046454286', 'OAS', false, 'X', '2026-09-14 13:02:11+00');
         CREATE VIEW api.eligibility AS
            SELECT number AS person_number, program AS program_code, eligible AS is_eligible,
                   band AS income_band_code, changed AS updated_at FROM core.person;
         GRANT USAGE ON SCHEMA api TO reader;
         GRANT SELECT ON api.eligibility TO reader;",
    )
    .await;
    let fixture = Fixture::new();
    // Only where the database is differs from the documentation.
    let file = FILE
        .replace(
            "host: db1.internal",
            &format!("host: {}", socket_folder().display()),
        )
        .replace("database: ledger", &format!("database: {}", database.name))
        .replace("user: entente_ro", "user: reader");
    std::fs::write(fixture.path("ledger-password"), PASSWORD).unwrap();
    std::fs::create_dir(fixture.path("proto")).unwrap();
    std::fs::write(fixture.path("proto/all.binpb"), descriptors("benefits")).unwrap();
    let path = fixture.path("benefits.adapter.yaml");
    std::fs::write(&path, file).unwrap();

    let adapter = SqlAdapter::open(&path, &fixture.options()).await.unwrap();
    assert_eq!(adapter.findings().len(), 2, "{:?}", adapter.findings());
    for outcome in adapter.run_examples().await {
        assert_eq!(outcome.result, Ok(()), "{outcome:?}");
    }
    let adapter = Running { adapter };
    assert_eq!(adapter.standing("GetEligibility"), Standing::Serving);
    for later in ["ListPayments", "StreamPayments"] {
        assert_eq!(
            adapter.standing(later),
            Standing::NotServing(Reason::StreamingLater)
        );
        assert_eq!(adapter.refusal(later, "{}").await, "STREAMING_LATER");
    }
    let answer = adapter
        .call(
            "GetEligibility",
            r#"{"personNumber": "046-454-286", "programCode": "GIS"}"#,
        )
        .await
        .unwrap();
    assert_eq!(answer["asOf"], "2026-09-14T13:02:11Z");
    let refused = adapter
        .refusal(
            "GetEligibility",
            r#"{"personNumber": "046454286", "programCode": "OAS"}"#,
        )
        .await;
    assert_eq!(refused, "UNMAPPED_CODE");
    let later: Vec<_> = adapter
        .adapter
        .findings()
        .iter()
        .map(|finding| finding.error.message().to_owned())
        .collect();
    assert!(
        later
            .iter()
            .any(|message| message.starts_with("paging comes later")),
        "{later:?}"
    );
    assert!(
        later
            .iter()
            .any(|message| message.starts_with("streams come later")),
        "{later:?}"
    );
}

#[tokio::test]
async fn on_another_machine_it_waits_for_tls() {
    let fixture = Fixture::new();
    std::fs::write(fixture.path("ledger-password"), PASSWORD).unwrap();
    std::fs::create_dir(fixture.path("proto")).unwrap();
    std::fs::write(fixture.path("proto/all.binpb"), descriptors("benefits")).unwrap();
    let path = fixture.path("benefits.adapter.yaml");
    std::fs::write(&path, FILE).unwrap();
    let adapter = SqlAdapter::open(&path, &fixture.options()).await.unwrap();
    let adapter = Running { adapter };
    assert_eq!(
        adapter.standing("GetEligibility"),
        Standing::NotServing(Reason::SourceRefused)
    );
}
