//! Reading beside an owner that writes.

use crate::SidecarError;

/// Reads a folder that its owner may be changing: what vanished while we looked is elsewhere the next
/// time.
pub(crate) fn again<T>(
    mut read: impl FnMut() -> Result<T, SidecarError>,
) -> Result<T, SidecarError> {
    for _ in 1..ATTEMPTS {
        match read() {
            Err(SidecarError::Damaged { .. } | SidecarError::Disk(_)) => {}
            done => return done,
        }
    }
    read()
}

/// How often a folder that changes is looked at.
const ATTEMPTS: usize = 5;
