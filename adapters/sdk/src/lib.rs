//! What a custom adapter needs: the verified context of a call, releasing only what the agreement
//! permits, refusing with a reason, and serving so that only the security server can reach it.
//!
//! An adapter is an ordinary gRPC server, and no library is required to write one. With this one an
//! adapter is a type that implements [`Adapter`] on message bytes:
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use bytes::Bytes;
//! use entente_adapter_sdk::{Adapter, AdapterError, Answer, Context, Description, ServeOptions, bind};
//! use entente_identity::MethodName;
//!
//! struct Land;
//!
//! impl Adapter for Land {
//!     fn describe(&self) -> Description {
//!         Description::serving("land", "demo.land.v1.Land".parse().expect("a name"), ["GetParcel"])
//!     }
//!
//!     async fn call(
//!         &self,
//!         context: Context,
//!         _method: &MethodName,
//!         _request: Bytes,
//!     ) -> Result<Answer, AdapterError> {
//!         if context.elements.is_empty() {
//!             return Err(AdapterError::not_found("NO_SUCH_PARCEL"));
//!         }
//!         Ok(Answer::from(Bytes::new()))
//!     }
//! }
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let bound = bind(&"unix:/run/entente/land.sock".parse()?)?;
//! bound.serve(Arc::new(Land), ServeOptions::default(), std::future::pending()).await?;
//! # Ok(()) }
//! ```
//!
//! This crate does not verify signatures: the security server did, and an adapter never sees a
//! peer's certificate, only the context its own server vouches for.

mod adapter;
mod context;
pub mod fake;
mod refusal;
mod serve;
mod service;
mod socket;

pub use adapter::{Adapter, Answer, Description, MethodState, Standing};
pub use context::{Context, InvalidContext, Mode, ReleaseError};
pub use refusal::AdapterError;
pub use serve::{Bound, ServeError, ServeOptions, bind};
pub use service::{MAX_MESSAGE_BYTES, MAX_METADATA_BYTES};
