//! Whether the topologies of a producer name our node.
//!
//! A consumer names its node when it connects (`consumer_name`), and an active vBucket counts
//! acknowledgements of durable writes by the names in its topology. It ignores those of a node with
//! another name, and the only symptom is that clients time out.

use std::collections::BTreeSet;
use std::fmt;

use mcbp::VbId;

/// How many vBuckets of a producer have their topology read at a time. 4: a node has the same name
/// in all topologies, but some vBuckets may have no topology yet.
pub const SAMPLE_MAX: usize = 4;
/// How many names a message lists, and how many characters of each name.
const NAMES_MAX: usize = 8;
const NAME_CHARS_MAX: usize = 100;

/// Returns the group of statistics that includes the topology of a vBucket.
#[must_use]
pub fn group(vb: VbId) -> String {
    format!("vbucket-details {}", vb.0)
}

/// Returns the replicas that a topology names, from the statistics of [`group`]. Empty where there
/// is no topology or it is malformed.
#[must_use]
pub fn replicas(vb: VbId, stats: &[(String, String)]) -> BTreeSet<String> {
    let name = format!("vb_{}:topology", vb.0);
    let text = stats.iter().find(|(stat, _)| *stat == name).map_or("", |(_, value)| value);
    let chains: Option<Vec<Vec<Option<String>>>> = serde_json::from_str(text).unwrap_or_default();
    let chains = chains.unwrap_or_default();
    // The first name of the first chain is the active copy. A second chain begins with the node
    // that is to become active, which is a replica until then.
    chains.into_iter().flatten().skip(1).flatten().collect()
}

/// The topologies of a producer name replicas, and none of them has our node's name.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TopologyMismatch {
    /// Our node's name.
    pub name: String,
    /// The replicas that the topologies name.
    pub replicas: BTreeSet<String>,
}

impl TopologyMismatch {
    /// Compares our node's name with the replicas of some vBuckets that are replicated here.
    /// Returns `None` where one topology names our node, or none names any replica.
    #[must_use]
    pub fn of(name: &str, topologies: &[BTreeSet<String>]) -> Option<Self> {
        let replicas: BTreeSet<_> = topologies.iter().flatten().cloned().collect();
        let is_missing = !replicas.is_empty() && !replicas.contains(name);
        is_missing.then(|| Self { name: name.to_owned(), replicas })
    }
}

impl fmt::Display for TopologyMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |name: &String| name.chars().take(NAME_CHARS_MAX).collect::<String>();
        let names: Vec<_> = self.replicas.iter().take(NAMES_MAX).map(shown).collect();
        let more = self.replicas.len().saturating_sub(names.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        write!(
            f,
            "this node calls itself {:?}, but the topologies of this producer name the replicas \
             {names:?}{more}: durable writes do not wait for this node, and fail with \
             SyncWriteAmbiguous (0xa3) where they need it; set [node] consumer_name to the name \
             by which the topology knows this node, or add {:?} to the topology",
            self.name, self.name
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(topology: &str) -> Vec<String> {
        let stat = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let stats = [stat("vb_7", "active"), stat("vb_7:topology", topology)];
        replicas(VbId(7), &stats).into_iter().collect()
    }

    #[test]
    fn replicas_are_all_names_but_that_of_the_active() {
        assert_eq!(of(r#"[["n1","n2"]]"#), ["n2"], "as real nodes show it");
        assert_eq!(of(r#"[["alpha","beta",null,"gamma"]]"#), ["beta", "gamma"]);
        assert_eq!(of(r#"[["alpha","beta"],["gamma","alpha"]]"#), ["alpha", "beta", "gamma"]);
    }

    #[test]
    fn a_malformed_topology_names_no_replica() {
        for text in ["null", "", "[]", "[[]]", r#"[["alpha",null]]"#, "{}", "[[1]]", r#"[["a""#] {
            assert_eq!(of(text), Vec::<String>::new(), "{text}");
        }
        assert!(replicas(VbId(8), &[("vb_7:topology".into(), r#"[["a","b"]]"#.into())]).is_empty());
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_name_is_missing_where_replicas_are_named_and_it_is_none_of_them() {
        let topologies = [set(&[]), set(&["n2"]), set(&["n3", "n4"])];
        assert_eq!(TopologyMismatch::of("n3", &topologies), None);
        assert_eq!(TopologyMismatch::of("beta", &[set(&[]), set(&[])]), None, "no durable writes");
        assert_eq!(TopologyMismatch::of("beta", &[]), None);
        let mismatch = TopologyMismatch::of("beta", &topologies).unwrap();
        assert_eq!(mismatch.replicas, set(&["n2", "n3", "n4"]));
        let text = mismatch.to_string();
        assert!(text.starts_with(r#"this node calls itself "beta", but"#), "{text}");
        assert!(text.contains(r#"the replicas ["n2", "n3", "n4"]: "#), "{text}");
    }

    #[test]
    fn a_message_stays_short_whatever_a_topology_holds() {
        let names: BTreeSet<_> =
            (0..1000).map(|n| format!("{n:04}{}", "x\n".repeat(5000))).collect();
        let text = TopologyMismatch::of("beta", &[names]).unwrap().to_string();
        assert!(text.contains(" and 992 more: "), "{text}");
        assert!(text.len() < 2500 && !text.contains('\n'), "{}", text.len());
    }
}
