//! Which node of a cluster is asked next: those of the newest map, and those to begin with.

use std::collections::VecDeque;

use clustermap::Address;

use super::hosts::Hosts;

/// See the module.
pub(super) struct Turns {
    hosts: Hosts,
    /// The nodes of the newest map.
    nodes: Vec<Address>,
    untried: VecDeque<Turn>,
}

enum Turn {
    Node(Address),
    /// The nodes to begin with, which are found out when it is their turn.
    Hosts,
}

impl Turns {
    /// Begins with `hosts`; `nodes` are those of the last map.
    pub(super) fn new(hosts: Hosts, nodes: Vec<Address>) -> Self {
        let known = nodes.iter().cloned().map(Turn::Node);
        let untried = std::iter::once(Turn::Hosts).chain(known).collect();
        Self { hosts, nodes, untried }
    }

    /// The nodes of a newer map, from the next beginning on.
    pub(super) fn set_nodes(&mut self, nodes: Vec<Address>) {
        self.nodes = nodes;
    }

    /// Returns the next node; `None` after the last one. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Option<Address> {
        while matches!(self.untried.front()?, Turn::Hosts) {
            let hosts = self.hosts.get().await.into_iter();
            // The nodes of the map have a turn of their own.
            let more = hosts.filter(|it| !self.nodes.contains(it)).map(Turn::Node);
            let later = std::mem::take(&mut self.untried).into_iter().skip(1);
            self.untried = more.chain(later).collect();
        }
        match self.untried.pop_front()? {
            Turn::Node(node) => Some(node),
            Turn::Hosts => None,
        }
    }

    /// Whether the last node was tried.
    pub(super) fn are_over(&self) -> bool {
        self.untried.is_empty()
    }

    /// All nodes are tried again: those of the newest map, then those to begin with.
    pub(super) fn begin_again(&mut self) {
        let known = self.nodes.iter().cloned().map(Turn::Node);
        self.untried = known.chain([Turn::Hosts]).collect();
    }

    /// The same, with this node as the last one.
    pub(super) fn begin_after(&mut self, last: &Address) {
        self.begin_again();
        let is_it = |turn: &Turn| matches!(turn, Turn::Node(node) if node == last);
        if let Some(at) = self.untried.iter().position(is_it) {
            self.untried.rotate_left(at + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    //! The order of nodes.

    use super::*;

    fn addresses(texts: &[&str]) -> Vec<Address> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    async fn left(turns: &mut Turns) -> Vec<String> {
        let mut left = Vec::new();
        while let Some(node) = turns.next().await {
            left.push(node.to_string());
        }
        assert!(turns.are_over());
        left
    }

    #[tokio::test]
    async fn each_node_has_one_turn() {
        let hosts = Hosts::of("couchbase://h:1,a:1", None);
        let mut turns = Turns::new(hosts, addresses(&["a:1", "b:1"]));
        assert_eq!(left(&mut turns).await, ["h:1", "a:1", "b:1"], "the hosts first");
        turns.begin_again();
        assert_eq!(left(&mut turns).await, ["a:1", "b:1", "h:1"], "the map first");
        turns.set_nodes(addresses(&["a:1", "c:1"]));
        turns.begin_after(&addresses(&["a:1"])[0]);
        assert_eq!(left(&mut turns).await, ["c:1", "h:1", "a:1"]);
        turns.begin_after(&addresses(&["c:1"])[0]);
        assert_eq!(left(&mut turns).await, ["h:1", "a:1", "c:1"]);
        turns.begin_after(&addresses(&["gone:1"])[0]);
        assert_eq!(left(&mut turns).await, ["a:1", "c:1", "h:1"]);
    }
}
