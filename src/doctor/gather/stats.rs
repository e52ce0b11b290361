//! Reads what the rules need from statistics of a data node. Pure.

use std::collections::BTreeMap;

use mcbp::VbId;

use crate::doctor::facts::DcpConnection;

/// The most connections that are kept of a node's list.
const CONNECTIONS_MAX: usize = 4096;

/// The value of a statistic as a number.
pub(super) fn number<T: std::str::FromStr>(stats: &[(String, String)], name: &str) -> Option<T> {
    stats.iter().find(|(stat, _)| stat == name)?.1.parse().ok()
}

/// The highest CAS in the details of a vBucket.
pub(super) fn max_cas(vb: VbId, stats: &[(String, String)]) -> Option<u64> {
    number(stats, &format!("vb_{}:max_cas", vb.0))
}

/// The connections in the statistics of DCP. A name may have colons, a field has none.
pub(super) fn connections(stats: &[(String, String)]) -> Vec<DcpConnection> {
    let mut found: BTreeMap<&str, Seen> = BTreeMap::new();
    for (stat, value) in stats {
        let Some((name, field)) =
            stat.strip_prefix("eq_dcpq:").and_then(|rest| rest.rsplit_once(':'))
        else {
            continue;
        };
        if found.len() == CONNECTIONS_MAX && !found.contains_key(name) {
            continue;
        }
        let seen = found.entry(name).or_default();
        match field {
            "pending_disconnect" if value == "true" => seen.ending = true,
            "pending_disconnect" => seen.live = true,
            "max_buffer_bytes" => seen.window_bytes = value.parse().ok(),
            _ => {}
        }
    }
    let connection = |(name, seen): (&str, Seen)| DcpConnection {
        name: name.to_owned(),
        is_ending: seen.ending && !seen.live,
        window_bytes: seen.window_bytes,
    };
    found.into_iter().map(connection).collect()
}

/// What the list says of one name. A displaced connection is listed beside the one that displaced
/// it.
#[derive(Default)]
struct Seen {
    ending: bool,
    live: bool,
    window_bytes: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_read_with_colons_in_their_names() {
        let stat = |name: &str, value: &str| (format!("eq_dcpq:{name}"), value.to_owned());
        let stats = [
            stat("replication:alpha->beta:default:pending_disconnect", "true"),
            stat("replication:alpha->beta:default:type", "consumer"),
            stat("replication:alpha->beta:default:pending_disconnect", "false"),
            stat("replication:alpha->beta:default:max_buffer_bytes", "7"),
            stat("gone:pending_disconnect", "true"),
            stat("old node:type", "producer"),
            ("ep_dcp_count".to_owned(), "3".to_owned()),
        ];
        let of = |name: &str, is_ending, window_bytes| DcpConnection {
            name: name.to_owned(),
            is_ending,
            window_bytes,
        };
        let want = [
            of("gone", true, None),
            of("old node", false, None),
            of("replication:alpha->beta:default", false, Some(7)),
        ];
        assert_eq!(connections(&stats), want);
    }

    #[test]
    fn a_malformed_number_is_unknown() {
        let stats = [("vb_7:max_cas".to_owned(), "12".to_owned()), ("time".into(), "x".into())];
        assert_eq!(max_cas(VbId(7), &stats), Some(12));
        assert_eq!(max_cas(VbId(8), &stats), None);
        assert_eq!(number::<i64>(&stats, "time"), None);
    }
}
