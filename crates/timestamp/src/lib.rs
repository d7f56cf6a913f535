//! Time stamps by an outside authority (RFC 3161): what is asked of it, and what is believed of its
//! answer.
//!
//! A [`Query`] is sent to the authority; [`Query::open`] reads the reply. A [`Stamp`] can only be had by
//! verifying a token, so holding one is the proof that every check ran. Time and bytes come in as
//! arguments: there is no clock, socket or file here.

mod authorities;
mod fields;
mod info;
mod query;
mod token;

pub use authorities::{Authorities, AuthoritiesError, InvalidPolicy, Policy};
pub use query::{Query, ReplyError};
pub use token::{MAX_TOKEN, Stamp, TokenError, stated, verify};

/// What an authority is asked with.
pub const QUERY_TYPE: &str = "application/timestamp-query";

/// What it answers with.
pub const REPLY_TYPE: &str = "application/timestamp-reply";
