//! Versions of a contract: what breaks, and what does not.

use entente_contract::{Change, compare};

use crate::fixture::parse;

fn changes(old: &str, new: &str) -> Vec<(String, Change)> {
    let found = compare(&parse(old).unwrap(), &parse(new).unwrap());
    found
        .into_iter()
        .map(|breaking| (breaking.at, breaking.change))
        .collect()
}

/// One method over `A`, whose fields are given.
fn version(fields: &str) -> String {
    format!(
        "service S {{ rpc M(A) returns (A); }} message A {{ {fields} }}
        message B {{ string x = 1; }} message C {{ string x = 1; }}
        enum E {{ E_NONE = 0; E_ONE = 1; }} enum F {{ F_NONE = 0; }}"
    )
}

#[test]
fn adding_breaks_nothing() {
    let old = version("string a = 1; E e = 2;");
    let new = "service S { rpc M(A) returns (A); rpc N(A) returns (stream A); }
        message A { string a = 1; E e = 2; repeated int32 b = 3; }
        enum E { E_NONE = 0; E_ONE = 1; E_TWO = 2; }";
    assert_eq!(changes(&old, new), []);
}

#[test]
fn finds_each_way_a_field_can_break() {
    let label = |element: &str| format!("string a = 1 [(entente.v1.privacy) = {{{element}}}];");
    for (old, new, change) in [
        ("string a = 1;", "reserved 1;", Change::Removed),
        ("string a = 1;", "string b = 1;", Change::Renamed),
        ("string a = 1;", "int32 a = 1;", Change::Type),
        ("int32 a = 1;", "sint32 a = 1;", Change::Type),
        ("B a = 1;", "C a = 1;", Change::Type),
        ("E a = 1;", "F a = 1;", Change::Type),
        (
            "string a = 1;",
            "repeated string a = 1;",
            Change::Cardinality,
        ),
        (
            "string a = 1;",
            "optional string a = 1;",
            Change::Cardinality,
        ),
        ("string a = 1;", "oneof o { string a = 1; }", Change::Oneof),
        (&label(""), &label("element: \"x\""), Change::Relabelled),
        (
            &label("element: \"x\""),
            &label("element: \"y\""),
            Change::Relabelled,
        ),
        (&label("element: \"x\""), &label(""), Change::Relabelled),
        (
            &label("element: \"x\" sensitivity: SENSITIVITY_SENSITIVE"),
            &label("element: \"x\" sensitivity: SENSITIVITY_PERSONAL"),
            Change::Relabelled,
        ),
        (
            &label("element: \"x\" subject: \"ca.sin\""),
            &label("element: \"x\""),
            Change::Relabelled,
        ),
    ] {
        let found = changes(&version(old), &version(new));
        assert!(
            found.contains(&("test.v1.A.a".into(), change)),
            "{old} -> {new}: {found:?}"
        );
    }
}

#[test]
fn finds_each_way_a_method_can_break() {
    let service = |rpc: &str| format!("service S {{ {rpc} }} message A {{}} message B {{}}");
    let pure = "rpc M(A) returns (A) { option idempotency_level = NO_SIDE_EFFECTS; }";
    for (old, new, change) in [
        ("rpc M(A) returns (A);", "", Change::Removed),
        (
            "rpc M(A) returns (A);",
            "rpc M(A) returns (B);",
            Change::Type,
        ),
        (
            "rpc M(A) returns (A);",
            "rpc M(A) returns (stream A);",
            Change::Streaming,
        ),
        (pure, "rpc M(A) returns (A);", Change::Idempotency),
    ] {
        assert_eq!(
            changes(&service(old), &service(new)),
            [("test.v1.S/M".into(), change)]
        );
    }
    assert_eq!(
        changes(&service("rpc M(A) returns (A);"), &service(pure)),
        []
    );
}

/// Two rings of messages of different length: going round both would pair each with each.
#[test]
fn messages_of_other_names_are_not_compared_further() {
    let ring = |length: usize, prefix: &str| {
        let mut text = String::from("service S { rpc M(A) returns (A); } ");
        text += &format!("message A {{ {prefix}0 ring = 1; }} ");
        for at in 0..length {
            let next = (at + 1) % length;
            text += &format!("message {prefix}{at} {{ {prefix}{next} next = 1; }} ");
        }
        text
    };
    let found = changes(&ring(1_000, "Old"), &ring(1_001, "New"));
    assert_eq!(found, [("test.v1.A.ring".to_owned(), Change::Type)]);
}

#[test]
fn finds_enum_values_that_went_or_changed_their_name() {
    let version = |values: &str| {
        format!(
            "service S {{ rpc M(A) returns (A); }} message A {{ A again = 1; E e = 2; }}
            enum E {{ E_NONE = 0; {values} }}"
        )
    };
    let old = version("E_ONE = 1;");
    assert_eq!(
        changes(&old, &version("")),
        [("test.v1.E.E_ONE".into(), Change::Removed)]
    );
    let renamed = changes(&old, &version("E_UNO = 1;"));
    assert_eq!(renamed, [("test.v1.E.E_ONE".into(), Change::Renamed)]);
}
