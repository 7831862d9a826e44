//! Connections that are open to a container, in a network namespace of its own.

use std::collections::HashSet;

use crate::Scanner;
use crate::proc::Process;

/// `st` of `/proc/PID/net/tcp`: `TCP_ESTABLISHED` and `TCP_LISTEN` of the kernel's tcp_states.h.
const ESTABLISHED: &str = "01";
const LISTENS: &str = "0A";

/// How many there are to ports that it listens on; `None` where the network is the host's, or
/// cannot be seen.
pub(super) fn to(scanner: &Scanner, process: &Process) -> Option<usize> {
    let own = process.ns_inode("net").ok()??;
    let first = scanner.proc.process(1).ok()??.ns_inode("net").ok()??;
    if own == first {
        return None;
    }
    let tables = ["net/tcp", "net/tcp6"].map(|name| process.read(name).ok().flatten());
    let rows: Vec<(u16, Row)> = tables
        .iter()
        .flatten()
        .flat_map(|text| rows(text))
        .collect();
    let ports: HashSet<u16> = rows
        .iter()
        .filter(|(_, row)| *row == Row::Listens)
        .map(|(port, _)| *port)
        .collect();
    let open = rows
        .iter()
        .filter(|(port, row)| *row == Row::Established && ports.contains(port));
    Some(open.count())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    Listens,
    Established,
}

/// Local port and state of each row.
fn rows(text: &[u8]) -> Vec<(u16, Row)> {
    let lines = text.split(|byte| *byte == b'\n').skip(1);
    let row = |line: &[u8]| {
        let mut words = str::from_utf8(line).ok()?.split_ascii_whitespace().skip(1);
        let (_, port) = words.next()?.rsplit_once(':')?;
        let state = match words.nth(1)? {
            LISTENS => Row::Listens,
            ESTABLISHED => Row::Established,
            _ => return None,
        };
        Some((u16::from_str_radix(port, 16).ok()?, state))
    };
    lines.filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_tell_port_and_state() {
        let text = b"  sl  local_address rem_address   st tx_queue rx_queue\n   \
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000\n   \
            1: 0100007F:1F90 0100007F:C350 01 00000000:00000000\n   \
            2: 0100007F:C350 0100007F:1F90 06 00000000:00000000\n  x\n";
        assert_eq!(rows(text), [(8080, Row::Listens), (8080, Row::Established)]);
    }
}
