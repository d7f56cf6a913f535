//! The release plan on the constructions of the wire format, one by one.

use bytes::Bytes;
use entente_contract::{
    CheckError, Contract, Direction, MAX_DEPTH, ReleasePlan, Subjects, WireError,
};
use entente_identity::MethodName;
use entente_reason::Reason;
use serde_json::{Value, json};

use crate::fixture::{elements, parse};

fn method() -> MethodName {
    "test.v1.S/M".parse().unwrap()
}

/// One method whose answer is `A` with these fields.
fn contract(fields: &str) -> Contract {
    parse(&format!(
        "import \"google/protobuf/any.proto\"; import \"google/protobuf/struct.proto\";
        import \"google/protobuf/wrappers.proto\"; import \"google/protobuf/empty.proto\";
        service S {{ rpc M(A) returns (A); }} message A {{ {fields} }}
        message Pair {{
            string x = 1 [(entente.v1.privacy) = {{element: \"x\"}}];
            string y = 2 [(entente.v1.privacy) = {{element: \"y\"}}];
            string none = 3;
        }}
        message Closed {{ string none = 1; Closed again = 2; }}"
    ))
    .unwrap()
}

fn label(element: &str) -> String {
    format!("[(entente.v1.privacy) = {{element: \"{element}\"}}]")
}

fn plan(contract: &Contract, permitted: &[&str]) -> ReleasePlan {
    ReleasePlan::compile(
        contract,
        &method(),
        Direction::Response,
        &elements(permitted),
    )
    .unwrap()
}

fn filtered(contract: &Contract, permitted: &[&str], message: &Value) -> Value {
    let text = message.to_string();
    let body = contract
        .decode_json(&method(), Direction::Response, &text)
        .unwrap();
    let released = plan(contract, permitted).filter(&body).unwrap();
    contract
        .encode_json(&method(), Direction::Response, &released)
        .unwrap()
}

#[test]
fn fields_of_a_labelled_message_inherit_its_element() {
    let contract = contract(&format!(
        "Pair p = 1 {}; repeated Pair q = 2;",
        label("whole")
    ));
    let pair = json!({"x": "1", "y": "2", "none": "3"});
    let message = json!({"p": pair, "q": [pair, pair]});
    assert_eq!(
        filtered(&contract, &["whole"], &message),
        json!({"p": {"none": "3"}})
    );
    assert_eq!(
        filtered(&contract, &["whole", "x"], &message),
        json!({"p": {"x": "1", "none": "3"}, "q": [{"x": "1"}, {"x": "1"}]})
    );
    // Not permitted from the outside in: the labelled message itself does not cross.
    let q = json!({"q": [{"y": "2"}, {"y": "2"}]});
    assert_eq!(filtered(&contract, &["y"], &message), q);
}

/// Looking again at every message for each one found would take minutes here.
#[test]
fn a_long_chain_of_messages_is_followed_once() {
    const LINKS: usize = 8_000;
    let mut text = format!("C0 chain = 1; }} message C{LINKS} {{ string x = 1 ");
    text += "[(entente.v1.privacy) = {element: \"x\", subject: \"ca.sin\"}];";
    for link in 0..LINKS {
        let next = link + 1;
        text += &format!("}} message C{link} {{ C{next} next = 1; ");
    }
    let contract = contract(&text);
    assert!(!plan(&contract, &["x"]).is_empty());
    assert!(plan(&contract, &[]).is_empty());
    let found = contract.subjects(&method(), Direction::Request, b"", 1);
    assert_eq!(found, Ok(Subjects::Named(Vec::new())));
}

#[test]
fn containers_in_which_nothing_can_cross_do_not_cross() {
    let contract = contract(&format!(
        "Closed c = 1; repeated Closed d = 2; string s = 3 {};",
        label("s")
    ));
    let message = json!({"c": {"again": {"none": "1"}}, "d": [{}, {}], "s": "2"});
    assert_eq!(filtered(&contract, &["s"], &message), json!({"s": "2"}));
}

#[test]
fn containers_keep_their_count_where_something_in_them_crosses() {
    let contract = contract("repeated Pair q = 1;");
    let message = json!({"q": [{"y": "1"}, {"x": "2"}, {}]});
    assert_eq!(
        filtered(&contract, &["x"], &message),
        json!({"q": [{}, {"x": "2"}, {}]})
    );
}

#[test]
fn maps_cross_by_their_own_element() {
    let contract = contract(&format!(
        "map<string, string> m = 1 {}; map<int32, Pair> n = 2 {}; map<string, Pair> o = 3;",
        label("m"),
        label("n")
    ));
    let pair = json!({"x": "1", "y": "2", "none": "3"});
    let message = json!({"m": {"k": "v"}, "n": {"7": pair}, "o": {"k": pair}});
    assert_eq!(
        filtered(&contract, &["m", "x"], &message),
        json!({"m": {"k": "v"}})
    );
    assert_eq!(
        filtered(&contract, &["n", "x"], &message),
        json!({"n": {"7": {"x": "1", "none": "3"}}})
    );
}

#[test]
fn well_known_types_cross_whole() {
    let contract = contract(&format!(
        "google.protobuf.Struct s = 1 {}; google.protobuf.StringValue w = 2 {};
        google.protobuf.Empty e = 3 {}; google.protobuf.StringValue bare = 4;",
        label("s"),
        label("w"),
        label("e")
    ));
    let message = json!({"s": {"a": [1.0, {"b": null}]}, "w": "text", "e": {}, "bare": "gone"});
    assert_eq!(
        filtered(&contract, &["s", "w", "e"], &message),
        json!({"s": {"a": [1.0, {"b": null}]}, "w": "text", "e": {}})
    );
    assert_eq!(filtered(&contract, &["w"], &message), json!({"w": "text"}));
}

#[test]
fn fields_in_the_wrong_form_are_unknown_fields() {
    let contract = contract(&format!(
        "int32 i = 1 {}; Pair p = 2; repeated int32 r = 3 {};",
        label("i"),
        label("r")
    ));
    let plan = plan(&contract, &["i", "r", "x"]);
    for (body, released) in [
        (&b"\x0a\x06secret\x08\x05"[..], &b"\x08\x05"[..]), // text where a number belongs
        (b"\x10\x07\x08\x05", b"\x08\x05"),                 // a number where a message belongs
        (b"\x1a\x02\x01\x02\x18\x03", b"\x1a\x02\x01\x02\x18\x03"), // packed and not: both are fine
        (b"\xc2\x3e\x06secret", b""),                       // unknown, large number
        (b"\x12\x0a\x0a\x00\x52\x06secret", b"\x12\x02\x0a\x00"), // unknown, nested
        (b"\x12\x00\x12\x04\x0a\x02hi", b"\x12\x00\x12\x04\x0a\x02hi"), // a message in two parts
    ] {
        let filtered = plan.filter(&Bytes::from_static(body)).unwrap();
        assert_eq!(filtered, released, "{body:?}");
        assert_eq!(plan.check(body).is_ok(), body == released, "{body:?}");
    }
}

#[test]
fn padding_carries_nothing() {
    // The same request with its tag and lengths written longer than they need be.
    let contract = contract(&format!("string s = 1 {}; Pair p = 2;", label("s")));
    let plan = plan(&contract, &["s", "x"]);
    let padded = b"\x8a\x80\x00\x82\x80\x00hi\x12\x85\x00\x0a\x83\x00abc";
    let filtered = plan.filter(&Bytes::from_static(padded)).unwrap_err();
    assert_eq!(filtered.0, WireError::Truncated);
    let padded = b"\x8a\x80\x00\x82\x80\x00hi\x12\x86\x00\x0a\x83\x00abc";
    let filtered = plan.filter(&Bytes::from_static(padded)).unwrap();
    assert_eq!(filtered, &b"\x0a\x02hi\x12\x05\x0a\x03abc"[..]);
}

#[test]
fn refuses_malformed_bodies() {
    let contract = contract(&format!(
        "string s = 1 {}; A a = 2; repeated fixed32 f = 3 {};",
        label("s"),
        label("f")
    ));
    let plan = plan(&contract, &["s", "f"]);
    let deep = |depth: usize| {
        let mut body = b"\x0a\x00".to_vec();
        for _ in 0..depth {
            let mut outer = vec![0x12];
            prost::encode_length_delimiter(body.len(), &mut outer).unwrap();
            outer.extend_from_slice(&body);
            body = outer;
        }
        body
    };
    for (body, error) in [
        (b"\x0a\x05hi".to_vec(), WireError::Truncated),
        (b"\x0a\x02\xff\xff".to_vec(), WireError::Text),
        (b"\x1a\x03abc".to_vec(), WireError::Number),
        (b"\x0b\x0c".to_vec(), WireError::Form),
        (b"\xfb\x01\xfc\x01".to_vec(), WireError::Form),
        (deep(MAX_DEPTH + 1), WireError::TooDeep),
    ] {
        assert_eq!(
            plan.check(&body),
            Err(CheckError::Malformed(error)),
            "{body:?}"
        );
        let refused = plan.filter(&body.into()).unwrap_err();
        assert_eq!(
            (refused.0, refused.reason()),
            (error, Reason::InvalidAnswer)
        );
    }
    assert_eq!(plan.check(&deep(MAX_DEPTH)), Ok(()));
}

#[test]
fn names_the_path_of_an_unlisted_field() {
    let contract = contract("repeated Pair pairs = 1; Closed c = 2;");
    let plan = plan(&contract, &["x"]);
    for (message, expected) in [
        (json!({"pairs": [{"x": "1"}, {"y": "canary"}]}), "pairs.y"),
        (json!({"pairs": [{"none": "canary"}]}), "pairs.none"),
        (json!({"c": {}}), "c"),
    ] {
        let text = message.to_string();
        let body = contract
            .decode_json(&method(), Direction::Request, &text)
            .unwrap();
        let refusal = plan.check(&body).unwrap_err();
        assert_eq!(
            refusal,
            CheckError::Unlisted {
                path: expected.into()
            }
        );
    }
}
