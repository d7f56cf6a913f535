//! Rebuildable indexes: what can be found faster than by reading the ledger, and nothing else.
//!
//! The ledger is the truth; this is an index over it. **Trusted:** no, nothing is decided on its
//! word. **Its loss** costs a rebuild, never evidence: the folder may be deleted at any time. The
//! replay window ([`ReplayWindow`]) is in memory alone, and filled from the ledger at each start.
//!
//! The only crate that names sled, which is a beta with known faults: `flush` is not fsync,
//! concurrent `flush_async` hangs (sled #1308, #1357), files may not open after an abrupt stop. So
//! one writer thread applies batches, flushes and fsyncs; each batch carries the ledger position it
//! brings the index up to; whatever does not open, scan or match is set aside and rebuilt; and
//! nothing on a request path waits for it. See `docs/decisions/001-what-sled-is-for.md`.

mod backend;
mod batch;
mod folder;
mod messages;
mod replay;
mod store;
mod writer;

pub use batch::{Batch, Journal, MAX_KEY, MAX_VALUE, Tree};
pub use folder::retire;
pub use messages::RUN;
pub use replay::{MessageId, ReplayError, ReplayWindow, SeenMessage};
pub use store::{Opened, RebuildCause, Store, StoreError};
