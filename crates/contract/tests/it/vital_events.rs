//! The demonstration's contract, as its users meet it.

use bytes::Bytes;
use entente_contract::{
    CheckError, Contract, Direction, Idempotency, JsonError, Outline, ReleasePlan, Sensitivity,
};
use entente_identity::MethodName;
use entente_proto::VITAL_EVENTS_DESCRIPTOR_SET;
use entente_reason::Reason;

use crate::fixture::elements;

pub(crate) fn contract() -> Contract {
    let service = "entente.demo.vitalevents.v1.VitalEvents".parse().unwrap();
    Contract::parse(VITAL_EVENTS_DESCRIPTOR_SET, &service).unwrap()
}

pub(crate) fn lookup() -> MethodName {
    "entente.demo.vitalevents.v1.VitalEvents/LookupDeath"
        .parse()
        .unwrap()
}

pub(crate) fn list() -> MethodName {
    "entente.demo.vitalevents.v1.VitalEvents/ListDeaths"
        .parse()
        .unwrap()
}

fn answer() -> Bytes {
    let json = r#"{"registered": true, "dateOfDeath": "2026-03-04", "causeOfDeath": "canary-cause",
        "otherNames": ["canary-a", "canary-b"],
        "informant": {"name": "canary-name", "relationship": "daughter"}}"#;
    contract()
        .decode_json(&lookup(), Direction::Response, json)
        .unwrap()
}

#[test]
fn lists_methods_with_their_shape_and_labels() {
    let contract = contract();
    assert_eq!(contract.methods().len(), 2);
    let method = contract.method(&lookup()).unwrap();
    assert!(method.shape.is_unary());
    assert_eq!(method.idempotency, Idempotency::NoSideEffects);
    assert_eq!(
        &*method.label_en,
        "Checked whether your death is registered"
    );
    assert_eq!(&*method.label_fr, "A vérifié si votre décès est enregistré");
    assert_eq!(
        &*method.input,
        "entente.demo.vitalevents.v1.LookupDeathRequest"
    );
    let unknown = "entente.demo.vitalevents.v1.VitalEvents/Erase"
        .parse()
        .unwrap();
    assert_eq!(
        contract.method(&unknown).unwrap_err().reason(),
        Reason::UnknownMethod
    );
}

#[test]
fn names_the_elements_of_each_direction() {
    let contract = contract();
    assert_eq!(
        contract.elements(&lookup(), Direction::Request).unwrap(),
        elements(&["person.number", "person.birth_date"])
    );
    let released = contract.elements(&list(), Direction::Response).unwrap();
    assert_eq!(
        released,
        elements(&["person.number", "death.date", "death.place", "death.cause"])
    );
    let cause = "death.cause".parse().unwrap();
    assert_eq!(contract.sensitivity(&cause), Some(Sensitivity::Sensitive));
    assert_eq!(contract.sensitivity(&"none.such".parse().unwrap()), None);
}

#[test]
fn an_outline_says_of_methods_and_elements_what_the_contract_says() {
    let contract = contract();
    let outline = Outline::from(&contract);
    let names = contract.methods().map(|method| &method.name);
    assert!(outline.methods().eq(names));
    for method in contract.methods() {
        assert!(outline.declares(&method.name));
        for direction in [Direction::Request, Direction::Response] {
            let whole = contract.elements(&method.name, direction).unwrap();
            let outlined = outline.elements(&method.name, direction).unwrap();
            assert!(outlined.iter().eq(&whole) && !whole.is_empty());
        }
    }
    let other = "entente.demo.vitalevents.v1.VitalEvents/Other"
        .parse()
        .unwrap();
    assert!(!outline.declares(&other));
    assert!(outline.elements(&other, Direction::Request).is_err());
}

#[test]
fn releases_only_what_is_permitted() {
    let permitted = elements(&["death.registered", "death.date", "informant.relationship"]);
    let plan =
        ReleasePlan::compile(&contract(), &lookup(), Direction::Response, &permitted).unwrap();
    let released = plan.filter(&answer()).unwrap();
    let json = contract()
        .encode_json(&lookup(), Direction::Response, &released)
        .unwrap();
    let expected =
        r#"{"registered":true,"dateOfDeath":"2026-03-04","informant":{"relationship":"daughter"}}"#;
    assert_eq!(
        json,
        serde_json::from_str::<serde_json::Value>(expected).unwrap()
    );
    assert!(!released.windows(6).any(|window| window == b"canary"));
    assert!(plan.releases("date_of_death") && plan.releases("informant.relationship"));
    assert!(!plan.releases("cause_of_death") && !plan.releases("informant.name"));
    assert!(!plan.releases("nothing.there") && plan.releases("informant"));
}

#[test]
fn shares_the_bytes_when_nothing_has_to_go() {
    let all = contract().elements(&lookup(), Direction::Response).unwrap();
    let plan = ReleasePlan::compile(&contract(), &lookup(), Direction::Response, &all).unwrap();
    let answer = answer();
    let released = plan.filter(&answer).unwrap();
    assert_eq!(released.as_ptr(), answer.as_ptr());
    assert_eq!(released, answer);
}

#[test]
fn releases_nothing_under_no_elements() {
    let none = elements(&[]);
    let plan = ReleasePlan::compile(&contract(), &lookup(), Direction::Response, &none).unwrap();
    assert!(plan.is_empty());
    assert!(plan.filter(&answer()).unwrap().is_empty());
}

#[test]
fn refuses_a_request_with_an_unlisted_field() {
    let plan = ReleasePlan::compile(
        &contract(),
        &lookup(),
        Direction::Request,
        &elements(&["person.number"]),
    )
    .unwrap();
    let request = |json: &str| {
        contract()
            .decode_json(&lookup(), Direction::Request, json)
            .unwrap()
    };
    assert_eq!(
        plan.check(&request(r#"{"personNumber": "046454286"}"#)),
        Ok(())
    );
    let both = request(r#"{"personNumber": "046454286", "dateOfBirth": "1950-01-01"}"#);
    let refusal = plan.check(&both).unwrap_err();
    assert_eq!(
        refusal,
        CheckError::Unlisted {
            path: "date_of_birth".into()
        }
    );
    assert_eq!(refusal.reason(), Reason::FieldNotAgreed);
    let unknown = plan.check(b"\xfa\x01\x05smugg").unwrap_err();
    assert_eq!(unknown, CheckError::Unlisted { path: "#31".into() });
    let cut = plan.check(b"\x0a\x05ab").unwrap_err();
    assert_eq!(cut.reason(), Reason::RequestMalformed);
}

#[test]
fn json_that_does_not_fit_is_refused_without_repeating_it() {
    let json = r#"{"personNumber": {"canary": 1}}"#;
    let error = contract()
        .decode_json(&lookup(), Direction::Request, json)
        .unwrap_err();
    assert!(
        matches!(error, JsonError::Mismatch { line: 1, .. }),
        "{error:?}"
    );
    assert!(!format!("{error:?} {error}").contains("canary"));
    let unknown = r#"{"noSuchField": 1}"#;
    assert!(
        contract()
            .decode_json(&lookup(), Direction::Request, unknown)
            .is_err()
    );
    assert!(
        contract()
            .decode_json(&lookup(), Direction::Request, "{} {}")
            .is_err()
    );
}
