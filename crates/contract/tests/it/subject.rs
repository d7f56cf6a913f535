//! Reading subjects from wire bytes.

use entente_contract::{
    Contract, Direction, MAX_SUBJECT_LEN, Subject, SubjectError, Subjects, WireError,
};
use entente_identity::MethodName;

use crate::fixture::parse;
use crate::vital_events::{contract, list, lookup};

/// Up to ten of them.
fn subjects(
    contract: &Contract,
    method: &MethodName,
    direction: Direction,
    body: &[u8],
) -> Result<Vec<Subject>, SubjectError> {
    match contract.subjects(method, direction, body, 10)? {
        Subjects::Many => panic!("more than ten"),
        Subjects::Named(subjects) => Ok(subjects),
    }
}

fn pairs(subjects: &[Subject]) -> Vec<(&str, &str)> {
    subjects
        .iter()
        .map(|subject| (subject.scheme(), subject.value()))
        .collect()
}

#[test]
fn reads_and_normalises_the_person_asked_about() {
    let json = r#"{"personNumber": " 046-454 286\u2013", "dateOfBirth": "1950-01-01"}"#;
    let body = contract()
        .decode_json(&lookup(), Direction::Request, json)
        .unwrap();
    let found = subjects(&contract(), &lookup(), Direction::Request, &body).unwrap();
    assert_eq!(pairs(&found), [("ca.sin", "046454286")]);
    assert_eq!(
        Subject::new("ca.sin", "046 454 286"),
        Some(found[0].clone())
    );
    assert!(
        !format!("{found:?}").contains("046"),
        "a subject is never printed"
    );
}

#[test]
fn reads_every_row_of_an_answer_once() {
    let json = r#"{"deaths": [{"personNumber": "1"}, {"personNumber": "2"}, {"personNumber": "1"},
        {"dateOfDeath": "2026-01-01"}]}"#;
    let body = contract()
        .decode_json(&list(), Direction::Response, json)
        .unwrap();
    let found = subjects(&contract(), &list(), Direction::Response, &body).unwrap();
    assert_eq!(pairs(&found), [("ca.sin", "1"), ("ca.sin", "2")]);
    assert!(
        subjects(&contract(), &list(), Direction::Request, b"")
            .unwrap()
            .is_empty()
    );
}

#[test]
fn reads_integers_packed_or_not_in_every_form() {
    let mut fields = String::new();
    let kinds = [
        "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32",
        "sfixed64",
    ];
    for (i, kind) in kinds.iter().enumerate() {
        let label = "[(entente.v1.privacy) = {element: \"x\" subject: \"s\"}]";
        fields.push_str(&format!("repeated {kind} f{i} = {} {label};", i + 1));
    }
    let contract = parse(&format!(
        "service S {{ rpc M(A) returns (A); }} message A {{ B below = 99; map<int32, B> m = 98; }}
        message B {{ {fields} }}"
    ))
    .unwrap();
    let method: MethodName = "test.v1.S/M".parse().unwrap();
    for (i, kind) in kinds.iter().enumerate() {
        let low = if kind.contains('u') || *kind == "fixed32" || *kind == "fixed64" {
            3
        } else {
            -3
        };
        let json = format!("{{\"below\": {{\"f{i}\": [{low}, 1234567]}}}}");
        let body = contract
            .decode_json(&method, Direction::Request, &json)
            .unwrap();
        let found = subjects(&contract, &method, Direction::Request, &body).unwrap();
        assert_eq!(
            pairs(&found),
            [("s", &*low.to_string()), ("s", "1234567")],
            "{kind}"
        );
    }
    // One value, not packed; and one in a map's value.
    let found = subjects(
        &contract,
        &method,
        Direction::Request,
        b"\x9a\x06\x02\x08\x07",
    )
    .unwrap();
    assert_eq!(pairs(&found), [("s", "7")]);
    let in_map = b"\x92\x06\x06\x08\x01\x12\x02\x08\x07";
    let found = subjects(&contract, &method, Direction::Request, in_map).unwrap();
    assert_eq!(pairs(&found), [("s", "7")]);
}

#[test]
fn bounds_how_many_and_how_long() {
    let rows = |count: usize| {
        let mut body = Vec::new();
        for i in 0..count {
            let number = i.to_string();
            body.extend([0x0a, number.len() as u8 + 2, 0x0a, number.len() as u8]);
            body.extend_from_slice(number.as_bytes());
        }
        body
    };
    let read = |body: &[u8], most| contract().subjects(&list(), Direction::Response, body, most);
    let Subjects::Named(all) = read(&rows(1_024), 1_024).unwrap() else {
        panic!("exactly as many as are named");
    };
    assert_eq!(all.len(), 1_024);
    assert_eq!(read(&rows(1_025), 1_024), Ok(Subjects::Many));
    assert_eq!(read(&rows(1), 0), Ok(Subjects::Many));
    assert_eq!(read(&rows(0), 0), Ok(Subjects::Named(Vec::new())));
    let twice = [rows(10), rows(10)].concat();
    assert!(matches!(read(&twice, 10), Ok(Subjects::Named(all)) if all.len() == 10));
    let long = serde_json::json!({"personNumber": "9".repeat(MAX_SUBJECT_LEN + 1)}).to_string();
    let body = contract()
        .decode_json(&lookup(), Direction::Request, &long)
        .unwrap();
    let error = subjects(&contract(), &lookup(), Direction::Request, &body).unwrap_err();
    assert_eq!(error, SubjectError::TooLong);
    let error = read(b"\x0a\x04\x0a\x02\xff\xfe", 10).unwrap_err();
    assert_eq!(error, SubjectError::Malformed(WireError::Text));
}
