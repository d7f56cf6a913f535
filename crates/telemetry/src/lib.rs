//! What a role says about itself: JSON log lines, metrics, health, and the small HTTP server that
//! shows the last two.
//!
//! No personal value passes through here. Events carry a stable `event` name and short typed
//! fields; metrics are labelled by names of the directory and catalogue only; what must be carried
//! near a log line is wrapped in [`Personal`]. Libraries' own events are cut to warnings, because
//! HTTP libraries print headers, and panics are logged by place, without their message.

mod admin;
mod health;
mod logging;
mod metrics;
mod personal;

pub use admin::{AdminLimits, serve_admin};
pub use health::{Condition, Health, HealthReport};
pub use logging::{InvalidFilter, LOG_VARIABLE, LogHandle, LogOutput, Logging};
pub use metrics::{Build, InFlight, Metrics, Side};
pub use personal::Personal;
