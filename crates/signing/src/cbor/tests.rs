use super::*;

fn read_all(bytes: &[u8]) -> Result<(), CborError> {
    let mut reader = Reader::new(bytes);
    reader.raw_item()?;
    reader.finish()
}

#[test]
fn integers_have_one_encoding_each() {
    for (value, bytes) in [
        (0_i64, vec![0x00]),
        (23, vec![0x17]),
        (24, vec![0x18, 24]),
        (255, vec![0x18, 255]),
        (256, vec![0x19, 1, 0]),
        (65_536, vec![0x1a, 0, 1, 0, 0]),
        (4_294_967_296, vec![0x1b, 0, 0, 0, 1, 0, 0, 0, 0]),
        (-1, vec![0x20]),
        (-8, vec![0x27]),
        (-25, vec![0x38, 24]),
        (
            i64::MIN,
            vec![0x3b, 0x7f, 255, 255, 255, 255, 255, 255, 255],
        ),
    ] {
        let mut writer = Writer::new();
        writer.int(value);
        assert_eq!(writer.as_slice(), bytes);
        assert_eq!(Reader::new(&bytes).int(), Ok(value));
    }
    for long in [
        &[0x18, 23][..],
        &[0x19, 0, 255],
        &[0x1a, 0, 0, 255, 255],
        &[0x1b, 0, 0, 0, 0, 255, 255, 255, 255],
    ] {
        assert_eq!(read_all(long), Err(CborError::Undeterministic));
    }
}

#[test]
fn refuses_what_has_a_shorter_or_another_spelling() {
    assert_eq!(
        read_all(&[0x5f, 0x41, 0, 0xff]),
        Err(CborError::Undeterministic)
    );
    assert_eq!(read_all(&[0x9f, 0xff]), Err(CborError::Undeterministic));
    assert_eq!(read_all(&[0xf9, 0, 0]), Err(CborError::Unexpected));
    assert_eq!(read_all(&[0xf7]), Err(CborError::Unexpected));
    assert_eq!(read_all(&[0xa2, 2, 0, 1, 0]), Err(CborError::KeyOrder));
    assert_eq!(read_all(&[0xa2, 1, 0, 1, 0]), Err(CborError::KeyOrder));
    assert_eq!(read_all(&[0x61, 0xff]), Err(CborError::Utf8));
    assert_eq!(read_all(&[0x01, 0x01]), Err(CborError::Trailing));
    assert_eq!(read_all(&[]), Err(CborError::Truncated));
}

#[test]
fn a_hostile_length_allocates_nothing_and_deep_nesting_stops() {
    assert_eq!(
        read_all(&[0x9b, 255, 255, 255, 255, 255, 255, 255, 255]),
        Err(CborError::Truncated)
    );
    assert_eq!(
        read_all(&[0x5b, 255, 255, 255, 255, 255, 255, 255, 255]),
        Err(CborError::Truncated)
    );
    assert_eq!(
        read_all(&[0xbb, 255, 255, 255, 255, 255, 255, 255, 255]),
        Err(CborError::Truncated)
    );
    assert_eq!(read_all(&[0x81; 40]), Err(CborError::Depth));
    assert_eq!(read_all(&[0xc1; 40]), Err(CborError::Depth));
}

#[test]
fn any_short_input_is_read_or_refused_without_panic() {
    for a in 0..=255_u8 {
        for b in 0..=255_u8 {
            for c in [0, 1, 0x18, 0x40, 0x61, 0x81, 0xa1, 0xf6, 0xff] {
                let bytes = [a, b, c];
                let mut reader = Reader::new(&bytes);
                // A peek never disagrees with the read that follows it.
                assert!(reader.peek().is_ok() || reader.raw_item().is_err());
            }
        }
    }
}
