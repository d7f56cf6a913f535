//! The replay window.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use entente_clock::Timestamp;
use entente_identity::ServerId;
use entente_reason::Reason;
use entente_store::{ReplayError, ReplayWindow, SeenMessage};
use proptest::prelude::*;

fn server(number: u8) -> ServerId {
    format!("ca-demo/member-{number}/@ss1").parse().unwrap()
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + seconds * 1000)
}

fn id(number: u8) -> [u8; 16] {
    [number; 16]
}

#[test]
fn lets_a_message_in_once_per_server_until_it_expires() {
    let window = ReplayWindow::default();
    let expires = window.insert(&server(1), &id(1), at(0)).unwrap();
    assert_eq!(expires, at(600));
    let again = window.insert(&server(1), &id(1), at(599)).unwrap_err();
    assert_eq!(again, ReplayError::Replayed);
    assert_eq!(again.reason(), Reason::Replayed);
    window.insert(&server(2), &id(1), at(1)).unwrap();
    window.insert(&server(1), &id(2), at(1)).unwrap();
    assert_eq!(window.len(), 3);
    window.expire(at(600));
    assert_eq!(window.len(), 2);
    window.insert(&server(1), &id(1), at(600)).unwrap();
}

#[test]
fn of_concurrent_copies_one_gets_in() {
    let window = ReplayWindow::default();
    let admitted = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for number in 0..100 {
                    if window.insert(&server(1), &id(number), at(0)).is_ok() {
                        admitted.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    assert_eq!(admitted.load(Ordering::SeqCst), 100);
}

#[test]
fn refuses_rather_than_forget_when_full() {
    let window = ReplayWindow::new(1);
    let mut refused = 0;
    for number in 0..=255 {
        match window.insert(&server(1), &id(number), at(0)) {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error, ReplayError::Full);
                assert_eq!(error.reason(), Reason::Overloaded);
                refused += 1;
            }
        }
    }
    assert!(refused >= 256 - 64, "{refused}");
    assert_eq!(window.len(), 256 - refused);
    // What was let in is still known; and room comes back with time.
    window.expire(at(600));
    assert!(window.is_empty());
}

#[test]
fn a_server_that_sends_without_pause_leaves_room_for_the_others() {
    let window = ReplayWindow::new(64 * 64);
    let message = |number: u32| {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        id
    };
    for number in 0..20_000 {
        let _ = window.insert(&server(1), &message(number), at(0));
    }
    assert!(window.len() <= 64 * 64 / 2);
    for number in 0..500 {
        window.insert(&server(2), &message(number), at(1)).unwrap();
    }
    // Its own room comes back with time, like everybody's.
    window.insert(&server(1), &message(0), at(600)).unwrap();
}

#[test]
fn is_filled_again_with_what_has_not_expired_in_any_order_and_twice() {
    let now = at(100);
    let seen: Vec<_> = (0..20)
        .rev()
        .map(|number| SeenMessage {
            server: server(number % 3),
            id: id(number),
            expires: at(u64::from(number) * 10 + 1),
        })
        .collect();
    let restored = ReplayWindow::default();
    restored.restore(seen.clone(), now).unwrap();
    restored.restore(seen, now).unwrap();
    assert_eq!(restored.len(), 10);
    for number in 0..20 {
        let outcome = restored.insert(&server(number % 3), &id(number), now);
        assert_eq!(outcome.is_err(), number >= 10, "{number}");
    }
}

#[test]
fn a_restoration_that_does_not_fit_says_so() {
    let messages = (0..=255).map(|number| SeenMessage {
        server: server(0),
        id: id(number),
        expires: at(600),
    });
    let window = ReplayWindow::new(64);
    assert_eq!(window.restore(messages, at(0)), Err(ReplayError::Full));
}

proptest! {
    /// Whatever the order of messages and however the clock moves, no message gets in again before
    /// the clock has once passed its expiry, and one that is new always gets in.
    #[test]
    fn never_admits_a_message_twice_within_its_span(
        steps in prop::collection::vec((0_u8..3, 0_u8..6, -30_i64..400), 1..200),
    ) {
        let window = ReplayWindow::new(1024);
        let mut admitted: HashMap<(u8, u8), Timestamp> = HashMap::new();
        let mut now = at(10_000);
        let mut latest = now;
        for (from, number, step) in steps {
            let by = Duration::from_secs(step.unsigned_abs());
            now = if step < 0 { now.saturating_sub(by) } else { now.saturating_add(by) };
            latest = latest.max(now);
            match window.insert(&server(from), &id(number), now) {
                Ok(expires) => {
                    if let Some(earlier) = admitted.insert((from, number), expires) {
                        // Time may have run back since, but it had expired.
                        prop_assert!(earlier <= latest);
                    }
                }
                Err(error) => {
                    prop_assert_eq!(error, ReplayError::Replayed);
                    prop_assert!(admitted.contains_key(&(from, number)));
                }
            }
        }
    }
}
