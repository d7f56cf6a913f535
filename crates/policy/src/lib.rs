//! The decision: may this call pass, under which clause, and with which data elements?
//!
//! [`decide()`] is run by the consumer's server and again by the provider's, over each one's own
//! directory. It denies by default: a call passes under exactly one clause of one agreement in
//! force, and everything the clause asks for must be there. It reads no clock, socket or file, and
//! neither a [`Permit`] nor a [`Refusal`] holds a personal value. Counting against ceilings and
//! filtering messages is the server's work, with what the permit says.

mod call;
mod candidates;
mod decide;
mod refusal;

pub use call::{Call, Freshness, InvalidNamed, Named, Permit, View, Which};
pub use decide::decide;
pub use refusal::Refusal;
