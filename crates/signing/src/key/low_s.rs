//! The one spelling of an ECDSA signature: of s and n − s, which verify alike, the lower.
//!
//! Without it anybody on the way could give a signed change or certificate a second encoding, and
//! with it a second hash, without the key.

use std::cmp::Ordering;

/// Whether s is at most n / 2.
pub(super) fn is_low(signature: &[u8; 64]) -> bool {
    signature[32..].cmp(&HALF_ORDER[..]) != Ordering::Greater
}

/// The P-256 signature with the lower of s and n − s, which verify alike: the only one accepted
/// here. For signers that drive a token.
pub fn lower_s(signature: [u8; 64]) -> [u8; 64] {
    if is_low(&signature) {
        signature
    } else {
        mirrored(signature)
    }
}

/// The signature with n − s for s, which must be at most n.
pub(super) fn mirrored(mut signature: [u8; 64]) -> [u8; 64] {
    let mut borrow = false;
    for (digit, order) in signature[32..].iter_mut().zip(ORDER).rev() {
        let (rest, under) = order.overflowing_sub(*digit);
        let (rest, under_again) = rest.overflowing_sub(u8::from(borrow));
        *digit = rest;
        borrow = under || under_again;
    }
    signature
}

/// The order n of P-256 (SP 800-186 §3.2.1.3), big endian.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// (n − 1) / 2, big endian.
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xde, 0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn with_s(s: [u8; 32]) -> [u8; 64] {
        let mut signature = [0x5a; 64];
        signature[32..].copy_from_slice(&s);
        signature
    }

    #[test]
    fn half_the_order_is_low_and_one_more_is_lowered_to_it() {
        let half = with_s(HALF_ORDER);
        let mut more = half;
        more[63] += 1;
        assert!(is_low(&half) && !is_low(&more));
        assert_eq!(lower_s(half), half);
        // n is odd: n − ((n − 1) / 2 + 1) = (n − 1) / 2.
        assert_eq!(lower_s(more), half);
    }

    #[test]
    fn the_highest_s_is_lowered_to_one() {
        let mut highest = ORDER;
        highest[31] -= 1;
        let mut one = [0; 32];
        one[31] = 1;
        assert_eq!(lower_s(with_s(highest)), with_s(one));
        assert_eq!(lower_s(with_s(one)), with_s(one));
    }
}
