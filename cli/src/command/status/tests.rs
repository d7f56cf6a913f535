use entente_telemetry::{Build, Condition as Held, Health, Metrics, Side};

use super::figures::{Condition, Figures, conditions};

#[test]
fn reads_what_a_role_really_says_of_itself() {
    let metrics = Metrics::new(Build {
        version: "0.1.0",
        role: "security-server",
    });
    let peer = "ca-demo/pensions/@ss1".parse().unwrap();
    let method = "a.v1.B/Get".parse().unwrap();
    let took = std::time::Duration::from_millis(1);
    for code in [0, 0, 5] {
        let code = entente_reason::GrpcCode(code);
        metrics.exchange(Side::Provider, &peer, &method, code, took);
    }
    metrics.refusal(entente_reason::Reason::NoAgreement);
    let flying = metrics.in_flight(Side::Consumer);
    metrics.registry_age(std::time::Duration::from_millis(2_500));
    let qc = ("ca-qc".parse().unwrap(), std::time::Duration::from_secs(3));
    metrics.recognised_ages([qc]);
    metrics.started_at(entente_clock::Timestamp::from_millis(1_800_000_000_500));
    let figures = Figures::parse(&metrics.encode());
    drop(flying);
    assert_eq!(
        figures.text("build_info", "version").as_deref(),
        Some("0.1.0")
    );
    assert_eq!(figures.sum("exchanges_total", Some(("code", "OK"))), 2);
    assert_eq!(figures.sum("exchanges_total", None), 3);
    assert_eq!(figures.sum("refusals_total", None), 1);
    assert_eq!(figures.sum("exchanges_in_flight", None), 1);
    assert_eq!(figures.first("registry_age_seconds"), Some(2.5));
    assert_eq!(figures.first("start_time_seconds"), Some(1_800_000_000.5));
    let abroad = figures.by("recognised_registry_age_seconds", "jurisdiction");
    assert_eq!(abroad, [("ca-qc".to_owned(), 3.0)]);
    assert_eq!(figures.first("nothing"), None);
}

#[test]
fn reads_why_a_role_is_not_ready() {
    let health = Health::new(&[Held::Clock, Held::Log]);
    health.pass(Held::Clock);
    health.fail(Held::Log, "the ledger cannot be written");
    health.started();
    let found = conditions(&health.ready().text);
    let condition = |name: &str, is_ok, why: &str| Condition {
        name: name.to_owned(),
        is_ok,
        why: why.to_owned(),
    };
    let log = condition("log", false, "the ledger cannot be written");
    assert_eq!(found, [condition("clock", true, "ok"), log]);
}
