//! A place to stop at each of the nine steps of an exchange (DESIGN.md §5).
//!
//! Servers run with [`NoProbe`]. Tests put in one that aborts the process, or counts.

use std::fmt::Debug;

/// A step that has just been completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// 1 The consumer system's call has arrived and the caller is proven.
    Called,
    /// 2 The consumer's server permitted it.
    Decided,
    /// 3 OUT(request) is durable.
    RequestLogged,
    /// 4 The envelope goes to the transport; from here on nobody knows whether it arrives.
    Sent,
    /// 5 The provider's server verified and opened the envelope and noted its message id.
    Opened,
    /// 6 The provider's server permitted it.
    Admitted,
    /// 7 IN(request) is durable; the system has not been called yet.
    RequestAccepted,
    /// 7 The system has answered; nothing of the answer is kept yet.
    SystemAnswered,
    /// 8 OUT(response) is durable; nothing has left yet.
    ResponseLogged,
    /// 9 IN(response) is durable; the caller has not been answered yet.
    Received,
}

/// Called after each step, on the path of every exchange: it must be quick.
pub trait Probe: Debug + Send + Sync + 'static {
    /// `step` is complete.
    fn reached(&self, step: Step);
}

/// Does nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProbe;

// === impl Step ===

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 10] = [
        Self::Called,
        Self::Decided,
        Self::RequestLogged,
        Self::Sent,
        Self::Opened,
        Self::Admitted,
        Self::RequestAccepted,
        Self::SystemAnswered,
        Self::ResponseLogged,
        Self::Received,
    ];
}

// === impl NoProbe ===

impl Probe for NoProbe {
    fn reached(&self, _: Step) {}
}
