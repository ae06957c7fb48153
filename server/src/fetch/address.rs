//! Which addresses belong to the public internet. Pure: nothing is looked up or dialled here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is one of the public internet, whatever form it is written in.
///
/// IPv4 addresses that are carried inside IPv6 ones are taken out first: mapped (`::ffff:a.b.c.d`), NAT64
/// (`64:ff9b::/96`) and 6to4 (`2002::/16`). Everything that is private, local, reserved, shared, for documentation or
/// for benchmarks, and every multicast address is not public; the lists are those of the IANA registries of
/// special-purpose addresses.
pub fn is_public(address: IpAddr) -> bool {
    match unmap(address) {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// The IPv4 address that an IPv6 one carries, if it carries one that would be dialled; otherwise the address itself.
pub fn unmap(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else { return address };
    let inner = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match six.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => inner(high, low),
        _ => address,
    }
}

/// Networks of IPv4 that are not public: address and length of the prefix.
const SPECIAL_V4: [(Ipv4Addr, u32); 16] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
    // Azure answers questions of its guests about themselves here, among public addresses.
    (Ipv4Addr::new(168, 63, 129, 16), 32),
];

/// Networks within `2000::/3`, the only public part of IPv6, that are not public.
const SPECIAL_V6: [(Ipv6Addr, u32); 3] = [
    // Teredo, ORCHID, benchmarks and other protocol assignments.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    let within =
        |&(network, length): &(Ipv4Addr, u32)| (address.to_bits() ^ network.to_bits()) >> (32 - length) == 0;
    !SPECIAL_V4.iter().any(within)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let within =
        |&(network, length): &(Ipv6Addr, u32)| (address.to_bits() ^ network.to_bits()) >> (128 - length) == 0;
    let segments = address.segments();
    // ISATAP: a host that has such a tunnel sends these to the IPv4 address at their end.
    let is_isatap = matches!(segments[4], 0 | 0x200) && segments[5] == 0x5efe;
    segments[0] >> 13 == 1 && !is_isatap && !SPECIAL_V6.iter().any(within)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_are_public_in_every_form() {
        for text in [
            "8.8.8.8",
            "185.199.108.133",
            "1.1.1.1",
            "223.255.255.255",
            "172.15.255.255",
            "172.32.0.1",
            "100.63.255.255",
            "100.128.0.0",
            "2606:50c0:8000::154",
            "2a00:1450:4001:80b::200e",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn the_edges_of_special_networks_are_not_public() {
        for (network, length) in SPECIAL_V4 {
            let first = network.to_bits();
            let last = first | u32::MAX.checked_shr(length).unwrap_or(0);
            for bits in [first, last] {
                let address = Ipv4Addr::from_bits(bits);
                let [a, b, c, d] = address.octets();
                let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                assert!(!is_public(address.into()), "{address}");
                for carried in [
                    Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
                    Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                    Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
                ] {
                    assert!(!is_public(carried.into()), "{carried}");
                }
            }
        }
    }

    #[test]
    fn special_addresses_of_version_six_are_not_public() {
        for text in [
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b:1::1",
            "64:ff9b:1:7f00:0:100::",
            "100::1",
            "fc00::1",
            "fd12:3456:789a::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:20::1",
            "2001:db8::1",
            "3fff::1",
            "5f00::1",
            "2606:50c0::5efe:10.0.0.1",
            "2606:50c0::200:5efe:10.0.0.1",
            "4000::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
    }
}
