//! What the tests of stops and full disks share: the written table, servers as processes, a system
//! that can be held, and what two ledgers say about one exchange.

mod gate;
mod log;
mod process;
mod table;

pub use gate::Gate;
pub use log::{Acknowledged, Log, check_pair};
pub use process::{Launch, ServerProcess, until};
pub use table::{Again, Got, Row, Side, TABLE, When, document, step_named};
