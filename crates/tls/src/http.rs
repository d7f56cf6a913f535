//! Plain HTTP/1.1, for what is signed or public anyway: one request to a stranger, one small server.
//!
//! Nothing here is encrypted and nobody is authenticated. Whoever asks checks what comes back.

mod client;
mod server;
mod url;

pub use client::{HttpError, send};
pub use server::{HttpLimits, serve};
pub use url::{HttpUrl, InvalidHttpUrl};
