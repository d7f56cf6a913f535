//! What is said beside messages: metadata, trailers, texts and details, all of it full of secrets.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use entente_reason::Reason;
use entente_testkit::contracts::{Entropy, STEM};
use entente_tests::plain::{Heard, Says, Seen};
use tonic_types::{ErrorDetails, StatusExt as _};

/// An answer with secrets in every header and trailer a system may think of.
pub(super) fn decorate(mut says: Says, entropy: &mut Entropy) -> Says {
    for name in MARGINS {
        let secret = match name.strip_suffix("-bin") {
            Some(_) => BASE64_STANDARD.encode(entropy.text()),
            None => entropy.text(),
        };
        says = match entropy.below(2) {
            0 => says.header(name, &secret),
            _ => says.trailer(name, &secret),
        };
    }
    says
}

/// A refusal of a system: any code, secrets in its text and in every kind of detail.
pub(super) fn refusal(entropy: &mut Entropy) -> (i32, Says) {
    let code = 1 + i32::try_from(entropy.below(16)).unwrap();
    let reason = match entropy.below(3) {
        0 => entropy.text(),
        1 => "SOURCE_BUSY".to_owned(),
        _ => "NO_RECORD".to_owned(),
    };
    let domain = match entropy.below(3) {
        0 => entropy.text(),
        _ => "entente".to_owned(),
    };
    let mut text = || entropy.text();
    let mut details = ErrorDetails::new();
    let pairs = [(text(), text()), ("at".to_owned(), text())];
    details
        .set_error_info(reason, domain, pairs)
        .set_debug_info(vec![text(), text()], text())
        .add_bad_request_violation(text(), text())
        .add_precondition_failure_violation(text(), text(), text())
        .add_quota_failure_violation(text(), text())
        .set_request_info(text(), text())
        .set_resource_info(text(), text(), text(), text())
        .add_help_link(text(), text())
        .set_localized_message("en", text());
    let text = entropy.text();
    let status = tonic::Status::with_error_details(tonic::Code::from_i32(code), &*text, details);
    let says = Says::refusal(code, &text, status.details());
    let says = match entropy.below(2) {
        0 => says.trailers_only(),
        _ => says,
    };
    (code, says)
}

/// Nothing beside the message is the system's: names are ours, values hold no secret, texts and
/// details are the catalogue's.
pub(super) fn check_reserved(seen: &Seen, seed: u64) {
    let ours = BTreeSet::from(OURS);
    let strange: Vec<_> = seen.names().difference(&ours).copied().collect();
    assert!(strange.is_empty(), "seed {seed}: {strange:?}");
    let margins = seen.margins();
    let margins = String::from_utf8_lossy(&margins);
    assert!(!margins.contains(STEM), "seed {seed}: {margins}");
    let status = seen.status().unwrap();
    if status.code() == tonic::Code::Ok {
        assert_eq!((status.message(), status.details()), ("", &[][..]));
        return;
    }
    assert!(seen.body.is_empty(), "seed {seed}: {:x}", seen.body);
    let details = status.get_error_details();
    let reason = Reason::parse(&details.error_info().unwrap().reason).unwrap();
    assert_eq!(status.message(), reason.text(entente_reason::Lang::En));
    for key in details.error_info().unwrap().metadata.keys() {
        assert!(TOLD.contains(&key.as_str()), "seed {seed}: {key}");
    }
    assert!(details.debug_info().is_none() && details.bad_request().is_none());
}

/// The system was told what was verified about the call, and nothing else.
pub(super) fn check_told(heard: &Heard, seed: u64) {
    for (name, value) in &heard.headers {
        let name = name.as_str();
        assert!(CONTEXT.contains(&name), "seed {seed}: {name}");
        let personal = ["entente-user", "entente-case"].contains(&name);
        let value = String::from_utf8_lossy(value.as_bytes());
        assert_eq!(
            value.contains(STEM),
            personal,
            "seed {seed}: {name}: {value}"
        );
    }
}

/// Metadata of a careless caller. Only user and case are the provider's business.
pub(super) const CARELESS: [(&str, &str); 10] = [
    ("authorization", "Bearer <canary token>"),
    ("baggage", "person=<canary baggage>"),
    ("cookie", "<canary cookie>"),
    ("entente-case", "<canary case>"),
    ("entente-user", "<canary user>"),
    ("forwarded", "for=<canary address>"),
    ("grpc-tags-bin", "PGNhbmFyeSAxPg"),
    ("user-agent", "<canary agent>"),
    ("x-person", "<canary person>"),
    ("x-person-bin", "PGNhbmFyeSAxPg"),
];

const MARGINS: [&str; 24] = [
    "authorization",
    "content-disposition",
    "content-language",
    "entente-case",
    "entente-receipt",
    "entente-source-date",
    "entente-transaction",
    "entente-unheard-of",
    "entente-user",
    "entente-user-bin",
    "etag",
    "grpc-message",
    "grpc-retry-pushback-ms",
    "grpc-status-details-bin",
    "grpc-tags-bin",
    "grpc-trace-bin",
    "link",
    "location",
    "retry-after",
    "server",
    "set-cookie",
    "warning",
    "x-person",
    "x-person-bin",
];

const OURS: [&str; 8] = [
    "content-type",
    "date",
    "entente-receipt",
    "entente-transaction",
    "grpc-message",
    "grpc-status",
    "grpc-status-details-bin",
    "vary",
];

const TOLD: [&str; 7] = [
    "allowed",
    "at",
    "field",
    "key",
    "rule",
    "transaction",
    "agreement",
];

const CONTEXT: [&str; 12] = [
    "content-type",
    "entente-agreement",
    "entente-case",
    "entente-client",
    "entente-elements",
    "entente-mode",
    "entente-purpose",
    "entente-transaction",
    "entente-user",
    "grpc-timeout",
    "te",
    "user-agent",
];
