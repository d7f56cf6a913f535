//! The publication rules: each fault found where it is, and all of them at once.

use entente_contract::{Contract, ContractError, FaultKind, MAX_DESCRIPTOR_SET};
use entente_reason::Reason;

use crate::fixture::{compile, compile_source, parse};

fn faults(body: &str) -> Vec<(String, FaultKind)> {
    match parse(body) {
        Err(ContractError::Faulty(faults)) => faults
            .into_iter()
            .map(|fault| (fault.at, fault.kind))
            .collect(),
        other => panic!("{other:?}"),
    }
}

fn one_field(field: &str) -> Vec<(String, FaultKind)> {
    faults(&format!("{HEAD} message Out {{ {field} }}"))
}

const HEAD: &str = "
    import \"google/protobuf/any.proto\";
    import \"google/protobuf/struct.proto\";
    service S { rpc M(In) returns (Out); }
    message In { string a = 1; }
    message Labelled { bytes b = 1; google.protobuf.Any any = 2; }
";

#[test]
fn finds_what_can_hold_anything() {
    for field in [
        "bytes f = 1;",
        "repeated bytes f = 1;",
        "google.protobuf.Any f = 1;",
        "google.protobuf.Struct f = 1;",
        "google.protobuf.Value f = 1;",
        "repeated google.protobuf.ListValue f = 1;",
    ] {
        assert_eq!(
            one_field(field),
            [("test.v1.Out.f".into(), FaultKind::Opaque)],
            "{field}"
        );
    }
    let inner = one_field("Labelled f = 1;");
    assert_eq!(
        inner,
        [
            ("test.v1.Labelled.any".into(), FaultKind::Opaque),
            ("test.v1.Labelled.b".into(), FaultKind::Opaque)
        ]
    );
}

#[test]
fn accepts_what_can_hold_anything_as_wholly_one_element() {
    let label = "[(entente.v1.privacy) = {element: \"x.y\"}]";
    for kind in [
        "bytes",
        "google.protobuf.Any",
        "google.protobuf.Struct",
        "Labelled",
    ] {
        parse(&format!("{HEAD} message Out {{ {kind} f = 1 {label}; }}")).unwrap();
    }
    // A structure that can contain itself, opaque or not.
    parse(&format!(
        "{HEAD} message Out {{ Out f = 1; string g = 2 {label}; }}"
    ))
    .unwrap();
}

#[test]
fn finds_personal_fields_without_an_element() {
    for sensitivity in ["PERSONAL", "SENSITIVE"] {
        let field =
            format!("int32 f = 1 [(entente.v1.privacy).sensitivity = SENSITIVITY_{sensitivity}];");
        assert_eq!(
            one_field(&field),
            [("test.v1.Out.f".into(), FaultKind::PersonalWithoutElement)]
        );
    }
    let map =
        "map<string, string> f = 1 [(entente.v1.privacy).sensitivity = SENSITIVITY_PERSONAL];";
    assert_eq!(
        one_field(map),
        [("test.v1.Out.f".into(), FaultKind::PersonalWithoutElement)]
    );
}

#[test]
fn finds_subjects_that_cannot_be_read() {
    let label = "[(entente.v1.privacy) = {element: \"x.y\" subject: \"ca.sin\"}]";
    for kind in ["bool", "double", "bytes", "In", "map<string, string>"] {
        assert_eq!(
            one_field(&format!("{kind} f = 1 {label};")),
            [("test.v1.Out.f".into(), FaultKind::SubjectKind)],
            "{kind}"
        );
    }
    assert_eq!(
        one_field("string f = 1 [(entente.v1.privacy).subject = \"ca.sin\"];"),
        [("test.v1.Out.f".into(), FaultKind::SubjectWithoutElement)]
    );
}

#[test]
fn finds_names_that_are_none() {
    assert_eq!(
        one_field("string f = 1 [(entente.v1.privacy).element = \"Person Number\"];"),
        [("test.v1.Out.f".into(), FaultKind::ElementName)]
    );
    let scheme = "string f = 1 [(entente.v1.privacy) = {element: \"x\" subject: \"CA\"}];";
    assert_eq!(
        one_field(scheme),
        [("test.v1.Out.f".into(), FaultKind::SubjectScheme)]
    );
    let unknown = "string f = 1 [(entente.v1.privacy) = {element: \"x\" sensitivity: 9}];";
    assert_eq!(
        one_field(unknown),
        [("test.v1.Out.f".into(), FaultKind::Sensitivity)]
    );
}

#[test]
fn finds_a_label_in_one_language_only() {
    let body = "service S { rpc M(A) returns (A) { option (entente.v1.access).label_en = \"x\"; } }
        message A {}";
    assert_eq!(faults(body), [("test.v1.S/M".into(), FaultKind::Label)]);
}

#[test]
fn finds_what_only_proto2_has() {
    let set = compile_source(
        "syntax = \"proto2\"; package test.v1;
        service S { rpc M(A) returns (B); }
        message A { required string r = 1; optional group G = 2 { optional string s = 1; } }
        message B { extensions 100 to 200; }",
    );
    let error = Contract::parse(&set, &"test.v1.S".parse().unwrap()).unwrap_err();
    let found: Vec<_> = error
        .faults()
        .iter()
        .map(|fault| (fault.at.as_str(), fault.kind))
        .collect();
    assert_eq!(
        found,
        [
            ("test.v1.A.g", FaultKind::Group),
            ("test.v1.A.r", FaultKind::Required),
            ("test.v1.B", FaultKind::Extensions)
        ]
    );
    assert_eq!(error.reason(), Reason::ContractInvalid);
    assert!(
        error
            .to_string()
            .contains("3 faults; the first: test.v1.A.g"),
        "{error}"
    );
}

#[test]
fn looks_only_at_what_the_service_reaches() {
    let body = "service S { rpc M(A) returns (A); } message A {}
        service T { rpc M(B) returns (B); } message B { bytes b = 1; }";
    assert_eq!(parse(body).unwrap().methods().len(), 1);
    let other = Contract::parse(&compile(body), &"test.v1.T".parse().unwrap());
    assert_eq!(other.unwrap_err().faults().len(), 1);
    let none = Contract::parse(&compile(body), &"test.v1.U".parse().unwrap());
    assert_eq!(none.unwrap_err().reason(), Reason::UnknownService);
}

#[test]
fn refuses_sets_that_do_not_stand_alone() {
    // Without imports, and with every definition twice.
    let set = compile("service S { rpc M(A) returns (A); } message A { string a = 1; }");
    let twice = [set.clone(), set].concat();
    let error = Contract::parse(&twice, &"test.v1.S".parse().unwrap()).unwrap_err();
    assert!(
        error
            .faults()
            .iter()
            .any(|fault| fault.kind == FaultKind::DefinedTwice)
    );
}

#[test]
fn refuses_a_well_known_type_with_other_fields() {
    // A file that claims the name: `google.protobuf.StringValue` with a field nobody else has.
    let set = compile_source(
        "syntax = \"proto3\"; package google.protobuf;
        service S { rpc M(StringValue) returns (StringValue); }
        message StringValue { string value = 1; string more = 2; }",
    );
    let error = Contract::parse(&set, &"google.protobuf.S".parse().unwrap()).unwrap_err();
    assert_eq!(error.faults().len(), 1);
    assert_eq!(error.faults()[0].kind, FaultKind::WellKnownType);
}

#[test]
fn bounds_the_size_and_the_number_of_descriptors() {
    let service = "test.v1.S".parse().unwrap();
    let large = vec![0; MAX_DESCRIPTOR_SET + 1];
    assert!(matches!(
        Contract::parse(&large, &service),
        Err(ContractError::TooLarge)
    ));
    // 70,000 empty messages in one file: small on the wire, large in memory.
    let messages = b"\x22\x00".repeat(70_000);
    let mut set = vec![0x0a];
    prost::encode_length_delimiter(messages.len(), &mut set).unwrap();
    set.extend_from_slice(&messages);
    assert!(matches!(
        Contract::parse(&set, &service),
        Err(ContractError::TooLarge)
    ));
    assert!(matches!(
        Contract::parse(b"\x0b", &service),
        Err(ContractError::NotProtobuf(_))
    ));
    assert!(matches!(
        Contract::parse(b"", &service),
        Err(ContractError::UnknownService { .. })
    ));
}
