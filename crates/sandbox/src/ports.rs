//! Loopback ports for a new sandbox: the usual ones when they are free, else any.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Of each jurisdiction the registry, then each agency's peer and admin ports.
pub(crate) const USUAL: [u16; 13] = [
    7100, 7110, 7111, 7120, 7121, 7130, 7131, // the first jurisdiction's
    7200, 7210, 7211, // and each province's
    7300, 7310, 7311,
];

/// Whoever listens here may take the usual ports: of several sandboxes that are built at one moment, one.
const CLAIM: u16 = 7109;

/// Ports that were free when they were chosen.
#[derive(Debug)]
pub(crate) struct Ports {
    /// As many as [`USUAL`].
    pub(crate) numbers: [u16; USUAL.len()],
    /// Keeps the usual ones from being chosen by others before the roles have taken them.
    _claim: Option<TcpListener>,
}

/// The usual ports, or when `usual` is false or one of them is taken, any. They are free when this returns;
/// the role that takes one says so if it no longer is.
///
/// # Errors
/// When the system gives none.
pub(crate) fn choose(usual: bool) -> std::io::Result<Ports> {
    let listen = |port| TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    if usual
        && let Ok(claim) = listen(CLAIM)
        && USUAL.map(listen).iter().all(Result::is_ok)
    {
        return Ok(Ports {
            numbers: USUAL,
            _claim: Some(claim),
        });
    }
    // All are held open until all are known, so that none is given twice.
    let mut held = Vec::with_capacity(USUAL.len());
    let mut numbers = [0; USUAL.len()];
    for port in &mut numbers {
        let listener = listen(0)?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(Ports {
        numbers,
        _claim: None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn chooses_ports_that_are_free_and_differ() {
        let ports = choose(false).unwrap().numbers;
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), ports.len());
        for port in ports {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        }
    }
}
