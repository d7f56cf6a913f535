//! What the scenario tests and the benchmarks share.

pub mod bench;
pub mod events;
pub mod hostile;
pub mod needles;
pub mod offer;
pub mod plain;
pub mod simulation;
pub mod softhsm;
pub mod ticker;
pub mod town;
pub mod tsa;
pub mod verifiers;
pub mod walk;
pub mod world;
