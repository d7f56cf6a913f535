//! The only randomness of this crate: message ids, salts, tag padding, seal randoms and key seeds,
//! all straight from the operating system.
//!
//! (`hpke` draws its own encapsulation randomness from the same source.) Nothing else here depends
//! on anything but its arguments.

/// The operating system gave no random bytes. Nothing can be signed or sealed without them.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("could not draw random bytes")]
pub struct RandomError {
    #[source]
    source: getrandom::Error,
}

// === impl RandomError ===

impl RandomError {
    /// Always `INTERNAL`: the machine is at fault, never a caller.
    pub const fn reason(&self) -> entente_reason::Reason {
        entente_reason::Reason::InternalFault
    }
}

/// `N` fresh random bytes.
pub(crate) fn fill<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|source| RandomError { source })?;
    Ok(bytes)
}
