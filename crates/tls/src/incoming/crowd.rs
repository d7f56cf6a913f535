//! How many connections each address has: whoever opens ever more takes only its own share, since any
//! key passes the handshake of a peer port.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::AcceptLimits;
use crate::config::TlsError;
use crate::net::Remote;

/// Counts connections by address.
#[derive(Debug)]
pub(super) struct Crowd {
    counts: Arc<Mutex<HashMap<IpAddr, Count>>>,
    most_pending: usize,
    most_open: usize,
}

/// A connection counted; until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    counts: Arc<Mutex<HashMap<IpAddr, Count>>>,
    address: IpAddr,
    is_pending: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    /// Handshakes under way.
    pending: usize,
    /// All connections, handshakes included.
    open: usize,
}

// === impl Crowd ===

impl Crowd {
    pub(super) fn new(limits: &AcceptLimits) -> Self {
        let share = |of: usize| (of.saturating_mul(limits.share_percent) / 100).max(1);
        Self {
            counts: Arc::default(),
            most_pending: share(limits.max_pending),
            most_open: share(limits.max_open),
        }
    }

    /// Counts a connection that was just accepted; one over a Unix socket has no address to count.
    pub(super) fn enter(&self, remote: Remote) -> Result<Option<Place>, TlsError> {
        let Remote::Tcp(address) = remote else {
            return Ok(None);
        };
        let address = network(address.ip());
        let mut counts = lock(&self.counts);
        let count = counts.entry(address).or_default();
        if count.pending >= self.most_pending || count.open >= self.most_open {
            return Err(TlsError::Crowded);
        }
        count.pending += 1;
        count.open += 1;
        Ok(Some(Place {
            counts: Arc::clone(&self.counts),
            address,
            is_pending: true,
        }))
    }
}

// === impl Place ===

impl Place {
    /// The handshake is done.
    pub(super) fn established(mut self) -> Self {
        if let Some(count) = lock(&self.counts).get_mut(&self.address) {
            count.pending -= 1;
        }
        self.is_pending = false;
        self
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = lock(&self.counts);
        if let Some(count) = counts.get_mut(&self.address) {
            count.pending -= usize::from(self.is_pending);
            count.open -= 1;
            if count.open == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// Whoever has one IPv6 address has a /64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        IpAddr::V4(address) => address.into(),
    }
}

/// Nothing panics while holding it.
fn lock(counts: &Mutex<HashMap<IpAddr, Count>>) -> MutexGuard<'_, HashMap<IpAddr, Count>> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str) -> Remote {
        Remote::Tcp(address.parse().unwrap())
    }

    #[test]
    fn an_address_takes_its_share_and_no_more_and_gives_it_back() {
        let crowd = Crowd::new(&AcceptLimits {
            max_pending: 8,
            max_open: 16,
            ..AcceptLimits::default()
        });
        let enter = |address: &str| crowd.enter(from(address));
        let (first, second) = (enter("192.0.2.1:1").unwrap(), enter("192.0.2.1:2").unwrap());
        assert!(matches!(enter("192.0.2.1:3"), Err(TlsError::Crowded)));
        let other = enter("192.0.2.2:1").unwrap();
        // Two are served and two shake hands: that is all of its quarter of 16.
        let served = [first, second].map(|place| place.map(Place::established));
        let pending = [4, 5].map(|port| enter(&format!("192.0.2.1:{port}")).unwrap());
        assert!(enter("192.0.2.1:6").is_err());
        drop(pending);
        assert!(enter("192.0.2.1:6").is_ok());
        drop((served, other));
        assert!(lock(&crowd.counts).is_empty());
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_as_one() {
        let crowd = Crowd::new(&AcceptLimits {
            max_pending: 1,
            ..AcceptLimits::default()
        });
        let _held = crowd.enter(from("[2001:db8::1]:1")).unwrap();
        assert!(crowd.enter(from("[2001:db8::ffff:2]:1")).is_err());
        assert!(crowd.enter(from("[2001:db8:0:1::1]:1")).is_ok());
        assert!(crowd.enter(from("[::ffff:192.0.2.1]:1")).is_ok());
        assert!(matches!(crowd.enter(Remote::Unix { uid: None }), Ok(None)));
    }
}
