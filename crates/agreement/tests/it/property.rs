//! Whatever the document, its canonical bytes are read back to the same document and no other.

use entente_agreement::{Document, Hours, MethodTerms, Onward, OnwardRule, Text, Volume, Weekday};
use proptest::prelude::*;

use crate::pensions;

fn text() -> impl Strategy<Value = Text> {
    // Control characters, quotes, and letters beyond the basic plane.
    let part = "[\\x00-\\x1f\"\\\\/<> a-zé€😀\u{fffd}]{1,40}";
    (part, part).prop_map(|(en, fr)| Text {
        en: format!("e{en}"),
        fr: format!("f{fr}"),
    })
}

fn terms() -> impl Strategy<Value = MethodTerms> {
    let elements = || prop::collection::btree_set("[a-z][a-z0-9_.-]{0,20}", 0..6);
    (elements(), elements()).prop_map(|(request, release)| MethodTerms {
        request: request.iter().map(|e| e.parse().unwrap()).collect(),
        release: release.iter().map(|e| e.parse().unwrap()).collect(),
    })
}

fn document() -> impl Strategy<Value = Document> {
    let methods = prop::collection::btree_map("[A-Z][A-Za-z0-9]{0,12}", terms(), 1..5);
    let bits = prop::collection::vec(any::<bool>(), 8);
    (
        text(),
        text(),
        methods,
        bits,
        1u32..5000,
        0u8..5,
        "[ -~]{1,60}",
    )
        .prop_map(
            |(title, limit, methods, bits, number, assurance, contact)| {
                let mut document = pensions();
                document.title = title;
                document.version = number;
                document.parties[0].steward.contact = format!("c{contact}");
                document.supersedes = bits[0].then(|| document.clauses[0].descriptor_set);
                document.review_by = bits[1].then_some(document.not_before);
                if bits[2] {
                    document.audit = None;
                }
                let clause = &mut document.clauses[0];
                clause.methods = methods;
                clause.assurance = assurance;
                clause.use_limit = bits[3].then_some(limit);
                let to = document.parties.iter().map(|p| p.member.clone()).collect();
                clause.onward = bits[4].then_some(Onward {
                    rule: OnwardRule::Listed,
                    to,
                });
                clause.user_required = bits[5];
                clause.retention.keep_payload_days = bits[6].then_some(1);
                clause.volume = bits[7].then_some(Volume {
                    calls_per_day: number,
                    calls_per_second: number,
                });
                clause.hours = bits[0].then_some(Hours {
                    days: [Weekday::Sun, Weekday::Mon].into(),
                    from_minute: number % 1440,
                    until_minute: number % 1440 + 1,
                    utc_offset_minutes: -(i32::from(assurance) * 100),
                });
                document
            },
        )
}

proptest! {
    #[test]
    fn canonical_bytes_and_documents_are_one_to_one(document in document(), at in any::<usize>()) {
        document.check_rules().unwrap();
        let bytes = document.canonical().into_bytes();
        prop_assert_eq!(Document::from_canonical(&bytes).unwrap(), document.clone());
        let mut altered = bytes.clone();
        let at = at % altered.len();
        altered[at] = altered[at].wrapping_add(1);
        if let Ok(other) = Document::from_canonical(&altered) {
            prop_assert_ne!(other, document);
        }
    }
}
