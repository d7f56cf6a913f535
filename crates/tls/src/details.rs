//! Error details as they come over the wire.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;

/// Takes away error details that are not base64. tonic panics over them when it reads a status
/// (`Status::from_header_map`), and nobody at the other end may stop this process.
pub(crate) fn check_details(headers: &mut HeaderMap) {
    let is_base64 = |value: &http::HeaderValue| CODEC.decode(value.as_bytes()).is_ok();
    if !headers.get(DETAILS).is_none_or(is_base64) {
        headers.remove(DETAILS);
    }
}

const DETAILS: &str = "grpc-status-details-bin";

/// As tonic reads them: padded or not.
const CODEC: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use tonic::Status;

    use super::*;

    #[test]
    fn details_that_are_not_base64_are_taken_away_before_a_status_is_read() {
        for (details, kept) in [
            (&b"CAUSAA"[..], true),
            (b"CAUSAA==", true),
            (b"", true),
            (b"!", false),
            (b"A", false),
            (b"CAUSAA=\xff", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-status", HeaderValue::from_static("13"));
            headers.insert(DETAILS, HeaderValue::from_bytes(details).unwrap());
            check_details(&mut headers);
            assert_eq!(headers.contains_key(DETAILS), kept, "{details:?}");
            assert!(Status::from_header_map(&headers).is_some());
        }
    }
}
