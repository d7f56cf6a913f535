use super::super::finding::{Verdict, remedies};
use super::*;

const NOON: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn key(held: Held, known: Known) -> Finding {
    judge(&Key {
        check: "keys.tls",
        file: "tls.1.pem".to_owned(),
        folder: "/keys".into(),
        held,
        known,
    })
}

fn there() -> Held {
    Held::There("3f2a91c0b7d45e16".to_owned())
}

#[test]
fn a_key_that_is_missing_unusable_or_not_in_force_fails_with_what_to_do() {
    assert_eq!(key(there(), Known::InForce).verdict(), Verdict::Ok);
    for (held, known, exit) in [
        (Held::Missing, Known::Unasked, Exit::Failed),
        (
            Held::Unusable("no".to_owned()),
            Known::Unasked,
            Exit::Failed,
        ),
        (there(), Known::Unlisted, Exit::Refused),
        (there(), Known::Ended(NOON), Exit::Refused),
    ] {
        let finding = key(held, known);
        assert_eq!(finding.verdict(), Verdict::Fail(exit));
        let remedies = remedies(&finding);
        assert!(
            remedies[0].contains("entente server register"),
            "{remedies:?}"
        );
        assert!(
            remedies[1].contains("entente server register"),
            "{remedies:?}"
        );
    }
    let unasked = key(there(), Known::Unasked);
    assert_eq!(unasked.verdict(), Verdict::Warn);
    assert!(remedies(&unasked)[0].contains("registry.reachable"));
}

#[test]
fn a_list_says_whether_a_key_is_in_force() {
    let dated = |value, until| Dated {
        value,
        from: Timestamp::default(),
        until,
    };
    let list = [dated(1, Some(NOON)), dated(2, None)];
    let found = [1, 2, 3].map(|key| known(&list, |listed| *listed == key));
    assert_eq!(found, [Known::Ended(NOON), Known::InForce, Known::Unlisted]);
}

#[test]
fn a_session_that_was_revoked_or_ran_out_under_a_running_server_fails() {
    let session = Session {
        issued_at: NOON,
        not_after: NOON.saturating_add(std::time::Duration::from_secs(60)),
    };
    let later = NOON.saturating_add(std::time::Duration::from_secs(61));
    let stands = |revoked, now, runs| session_stands(&session, revoked, now, runs);
    assert_eq!(stands(false, NOON, true).verdict(), Verdict::Ok);
    assert_eq!(stands(false, later, false).verdict(), Verdict::Ok, "down");
    let over = stands(false, later, true);
    assert_eq!(over.verdict(), Verdict::Fail(Exit::Failed));
    let revoked = stands(true, NOON, false);
    assert_eq!(revoked.verdict(), Verdict::Fail(Exit::Refused));
    for finding in [over, revoked] {
        assert!(remedies(&finding)[0].contains("start the server anew"));
    }
}
