//! Takeovers by a sidecar while durable writes are under way.

use mcbp::VbState;

use crate::cluster::{Cluster, NAMES, vbuckets};
use crate::common::{Process, until};

/// How often an interrupted takeover is repeated: a link may have to wait for a node first.
const ATTEMPTS: usize = 20;

/// What is killed in a takeover.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Victim {
    Producer,
    Consumer,
    Sidecar,
}

impl Cluster {
    /// Has the sidecar of `to` take over what is active on `from`, which gets replicas. With a
    /// `victim`, that one is killed once the first vBucket is no longer active on `from`.
    pub(crate) async fn take_over(&mut self, from: usize, to: usize, victim: Option<Victim>) {
        let moved: Vec<_> =
            vbuckets().filter(|vb| self.chains[usize::from(vb.0)][0] == from).collect();
        let set: Vec<_> = moved.iter().map(|vb| vb.0.to_string()).collect();
        let set = set.join(",");
        let mut command = self.ask_for(&set, from, to).await;
        if let Some(victim) = victim {
            until("a vBucket is on its way", async || {
                (self.nodes()[from].state(moved[0]).await != VbState::Active).then_some(())
            })
            .await;
            match victim {
                Victim::Producer => self.kill_and_restart(from).await,
                Victim::Consumer => self.kill_and_restart(to).await,
                Victim::Sidecar => {
                    self.kill_sidecar(to);
                    self.start_sidecar(to);
                }
            }
        }
        for _ in 0..ATTEMPTS {
            if command.exit_code().await == 0 {
                break;
            }
            assert!(victim.is_some(), "{}", command.log());
            command = self.ask_for(&set, from, to).await;
        }
        assert_eq!(command.exit_code().await, 0, "{victim:?}: {}", command.log());
        for vb in &moved {
            let state = self.nodes()[to].state(*vb).await;
            assert_eq!(state, VbState::Active, "{vb} of {}", NAMES[to]);
            self.set_state(from, *vb, VbState::Replica, &[]).await;
            let chain = &mut self.chains[usize::from(vb.0)];
            chain.retain(|node| *node != to);
            chain.insert(0, to);
            self.activate(*vb).await;
        }
        for node in 0..NAMES.len() {
            self.start_sidecar_anew(node);
        }
        let active = self.chains.iter().map(|chain| Some(chain[0])).collect();
        self.routes.send_modify(|routes| routes.active = active);
    }

    async fn ask_for(&self, set: &str, from: usize, to: usize) -> Process {
        let sidecar = self.sidecar(to).expect("a sidecar beside each node with replicas");
        sidecar.ask(&["takeover", "default", set, "--from", NAMES[from]]).await
    }

    async fn kill_and_restart(&mut self, node: usize) {
        self.kill(node);
        self.restart(node).await;
    }
}
