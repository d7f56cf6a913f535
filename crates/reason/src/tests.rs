use std::collections::BTreeSet;

use super::{At, GrpcCode, Lang, Reason};

#[test]
fn codes_are_sorted_and_unique() {
    for pair in Reason::ALL.windows(2) {
        assert!(
            pair[0].code() < pair[1].code(),
            "{} must stand after {}",
            pair[0],
            pair[1]
        );
    }
}

#[test]
fn every_code_parses_back_to_its_reason() {
    for &reason in Reason::ALL {
        assert_eq!(Reason::parse(reason.code()), Some(reason));
        assert_eq!(reason.code().parse(), Ok(reason));
    }
    assert_eq!(Reason::parse("NO_SUCH_REASON"), None);
    assert_eq!(Reason::parse(""), None);
}

#[test]
fn a_variant_is_named_after_its_code() {
    for &reason in Reason::ALL {
        let camel: String = reason
            .code()
            .split('_')
            .map(|word| word[..1].to_owned() + &word[1..].to_ascii_lowercase())
            .collect();
        assert_eq!(format!("{reason:?}"), camel);
    }
}

#[test]
fn both_languages_are_complete_sentences() {
    for &reason in Reason::ALL {
        for lang in Lang::ALL {
            for sentence in [reason.text(lang), reason.remedy(lang)] {
                assert!(sentence.ends_with('.'), "{reason} {lang:?}: {sentence}");
                assert!(
                    sentence.starts_with(|first: char| first.is_uppercase()),
                    "{reason} {lang:?}: {sentence}"
                );
                assert!(sentence.chars().count() <= 200, "{reason}: {sentence}");
            }
        }
        assert_ne!(reason.text(Lang::En), reason.text(Lang::Fr), "{reason}");
        assert_ne!(reason.remedy(Lang::En), reason.remedy(Lang::Fr), "{reason}");
        assert!(reason.doc().ends_with('.'), "{reason}");
    }
}

#[test]
fn no_two_reasons_say_the_same() {
    for lang in Lang::ALL {
        let texts: BTreeSet<_> = Reason::ALL.iter().map(|r| r.text(lang)).collect();
        assert_eq!(texts.len(), Reason::ALL.len());
    }
}

#[test]
fn french_uses_its_own_apostrophe_and_spaces() {
    for &reason in Reason::ALL {
        for sentence in [reason.text(Lang::Fr), reason.remedy(Lang::Fr)] {
            assert!(!sentence.contains('\''), "{reason}: {sentence}");
            for sign in [" :", " ;", " »", "« "] {
                assert!(
                    !sentence.contains(sign),
                    "{reason}: a breaking space in {sentence}"
                );
            }
        }
    }
}

#[test]
fn every_grpc_code_has_a_name() {
    for &reason in Reason::ALL {
        assert!(reason.grpc().name().is_some(), "{reason}");
    }
    assert_eq!(GrpcCode(0).name(), None);
}

#[test]
fn places_parse_back() {
    for at in At::ALL {
        assert_eq!(At::parse(at.as_str()), Some(at));
    }
    assert_eq!(At::parse("nowhere"), None);
}

#[test]
fn a_language_tag_that_is_not_french_is_english() {
    assert_eq!(Lang::from_tag("fr-CA"), Lang::Fr);
    assert_eq!(Lang::from_tag("FR_ca.UTF-8"), Lang::Fr);
    assert_eq!(Lang::from_tag("en-CA"), Lang::En);
    assert_eq!(Lang::from_tag(""), Lang::En);
    assert_eq!(Lang::from_tag("é"), Lang::En);
}

#[test]
fn codes_published_before_are_still_there() {
    // Append-only: a code once given to a caller keeps its meaning. Add new codes to this list.
    let published = include_str!("published.txt");
    let now: BTreeSet<_> = Reason::ALL.iter().map(|r| r.code()).collect();
    let before: BTreeSet<_> = published.lines().collect();
    assert_eq!(before, now, "published.txt and the catalogue differ");
}
