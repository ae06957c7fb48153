//! How many connections each client has.
//!
//! A client is an IPv4 address, or the 64-bit network of an IPv6 one, which is what one customer is given.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// The open connections of every client, up to so many each.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    most: usize,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A connection of a client, for as long as it lives.
#[derive(Debug)]
pub(super) struct Counted {
    client: IpAddr,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Addresses {
    pub(super) fn new(most: usize) -> Self {
        Self { most, open: Arc::default() }
    }

    /// Counts one more connection, unless this client has as many as it may.
    pub(super) fn count(&self, address: IpAddr) -> Option<Counted> {
        let client = client(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(client).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Counted { client, open: Arc::clone(&self.open) })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.client);
            }
        }
    }
}

/// What stands for a client: its IPv4 address, or its IPv6 network of 64 bits.
pub fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::Addresses;

    #[test]
    fn every_client_has_its_own_places_and_gives_them_back() {
        let addresses = Addresses::new(2);
        let count = |address: &str| addresses.count(address.parse().unwrap());
        let first = count("192.0.2.1");
        let _second = count("::ffff:192.0.2.1").unwrap();
        assert!(count("192.0.2.1").is_none(), "the same address, mapped or not");
        let _other = count("192.0.2.2").unwrap();
        drop(first);
        assert!(count("192.0.2.1").is_some());
        let _networks = [count("2001:db8::1").unwrap(), count("2001:db8::2").unwrap()];
        assert!(count("2001:db8::3").is_none(), "one network");
        assert!(count("2001:db8:0:1::3").is_some(), "another one");
    }

    #[test]
    fn clients_that_are_gone_are_forgotten() {
        let addresses = Addresses::new(1);
        drop(addresses.count("192.0.2.1".parse().unwrap()));
        assert!(addresses.open.lock().unwrap().is_empty());
    }
}
