//! What a document is read from, and what it is not.

use entente_agreement::{Agreement, Document, lint};
use entente_reason::Reason;

use crate::{GUIDE, PENSIONS, TRANSPORT, pensions};

#[test]
fn reads_every_sample_and_finds_no_fault_in_them() {
    for text in [PENSIONS, TRANSPORT, GUIDE] {
        let document = Document::from_yaml(text).unwrap();
        assert_eq!(lint::check(&document), []);
        let agreement = Agreement::of(&document).unwrap();
        assert_eq!(agreement.document(), &document);
    }
}

#[test]
fn an_error_points_at_the_line_and_names_the_nearest_key() {
    let text = PENSIONS.replace("breach_notice_hours: 24", "breach_notice_hour: 24");
    let error = Document::from_yaml(&text).unwrap_err();
    let line = text
        .lines()
        .position(|l| l.starts_with("breach_notice"))
        .unwrap() as u64
        + 1;
    assert_eq!(error.line(), Some(line));
    assert!(
        error.help().unwrap().contains("breach_notice_hours"),
        "{error}"
    );

    let error = Document::from_yaml(&PENSIONS.replace("mode: query", "mode: querry")).unwrap_err();
    assert!(error.to_string().contains("query"), "{error}");
}

#[test]
fn refuses_a_missing_language_a_repeated_key_and_a_fraction() {
    let fr = "  fr: Cessation du versement des pensions après un décès\n";
    let cases = [
        PENSIONS.replace(fr, ""),
        PENSIONS.replace(fr, "  fr: ''\n"),
        PENSIONS.replace("version: 1\n", "version: 1\nversion: 2\n"),
        PENSIONS.replace("version: 1\n", "version: 1.5\n"),
        PENSIONS.replace("assurance: 0", "assurance: 9"),
        PENSIONS.replace("entente/agreement/v1", "entente/agreement/v2"),
        PENSIONS.replace("not_after: 2028-12-31\n", ""),
        PENSIONS.replace("user_required: false", "user_required: no"),
        PENSIONS.replace("not_after: 2028-12-31", "not_after: 2028-02-30"),
    ];
    for (index, text) in cases.iter().enumerate() {
        assert_ne!(text, PENSIONS, "case {index} changes something");
        assert!(Document::from_yaml(text).is_err(), "case {index}");
    }
}

#[test]
fn reads_signed_bytes_in_their_one_spelling_only() {
    let canonical = pensions().canonical();
    let text = String::from_utf8(canonical.into_bytes()).unwrap();
    assert!(Document::from_canonical(text.as_bytes()).is_ok());
    let others = [
        format!("{text}\n"),
        format!(" {text}"),
        text.replacen("\"binding\":", "\"binding\": ", 1),
        // The same letter, escaped.
        text.replacen("DEMO-001", "DEMO-0\\u00301", 1),
        // A member twice, a member that is null, an unknown member.
        text.replacen("\"version\":1", "\"version\":1,\"version\":1", 1),
        text.replacen("\"version\":1", "\"supersedes\":null,\"version\":1", 1),
        text.replacen("\"version\":1", "\"version\":1,\"zone\":1", 1),
        text.replacen("\"version\":1", "\"version\":1.0", 1),
        text.replacen("\"version\":1", "\"version\":1e0", 1),
        // A set in another order.
        text.replacen(
            "\"death.date\",\"death.registered\"",
            "\"death.registered\",\"death.date\"",
            1,
        ),
        // A date in another spelling.
        text.replacen("2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00Z", 1),
        text.replacen("2026-01-01T00:00:00.000Z", "2026-01-01", 1),
    ];
    for (index, other) in others.iter().enumerate() {
        assert_ne!(other, &text, "case {index} changes something");
        assert!(
            Document::from_canonical(other.as_bytes()).is_err(),
            "case {index}"
        );
    }
}

#[test]
fn bounds_what_it_reads() {
    let mut document = pensions();
    document.title.en = "x".repeat(5000);
    assert!(Agreement::of(&document).is_err());
    let large = vec![b' '; entente_agreement::MAX_BYTES + 1];
    assert!(Document::from_canonical(&large).is_err());
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    assert!(Document::from_canonical(&deep).is_err());
}

#[test]
fn refuses_a_retention_class_longer_than_a_key_can_be_named_after() {
    let text = String::from_utf8(pensions().canonical().into_bytes()).unwrap();
    let class = |length| {
        let named = format!("\"class\":\"{}\"", "r".repeat(length));
        text.replacen("\"class\":\"benefits\"", &named, 1)
    };
    assert_ne!(class(32), text);
    assert!(Agreement::parse(class(32).as_bytes()).is_ok());
    let refused = Agreement::parse(class(33).as_bytes()).unwrap_err();
    assert_eq!(refused.reason(), Reason::AgreementInvalid);

    let yaml = GUIDE.replace("class: benefits", &format!("class: {}", "r".repeat(33)));
    let refused = Document::from_yaml(&yaml).unwrap_err();
    let line = GUIDE.lines().position(|l| l.contains("class: benefits"));
    assert_eq!(refused.line(), line.map(|line| line as u64 + 1));
}
