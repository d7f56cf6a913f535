//! A response belongs to one request, a Close to one direction.

use entente_evidence::proof::{SignedStatement, sign_direct};
use entente_evidence::statement::{Body, Mismatch, Mode, Statement};
use entente_reason::Reason;
use entente_signing::Digest;

use crate::fixtures;

fn signed_response() -> SignedStatement {
    sign_direct(&fixtures::provider_key(), fixtures::response()).unwrap()
}

#[test]
fn responses_and_faults_answer_their_request() {
    let request = fixtures::signed_request();
    for answer in [
        fixtures::response(),
        fixtures::refused(),
        fixtures::failed(),
    ] {
        assert_eq!(answer.answers(&request), Ok(()));
    }
    for other in [fixtures::request(), fixtures::close(), fixtures::progress()] {
        assert_eq!(
            other.answers(&request).map_err(|mismatch| mismatch.key),
            Err(2)
        );
    }
    assert!(fixtures::response().answers(&signed_response()).is_err());
}

#[test]
fn an_answer_that_repeats_anything_otherwise_is_refused() {
    let request = fixtures::signed_request();
    type Alter = fn(&mut Statement);
    let alterations: [(u64, Alter); 11] = [
        (3, |s| {
            s.message_id = "00000000000000000000000000000000".parse().unwrap()
        }),
        (4, |s| {
            s.sender = "ca-demo/vital-events/other".parse().unwrap()
        }),
        (5, |s| {
            s.receiver = "ca-demo/pensions/other".parse().unwrap()
        }),
        (6, |s| {
            s.method = "ca.demo.vital.v1.Register/GetBirth".parse().unwrap()
        }),
        (10, |s| s.purpose = "OTHER".parse().unwrap()),
        (11, |s| {
            if let Body::Response { request, .. } = &mut s.body {
                *request = Digest::of(b"another request");
            }
        }),
        (14, |s| s.agreement = Digest::of(b"another agreement")),
        (15, |s| s.clause += 1),
        (16, |s| s.mode = Mode::Test),
        (18, |s| {
            s.receiver_server = "ca-demo/pensions/@ss2".parse().unwrap()
        }),
        (20, |s| {
            s.sender_server = "ca-demo/vital-events/@ss2".parse().unwrap()
        }),
    ];
    for (key, alter) in alterations {
        let mut response = fixtures::response();
        alter(&mut response);
        let mismatch = response.answers(&request).unwrap_err();
        let kind = response.kind();
        assert_eq!(mismatch, Mismatch { kind, key });
        assert_eq!(mismatch.reason(), Reason::ResponseMismatch);
    }
}

#[test]
fn progress_and_close_continue_the_direction_that_was_opened() {
    let (request, response) = (fixtures::signed_request(), signed_response());
    for statement in [fixtures::progress(), fixtures::close(), fixtures::aborted()] {
        assert_eq!(statement.continues(&response), Ok(()));
        assert_eq!(
            statement
                .continues(&request)
                .map_err(|mismatch| mismatch.key),
            Err(4)
        );
        // The consumer's own direction: the same parties as the request.
        let mut ours = statement.clone();
        std::mem::swap(&mut ours.sender, &mut ours.receiver);
        std::mem::swap(&mut ours.sender_server, &mut ours.receiver_server);
        assert_eq!(ours.continues(&request), Ok(()));
    }
    assert!(fixtures::response().continues(&request).is_err());
}
