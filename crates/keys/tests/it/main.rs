//! Custody and session certificates, from outside.

mod custody;
mod session;
mod token;
