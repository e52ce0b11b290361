//! Which process listens on a port, as far as this user may know: by the tables of the kernel in
//! /proc.

use std::fs;
use std::path::Path;

/// The state of a listening socket in the tables.
const LISTENING: &str = "0A";

/// Returns the process that listens on `port`, such as `process 17 (kvnode)`. `None` where there is
/// none, where it is another user's, and where there is no /proc.
#[must_use]
pub fn of(port: u16) -> Option<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    let sockets: Vec<_> =
        tables.into_iter().flatten().flat_map(|table| sockets(&table, port)).collect();
    let names = fs::read_dir("/proc").ok()?.flatten().map(|entry| entry.file_name());
    let mut pids = names.filter_map(|name| name.to_str()?.parse::<u32>().ok());
    let of = |pid: &u32| Path::new("/proc").join(pid.to_string());
    let pid = pids.find(|pid| has_one(&of(pid), &sockets))?;
    let process = of(&pid);
    let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
    Some(format!("process {pid} ({})", name.trim().escape_debug()))
}

/// The links of descriptors that stand for listening sockets on `port`.
fn sockets(table: &str, port: u16) -> Vec<String> {
    let suffix = format!(":{port:04X}");
    let socket = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let [_, local, _, state, .., inode] = words.get(..10)? else { return None };
        let listens = local.ends_with(&suffix) && *state == LISTENING;
        listens.then(|| format!("socket:[{inode}]"))
    };
    table.lines().skip(1).filter_map(socket).collect()
}

/// Whether a process has one of these sockets open.
fn has_one(process: &Path, sockets: &[String]) -> bool {
    let Ok(files) = fs::read_dir(process.join("fd")) else { return false };
    let links = files.flatten().filter_map(|file| fs::read_link(file.path()).ok());
    let mut links = links.filter_map(|link| link.into_os_string().into_string().ok());
    links.any(|link| sockets.contains(&link))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_that_listen_on_the_port_are_found_in_the_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   \
                     uid  timeout inode\n   \
                     0: 0100007F:1306 00000000:0000 0A 00000000:00000000 00:00000000 00000000     \
                     0        0 4242 1 0000000000000000 100 0 0 10 0\n   \
                     1: 0100007F:1306 0100007F:9999 01 00000000:00000000 00:00000000 00000000     \
                     0        0 4243 1 0000000000000000 20 4 30 10 -1\n   \
                     2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     \
                     0        0 4244 1 0000000000000000 100 0 0 10 0\n   3: cut\n";
        assert_eq!(sockets(table, 4870), ["socket:[4242]"]);
        assert!(sockets(table, 4871).is_empty());
    }

    #[test]
    fn the_own_process_is_found_by_its_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let holder = of(listener.local_addr().unwrap().port()).unwrap();
        assert!(holder.starts_with(&format!("process {} (", std::process::id())), "{holder}");
    }
}
