//! What everything here reads time, network and disk through.

use std::sync::Arc;

use entente_clock::{Clock, SystemClock};
use entente_ledger::disk::{Disk, RealDisk};
use entente_tls::net::{Net, TokioNet};

/// Clock, network and disk. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Seams {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Connects and listens.
    pub net: Arc<dyn Net>,
    /// Where files are.
    pub disk: Arc<dyn Disk>,
}

// === impl Seams ===

impl Seams {
    /// This machine's.
    pub fn real() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            net: Arc::new(TokioNet),
            disk: Arc::new(RealDisk),
        }
    }
}
