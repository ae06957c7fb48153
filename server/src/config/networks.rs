//! Networks by address and prefix, for the proxies whose word is taken.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Some networks, written `192.0.2.1, 10.0.0.0/8, fd00::/8`; an address alone is a network of one. None by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Networks(Vec<(IpAddr, u8)>);

impl Networks {
    /// Whether the address lies in one of them. An IPv4 address in IPv6 clothes is that IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|&(network, prefix)| match (network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                same(network.to_bits().into(), address.to_bits().into(), 32 - u32::from(prefix))
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                same(network.to_bits(), address.to_bits(), 128 - u32::from(prefix))
            }
            _ => false,
        })
    }
}

/// Whether two numbers agree but for their last bits.
fn same(one: u128, other: u128, free_bits: u32) -> bool {
    (one ^ other).checked_shr(free_bits).unwrap_or(0) == 0
}

impl From<Networks> for String {
    fn from(networks: Networks) -> Self {
        let texts: Vec<_> =
            networks.0.iter().map(|(network, prefix)| format!("{network}/{prefix}")).collect();
        texts.join(", ")
    }
}

impl TryFrom<String> for Networks {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(network).collect::<Result<_, _>>().map(Self)
    }
}

fn network(text: &str) -> Result<(IpAddr, u8), String> {
    let wrong = || format!("{text:?} is no network; write 192.0.2.1, 10.0.0.0/8 or fd00::/8");
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        Some(prefix) => prefix.parse().ok().filter(|prefix| *prefix <= longest).ok_or_else(wrong)?,
        None => longest,
    };
    Ok((address, prefix))
}

#[cfg(test)]
mod tests {
    use super::Networks;

    #[test]
    fn addresses_are_found_in_their_networks() {
        let networks = Networks::try_from("192.0.2.1, 10.0.0.0/8,fd00::/8".to_owned()).unwrap();
        for inside in ["192.0.2.1", "10.255.0.1", "::ffff:10.1.1.1", "fdab::1"] {
            assert!(networks.contains(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["192.0.2.2", "11.0.0.1", "fe00::1", "::1"] {
            assert!(!networks.contains(outside.parse().unwrap()), "{outside}");
        }
        assert!(!Networks::default().contains("127.0.0.1".parse().unwrap()));
        assert!(Networks::try_from("0.0.0.0/0".to_owned()).unwrap().contains("8.8.8.8".parse().unwrap()));
    }

    #[test]
    fn what_is_no_network_is_refused_by_its_text() {
        for wrong in ["localhost", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0", "1.2.3.4/-1"] {
            assert!(Networks::try_from(wrong.to_owned()).unwrap_err().contains(wrong), "{wrong}");
        }
    }
}
