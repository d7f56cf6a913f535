//! Subject tags, against values computed elsewhere.

use entente_evidence::commitment::Subject;
use entente_evidence::statement::{LogOrigin, MessageId};
use entente_evidence::tag::{SubjectKey, TagKey, Tags, TagsError};

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

#[test]
fn tags_are_the_reference_values_on_both_sides() {
    let message: MessageId = "90ac16783fbc54c3689c63b3ab89b39c".parse().unwrap();
    let sides = [
        (
            "939d7c7a73e4ede7dc47161d222a94eb2f680f453d15b4dc4aa0542c5a3ffccb",
            "c45e71d80e0c5c469a05b1713703b3517b68b5c0aa2477d56b8339bc655952eb",
            "ss1.pop.ee.entente.example/access",
            "25c354433e7227008b2fadc9ddaa56f2",
        ),
        (
            "fdaae5e3dd39db72da47f226565c37f5bb3d7fa759fba1bf9fad9fdb38261846",
            "ac45ef9a0c1e5e6d112994a916ac88320cafae3e7c5235893db1f1f09c1a43b5",
            "ss1.health.fi.entente.example/access",
            "1d426ef4f8598a719d6cf42b3c9e508f",
        ),
    ];
    for (tag_key, subject_key, origin, tag) in sides {
        let key = TagKey::new(&bytes(tag_key)).subject_key_of_bytes(b"FI:131052-308T");
        assert_eq!(hex::encode(key.expose()), subject_key);
        let origin: LogOrigin = origin.parse().unwrap();
        assert_eq!(hex::encode(key.tag(&origin, &message)), tag);
        // The person who was given the key finds the same.
        let given = SubjectKey::new(bytes(subject_key));
        assert_eq!(hex::encode(given.tag(&origin, &message)), tag);
    }
}

#[test]
fn a_subject_is_its_scheme_a_zero_and_its_id() {
    let key = TagKey::new(&[1; 32]);
    let subject = Subject::new("ca.sin", "046454286").unwrap();
    let same = key.subject_key_of_bytes(b"ca.sin\x00046454286");
    assert_eq!(key.subject_key(&subject).expose(), same.expose());
    assert_eq!((subject.scheme(), subject.id()), ("ca.sin", "046454286"));
}

#[test]
fn exchanges_about_many_are_found_under_the_key_of_nobody_in_particular() {
    let key = TagKey::new(&[1; 32]).subject_key(&Subject::many());
    let same = Subject::from_bytes(Subject::many().as_bytes());
    assert_eq!(same.unwrap(), Subject::many());
    assert_eq!(
        hex::encode(key.expose()),
        "b30bc5310d735a603115f29bbec722be25b4d7d287bc138f4d18abbf22118b91"
    );
}

#[test]
fn lists_are_padded_so_their_length_says_little() {
    let tags = |count: u8| (1..=count).map(|n| [n; 16]).collect::<Vec<_>>();
    for (count, padded) in [(0, 0), (1, 1), (2, 4), (4, 4), (5, 16), (16, 16)] {
        let list = Tags::padded(tags(count)).unwrap();
        assert_eq!(list.as_slice().len(), padded);
        assert!(tags(count).iter().all(|tag| list.as_slice().contains(tag)));
        assert!(list.as_slice().is_sorted());
        // Padding is random: no two are alike.
        let mut distinct = list.as_slice().to_vec();
        distinct.dedup();
        assert_eq!(distinct.len(), padded);
    }
    assert!(matches!(
        Tags::padded(tags(17)),
        Err(TagsError::TooMany { count: 17 })
    ));
    let repeated = Tags::padded(vec![[1; 16]; 20]).unwrap();
    assert_eq!(repeated.as_slice().len(), 1);
}

#[test]
fn keys_are_not_printed() {
    let key = TagKey::new(&[0xab; 32]);
    let printed = format!("{key:?}{:?}", SubjectKey::new([0xab; 32]));
    assert_eq!(printed, "TagKey(secret)SubjectKey(secret)");
}
