//! Producers that are added, changed or removed while the bucket runs, and the end of a bucket that
//! is removed.

use std::collections::{BTreeMap, BTreeSet};

use actix::{ActorContext, Context, Handler, Message};
use relay::Endpoint;
use replica::bucket::BucketEvent;

use super::BucketActor;
use crate::link_actor::LinkOver;

/// The producers by name: the configured ones, and removed ones that a link or a move needs.
pub(crate) struct Producers {
    all: BTreeMap<String, Endpoint>,
    removed: BTreeSet<String>,
}

impl Producers {
    pub(super) const fn new(all: BTreeMap<String, Endpoint>) -> Self {
        Self { all, removed: BTreeSet::new() }
    }

    pub(super) const fn all(&self) -> &BTreeMap<String, Endpoint> {
        &self.all
    }

    pub(super) fn get(&self, name: &str) -> Option<&Endpoint> {
        self.all.get(name)
    }

    fn set(&mut self, known: BTreeMap<String, Endpoint>) {
        for (name, endpoint) in std::mem::replace(&mut self.all, known) {
            if !self.all.contains_key(&name) {
                self.removed.insert(name.clone());
                self.all.insert(name, endpoint);
            }
        }
    }

    /// Forgets the removed producers that are not needed any more.
    pub(super) fn retain(&mut self, is_needed: impl Fn(&str) -> bool) {
        let all = &mut self.all;
        self.removed.retain(|name| {
            let is_kept = is_needed(name);
            if !is_kept {
                all.remove(name);
            }
            is_kept
        });
    }
}

/// The configured producers are these from now on.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SetProducers {
    pub(crate) all: BTreeMap<String, Endpoint>,
    /// Those whose address or login is another one.
    pub(crate) changed: BTreeSet<String>,
}

impl Handler<SetProducers> for BucketActor {
    type Result = ();

    fn handle(&mut self, SetProducers { all, changed }: SetProducers, ctx: &mut Self::Context) {
        let known: BTreeSet<_> = all.keys().cloned().collect();
        self.producers.removed.retain(|name| !known.contains(name));
        self.producers.set(all);
        self.polls.forget(&changed);
        self.event(BucketEvent::Producers { known, changed }, ctx);
    }
}

/// The bucket was removed: drop what is left of its links and stop.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct End;

impl Handler<End> for BucketActor {
    type Result = ();

    fn handle(&mut self, _: End, ctx: &mut Context<Self>) {
        for link in std::mem::take(&mut self.links).into_values() {
            link.addr.do_send(LinkOver);
        }
        ctx.stop();
    }
}
