//! Contracts through their public face: parsed from descriptor sets compiled on the spot.

// Helpers outside `#[test]` functions are tests all the same.
#![allow(clippy::unwrap_used)]

mod compare;
mod fixture;
mod plan;
mod property;
mod rules;
mod subject;
mod vital_events;
