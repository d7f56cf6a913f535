use super::*;
use crate::file::FieldSpec;
use prost_reflect::DescriptorPool;

/// The fields of a message with one field of each type.
fn message() -> prost_reflect::MessageDescriptor {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/contracts");
    let proto = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto");
    let mut compiler = protox::Compiler::new([folder, proto]).unwrap();
    compiler.include_imports(true);
    compiler
        .open_files(["things.proto", "benefits.proto"])
        .unwrap();
    let set = compiler.encode_file_descriptor_set();
    let pool = DescriptorPool::decode(set.as_slice()).unwrap();
    pool.get_message_by_name("test.things.v1.Thing").unwrap()
}

fn convert(field: &str, spec: &str) -> Result<Convert, String> {
    let spec: FieldSpec = entente_config::parse(spec, "spec").unwrap();
    let message = message();
    let field = if field == "amount" {
        let pool = message.parent_pool().clone();
        let payment = pool
            .get_message_by_name("ca.demo.benefits.v1.Payment")
            .unwrap();
        payment.get_field_by_name(field).unwrap()
    } else {
        message.get_field_by_name(field).unwrap()
    };
    Convert::compile(&spec, &field)
}

fn text(value: &str) -> SqlValue {
    SqlValue::Text(value.to_owned())
}

#[test]
fn money_is_counted_in_whole_units_and_never_rounded() {
    let money = convert(
        "amount",
        "{column: c, type: money, currency: CAD, scale: 2}",
    )
    .unwrap();
    for (value, units, nanos) in [
        (SqlValue::Int(1234), 12, 340_000_000),
        (SqlValue::Int(-5), 0, -50_000_000),
        (text("12.5"), 12, 500_000_000),
        (text("-0.05"), 0, -50_000_000),
        (text("0"), 0, 0),
    ] {
        let shown = format!("{value:?}");
        let value = money.apply(value).unwrap().unwrap();
        let message = value.as_message().unwrap();
        let read = |name: &str| message.get_field_by_name(name).unwrap().into_owned();
        assert_eq!(read("units"), Value::I64(units), "{shown}");
        assert_eq!(read("nanos"), Value::I32(nanos), "{shown}");
        assert_eq!(read("currency_code"), Value::String("CAD".to_owned()));
    }
    for value in [
        "12.345",
        "",
        "1e3",
        "12,5",
        "NaN",
        "99999999999999999999999",
    ] {
        assert_eq!(money.apply(text(value)), Err(Unfit::Record), "{value}");
    }
    assert_eq!(money.apply(SqlValue::Real(1.5)), Err(Unfit::Record));
}

#[test]
fn numbers_that_do_not_fit_their_field_fail() {
    let count = convert("count", "{column: c}").unwrap();
    assert_eq!(count.apply(text("7")), Ok(Some(Value::I64(7))));
    for value in [
        text("9223372036854775808"),
        text("7.0"),
        text(""),
        text("x"),
        SqlValue::Real(7.0),
    ] {
        assert_eq!(count.apply(value), Err(Unfit::Record));
    }
    let name = convert("name", "{column: c}").unwrap();
    assert_eq!(name.apply(SqlValue::Real(0.1)), Err(Unfit::Record));
    assert_eq!(
        name.apply(SqlValue::Int(7)),
        Ok(Some(Value::String("7".to_owned())))
    );
    assert_eq!(name.apply(SqlValue::Null), Ok(None));
}

#[test]
fn bytes_come_from_blobs_or_from_postgresqls_hexadecimal() {
    let mark = convert("mark", "{column: c, type: bytes}").unwrap();
    let bytes = |bytes: &'static [u8]| Ok(Some(Value::Bytes(Bytes::from_static(bytes))));
    assert_eq!(mark.apply(SqlValue::Bytes(vec![1, 2])), bytes(&[1, 2]));
    assert_eq!(mark.apply(text("\\x00fF")), bytes(&[0, 255]));
    assert_eq!(mark.apply(text("\\x")), bytes(&[]));
    for value in ["00ff", "\\x0", "\\x0g", "\\xé"] {
        assert_eq!(mark.apply(text(value)), Err(Unfit::Record), "{value}");
    }
}

#[test]
fn a_mapping_that_cannot_work_is_refused_before_any_value() {
    for (field, spec) in [
        ("state", "{column: c, map: {A: STATE_GOD}}"),
        ("state", "{column: c, map: {A: STATE_GOOD}, else: NOTHING}"),
        ("state", "{column: c, else: STATE_GOOD}"),
        ("count", "{column: c, map: {A: many}}"),
        ("count", "{column: c, type: date}"),
        ("count", "{column: c, split: ','}"),
        ("tags", "{column: c}"),
        ("tags", "{column: c, split: ''}"),
        ("name", "{column: c, format: '%Y'}"),
        ("name", "{column: c, type: date, format: 'Y-m-d'}"),
        ("name", "{column: c, type: date, zone: UTC}"),
        ("name", "{column: c, scale: 2}"),
        ("name", "{column: c, 'true': [Y]}"),
        ("whole", "{column: c, 'true': [Y], 'false': [Y]}"),
        ("made", "{column: c}"),
        (
            "made",
            "{column: c, type: timestamp, zone: America/Toronto}",
        ),
        ("amount", "{column: c, type: money}"),
        ("amount", "{column: c, type: money, currency: cad}"),
        (
            "amount",
            "{column: c, type: money, currency: CAD, scale: 10}",
        ),
    ] {
        assert!(convert(field, spec).is_err(), "{field}: {spec}");
    }
}
