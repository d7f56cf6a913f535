//! Tokens of a real authority (`openssl ts`), and tokens that no authority should have made.

// Test code: what cannot be had stops the test.
#![allow(clippy::unwrap_used)]

mod hostile;
mod tokens;
