//! Which nodes have a copy of a vBucket: the replication topology of SET_VBUCKET.

use std::collections::BTreeSet;
use std::fmt;

use mcbp::framing::Level;

/// The most nodes of a chain: the active one and three replicas.
const NODES_MAX: usize = 4;
/// The most replicas with which durable writes are taken. Source: kv_engine's
/// `sync_writes_max_allowed_replicas`.
const REPLICAS_MAX: usize = 2;

/// One or two chains of node names. A chain begins with the active node; `null` is a replica that
/// should be there and is not. The second chain is that of the node to which the vBucket moves: a
/// write needs a majority of either.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Topology(Vec<Vec<Option<String>>>);

/// Why a text is no topology.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TopologyError {
    /// It has another form.
    #[error("a topology is a list of 1 or 2 chains, each a list of names or null: {0}")]
    Form(String),
    /// It has so many chains.
    #[error("a topology has 1 or 2 chains, this one {0}")]
    Chains(usize),
    /// A chain has so many nodes.
    #[error("a chain has 1 to {NODES_MAX} nodes, this one {0}")]
    Nodes(usize),
    /// A chain begins with null.
    #[error("a chain begins with the name of the active node")]
    NoActive,
    /// A chain has a name twice.
    #[error("a chain has {0:?} twice")]
    Twice(String),
}

impl Topology {
    /// The topology of a JSON text such as `[["alpha","beta",null]]`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, TopologyError> {
        let chains: Vec<Vec<Option<String>>> =
            serde_json::from_str(text).map_err(|error| TopologyError::Form(error.to_string()))?;
        if !(1..=2).contains(&chains.len()) {
            return Err(TopologyError::Chains(chains.len()));
        }
        chains.iter().try_for_each(|chain| check(chain))?;
        Ok(Self(chains))
    }

    /// The name of the active node.
    #[must_use]
    pub fn active(&self) -> &str {
        self.0.first().and_then(|chain| chain.first()?.as_deref()).unwrap_or_default()
    }

    /// Its chains.
    pub fn chains(&self) -> impl Iterator<Item = &[Option<String>]> {
        self.0.iter().map(Vec::as_slice)
    }

    /// Whether enough nodes are there for a durable write.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        self.0.iter().all(|chain| {
            let there = chain.iter().flatten().count();
            chain.len() <= REPLICAS_MAX + 1 && there >= majority(chain)
        })
    }

    /// Whether enough nodes have a write of this level. The active one has stored it, and `synced`
    /// says whether that is synced; `has` says it of others.
    #[must_use]
    pub fn is_satisfied(&self, level: Level, synced: bool, has: impl Fn(&str) -> bool) -> bool {
        let own = level == Level::Majority || synced;
        own && self.0.iter().all(|chain| {
            let have = chain.iter().flatten().filter(|name| *name == self.active() || has(name));
            chain.len() <= REPLICAS_MAX + 1 && have.count() >= majority(chain)
        })
    }
}

impl fmt::Display for Topology {
    /// As the JSON text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::json!(self.0).to_string())
    }
}

fn check(chain: &[Option<String>]) -> Result<(), TopologyError> {
    if !(1..=NODES_MAX).contains(&chain.len()) {
        return Err(TopologyError::Nodes(chain.len()));
    }
    if chain.first().is_none_or(Option::is_none) {
        return Err(TopologyError::NoActive);
    }
    let mut names = BTreeSet::new();
    match chain.iter().flatten().find(|name| !names.insert(*name)) {
        Some(name) => Err(TopologyError::Twice(name.clone())),
        None => Ok(()),
    }
}

/// More than half of a chain, with those that are not there.
fn majority(chain: &[Option<String>]) -> usize {
    chain.len() / 2 + 1
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn satisfied(text: &str, level: Level, synced: bool, acked: &[&str]) -> bool {
        Topology::parse(text).unwrap().is_satisfied(level, synced, |name| acked.contains(&name))
    }

    #[test]
    fn a_majority_counts_those_that_are_missing() {
        for (text, possible) in [
            (r#"[["a"]]"#, true),
            (r#"[["a",null]]"#, false),
            (r#"[["a","b"]]"#, true),
            (r#"[["a",null,null]]"#, false),
            (r#"[["a","b",null]]"#, true),
            (r#"[["a","b","c","d"]]"#, false),
            (r#"[["a","b"],["b",null]]"#, false),
            (r#"[["a","b"],["b","c"]]"#, true),
        ] {
            assert_eq!(Topology::parse(text).unwrap().is_possible(), possible, "{text}");
        }
    }

    #[test]
    fn each_chain_has_its_majority() {
        let (majority, on_active, on_majority) =
            (Level::Majority, Level::MajorityAndPersistOnActive, Level::PersistToMajority);
        assert!(satisfied(r#"[["a"]]"#, majority, false, &[]));
        assert!(!satisfied(r#"[["a"]]"#, on_active, false, &[]));
        assert!(satisfied(r#"[["a"]]"#, on_majority, true, &[]));
        assert!(!satisfied(r#"[["a","b"]]"#, majority, true, &["c"]));
        assert!(satisfied(r#"[["a","b"]]"#, majority, false, &["b"]));
        assert!(!satisfied(r#"[["a","b","c"]]"#, on_majority, false, &["b", "c"]));
        assert!(satisfied(r#"[["a","b","c"]]"#, on_active, true, &["c"]));
        assert!(!satisfied(r#"[["a","b"],["b","c","d"]]"#, majority, true, &["b"]));
        assert!(satisfied(r#"[["a","b"],["b","c","d"]]"#, majority, true, &["b", "d"]));
        assert!(!satisfied(r#"[["a","b","c","d"]]"#, majority, true, &["b", "c", "d"]));
    }

    #[test]
    fn malformed_topologies_are_told() {
        for (text, part) in [
            ("[]", "1 or 2 chains, this one 0"),
            ("[[]]", "1 to 4 nodes, this one 0"),
            (r#"[[null,"a"]]"#, "begins with the name"),
            (r#"[["a"],["a"],["a"]]"#, "this one 3"),
            (r#"[["a","b","a"]]"#, "\"a\" twice"),
            (r#"[["a","b","c","d","e"]]"#, "this one 5"),
            ("1", "list of 1 or 2 chains"),
            (r#"["a"]"#, "list of 1 or 2 chains"),
            (r#"[[1]]"#, "list of 1 or 2 chains"),
        ] {
            let error = Topology::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        let text = r#"[["a",null],["b"]]"#;
        assert_eq!(Topology::parse(text).unwrap().to_string(), text);
    }
}
