//! Metrics, as Prometheus reads them.

use std::time::Duration;

use entente_identity::{MethodName, ServerId};
use entente_reason::{GrpcCode, Reason};
use entente_telemetry::{Build, Metrics, Side};

fn metrics() -> Metrics {
    Metrics::new(Build {
        version: "0.1.0",
        role: "security-server",
    })
}

fn peer() -> ServerId {
    "ca-demo/vital-events/@ss1".parse().unwrap()
}

fn method() -> MethodName {
    "ca.demo.vital.v1.Deaths/Lookup".parse().unwrap()
}

#[test]
fn says_each_figure_under_the_name_dashboards_use() {
    let metrics = metrics();
    let took = Duration::from_millis(3);
    metrics.exchange(Side::Consumer, &peer(), &method(), GrpcCode(0), took);
    metrics.exchange(Side::Consumer, &peer(), &method(), GrpcCode(0), took);
    metrics.exchange(
        Side::Provider,
        &peer(),
        &method(),
        GrpcCode::PERMISSION_DENIED,
        took,
    );
    metrics.refusal(Reason::PurposeNotAgreed);
    metrics.handshake_refused(Reason::PeerUntrusted);
    metrics.log_appended(Duration::from_micros(120));
    metrics.log_size(42);
    metrics.log_cosigned_age(Duration::from_secs(7));
    metrics.registry_age(Duration::from_millis(1500));
    let ages = |names: &[&str]| {
        let ages = names.iter().map(|name| name.parse().unwrap());
        metrics.recognised_ages(ages.map(|of| (of, Duration::from_millis(2500))));
    };
    ages(&["ca-on", "ca-qc"]);
    ages(&["ca-qc"]);
    metrics.cert_expiry("session", -5);
    metrics.store_rebuilt("unreadable");
    let under_way = metrics.in_flight(Side::Provider);

    let text = metrics.encode();
    let ends = "peer=\"ca-demo/vital-events/@ss1\",\
                service=\"ca.demo.vital.v1.Deaths\",method=\"Lookup\"";
    for line in [
        "entente_build_info{version=\"0.1.0\",role=\"security-server\"} 1".to_owned(),
        format!("entente_exchanges_total{{side=\"consumer\",{ends},code=\"OK\"}} 2"),
        format!("entente_exchanges_total{{side=\"provider\",{ends},code=\"PERMISSION_DENIED\"}} 1"),
        format!("entente_exchange_seconds_count{{side=\"consumer\",{ends}}} 2"),
        format!("entente_exchange_seconds_bucket{{le=\"0.0032\",side=\"consumer\",{ends}}} 2"),
        "entente_refusals_total{reason=\"PURPOSE_NOT_AGREED\",at=\"caller_server\"} 1".to_owned(),
        "entente_handshakes_refused_total{reason=\"PEER_UNTRUSTED\"} 1".to_owned(),
        "entente_log_append_seconds_count 1".to_owned(),
        "entente_log_size 42".to_owned(),
        "entente_log_cosigned_age_seconds 7.0".to_owned(),
        "entente_registry_age_seconds 1.5".to_owned(),
        "entente_recognised_registry_age_seconds{jurisdiction=\"ca-qc\"} 2.5".to_owned(),
        "entente_cert_expiry_seconds{use=\"session\"} -5".to_owned(),
        "entente_store_rebuilds_total{cause=\"unreadable\"} 1".to_owned(),
        "entente_exchanges_in_flight{side=\"provider\"} 1".to_owned(),
        "# EOF".to_owned(),
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\nnot in\n{text}");
    }
    assert!(!text.contains("ca-on"), "it is followed no more");
    drop(under_way);
    let line = "entente_exchanges_in_flight{side=\"provider\"} 0";
    assert!(metrics.encode().contains(line));
}

#[test]
fn every_refusal_has_its_place() {
    let metrics = metrics();
    for reason in Reason::ALL {
        metrics.refusal(*reason);
    }
    let text = metrics.encode();
    let series = text
        .lines()
        .filter(|line| line.starts_with("entente_refusals_total{"));
    assert_eq!(series.count(), Reason::ALL.len());
}

#[test]
fn series_are_bounded_whatever_names_come() {
    let metrics = metrics();
    for number in 0..5000 {
        let method = format!("a.B/M{number}").parse().unwrap();
        metrics.exchange(
            Side::Consumer,
            &peer(),
            &method,
            GrpcCode(0),
            Duration::ZERO,
        );
    }
    let text = metrics.encode();
    let of = |name: &str| text.lines().filter(|l| l.starts_with(name)).count();
    assert_eq!(of("entente_exchanges_total{"), 4097);
    assert_eq!(of("entente_exchange_seconds_count{"), 4097);
    let other = "peer=\"other\",service=\"other\",method=\"other\",code=\"OK\"} 904";
    assert!(text.contains(other));
}
