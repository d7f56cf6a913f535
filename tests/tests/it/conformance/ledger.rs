//! Entries of an access ledger.

use entente_ledger::Entry;
use entente_testkit::entries::samples;

use super::{published, text};

#[test]
fn every_kind_of_entry_is_the_published_bytes_and_back() {
    let mut kinds = std::collections::BTreeSet::new();
    for (name, entry) in samples() {
        let kind = entry.body.kind();
        kinds.insert(kind);
        let file = format!("ledger/entry-{kind:02}-{name}");
        let bytes = entry.encode().unwrap();
        let expected = published(&file, || text::of_cbor(&bytes));
        assert_eq!(hex::encode(&bytes), hex::encode(&expected), "{file}");
        let read = Entry::decode(&expected).unwrap();
        assert_eq!(read, entry, "{file}");
        assert_eq!(read.encode().unwrap(), expected, "{file}");
    }
    assert!(kinds.into_iter().eq(1..=14));
}
