//! The names under which a page may be asked for.

use std::net::{Ipv4Addr, Ipv6Addr};

/// `localhost`, every address, and the names that were given.
///
/// A page of elsewhere that has made its own name mean an address of this machine (DNS rebinding)
/// is, for a browser, allowed to read what it gets from there; the name in the request gives it
/// away. With an address in the request there is no such name: what a browser got from there came
/// from us.
#[derive(Clone, Debug, Default)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// These names, besides `localhost` and addresses.
    #[must_use]
    pub fn named(names: impl IntoIterator<Item = String>) -> Self {
        let names = names.into_iter().map(|name| {
            let name = name.to_ascii_lowercase();
            name.strip_suffix('.').map(str::to_owned).unwrap_or(name)
        });
        Self(names.filter(|name| !name.is_empty()).collect())
    }

    /// Whether `host`, with or without a port, is one of them.
    pub(crate) fn contain(&self, host: &[u8]) -> bool {
        let Ok(host) = std::str::from_utf8(host) else {
            return false;
        };
        // The `]` of an IPv6 address goes before its port.
        let (name, port) = match host.rfind(':') {
            Some(colon) if !host.ends_with(']') => (&host[..colon], Some(&host[colon + 1..])),
            _ => (host, None),
        };
        if port.is_some_and(|port| port.parse::<u16>().is_err() || port.starts_with('+')) {
            return false;
        }
        if let Some(address) = name.strip_prefix('[') {
            let address = address.strip_suffix(']');
            return address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
        }
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        name == "localhost" || name.parse::<Ipv4Addr>().is_ok() || self.0.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_addresses_and_given_names_are_ours() {
        let hosts = Hosts::named(["Node1.Example.".to_owned(), String::new()]);
        for ours in [
            "127.0.0.1",
            "127.0.0.1:9713",
            "localhost",
            "LocalHost:1",
            "localhost.",
            "localhost.:80",
            "[::1]",
            "[::1]:9713",
            "10.0.0.7:9713",
            "[fe80::1]:1",
            "node1.example",
            "NODE1.example.:9713",
        ] {
            assert!(hosts.contain(ours.as_bytes()), "{ours}");
        }
    }

    #[test]
    fn all_else_is_not() {
        let hosts = Hosts::named(["node1.example".to_owned()]);
        for other in [
            "",
            ":",
            ".",
            ":80",
            "evil.example",
            "evil.example:9713",
            "127.0.0.1.evil.example:80",
            "localhost.evil.example",
            "xnode1.example",
            "node1.example.evil",
            "localhost..",
            "localhost:",
            "localhost:x",
            "localhost:+80",
            "localhost:99999",
            "localhost:80:80",
            "localhost@evil.example",
            "evil.example@localhost",
            "user:pass@127.0.0.1:80",
            "127.0.0.1,evil.example",
            "127.0.0.1 evil.example",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "127.1",
            "::1",
            "[::1",
            "::1]",
            "[::1]x",
            "[::1%lo]",
            "[evil.example]",
            "[127.0.0.1]",
            "127.0.0.1/",
            "ⅼocalhost",
        ] {
            assert!(!hosts.contain(other.as_bytes()), "{other}");
        }
        assert!(!hosts.contain(b"\xff\xfe"));
    }
}
