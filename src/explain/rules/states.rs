//! The states of the vBucket at the nodes, and what is wanted.

use mcbp::VbState;

use super::next_try;
use crate::explain::facts::{Answer, Facts, Node, Wanted};
use crate::explain::situation::{Kind, Situation};

pub(super) fn situations(facts: &Facts) -> Vec<Situation> {
    let mut found = Vec::new();
    found.extend(two_active(facts));
    match &facts.wanted {
        Wanted::From(producer) => found.extend(wanted(facts, producer)),
        Wanted::Nobody => found.extend(not_wanted(facts)),
        Wanted::Unknown => {}
    }
    found
}

/// Whether the vBucket is in a state at a node, or absent there, in which no stream can be open,
/// whatever the sidecar has seen last.
pub(super) fn is_forbidden(facts: &Facts) -> bool {
    let lacks = |node: &Node| matches!(node.answer, Answer::Missing) || node.is(VbState::Dead);
    let ours = &facts.ours;
    ours.is(VbState::Active) || lacks(ours) || facts.producer().is_some_and(lacks)
}

fn actives(facts: &Facts) -> Vec<&str> {
    let active = facts.nodes().filter(|node| node.is(VbState::Active));
    active.map(|node| node.name.as_str()).collect()
}

fn names(facts: &Facts) -> String {
    facts.nodes().map(|node| node.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn two_active(facts: &Facts) -> Option<Situation> {
    let actives = actives(facts);
    if actives.len() < 2 {
        return None;
    }
    let what = format!("vBucket {} is active at {}", facts.vb, actives.join(" and at "));
    let next = "clients may write to both: stop writes, decide which copy stays, and make the \
                other one dead, since nothing is replicated before that";
    Some(Situation::new(Kind::TwoActive, what, next))
}

fn wanted(facts: &Facts, producer: &str) -> Vec<Situation> {
    let mut found = Vec::new();
    let (ours, us) = (&facts.ours, &facts.ours.name);
    if ours.is(VbState::Active) {
        let what = format!("It is active at {us}, so it is not asked for from {producer}");
        let next = "nothing is replicated: take it out of replicate if it was taken over, else \
                    make it a replica";
        found.push(Situation::new(Kind::HeldBack, what, next));
    }
    if ours.is(VbState::Dead) {
        let what = format!("Our copy is dead at {us}, which takes no stream for it");
        let next = format!("make it a replica (SET_VBUCKET); {}", next_try(facts));
        found.push(Situation::new(Kind::Dead, what, next));
    }
    found.extend(facts.producer().and_then(|producer| not_active(facts, producer)));
    found
}

/// A producer serves streams of replicas too, as kv_engine does, but they are not what is wanted.
fn not_active(facts: &Facts, producer: &Node) -> Option<Situation> {
    let state = producer.copy()?.state.filter(|state| *state != VbState::Active)?;
    let name = &producer.name;
    let elsewhere = actives(facts).into_iter().find(|other| *other != facts.ours.name);
    let next = match elsewhere {
        Some(other) => format!("{other} has it active: name that one in replicate"),
        None if facts.ours.is(VbState::Active) => {
            format!("it was taken over from {name}: take it out of replicate")
        }
        None => format!(
            "find the node that has it active, and name that one in replicate, or make it active \
             at {name}; {}",
            next_try(facts)
        ),
    };
    let what = format!("It is {} at {name}, from which it is wanted", state.name());
    Some(Situation::new(Kind::NotActive, what, next))
}

fn not_wanted(facts: &Facts) -> Option<Situation> {
    let us = &facts.ours.name;
    if facts.ours.is(VbState::Active) {
        let what = format!("It is active at {us} and not wanted from anywhere");
        return Some(Situation::new(Kind::ActiveHere, what, "nothing is to be done"));
    }
    let (bucket, vb) = (&facts.bucket, facts.vb);
    let all_told =
        facts.nodes().all(|node| matches!(&node.answer, Answer::Copy(_) | Answer::Missing));
    let is_anywhere = facts.nodes().any(|node| node.copy().is_some());
    match actives(facts).first() {
        None if all_told && !is_anywhere => {
            let what = format!("vBucket {vb} of bucket {bucket} is at none of {}", names(facts));
            let next = "it is not wanted either, so nothing happens: check the number";
            Some(Situation::new(Kind::NoActive, what, next))
        }
        Some(active) => {
            let what = "It is not wanted from any producer, so nothing is replicated";
            let next = format!(
                "that stays so; it is active at {active}: dcp-proxy replicate {bucket} \
                 {active}={vb} would replicate it"
            );
            Some(Situation::new(Kind::NotWanted, what, next))
        }
        None if all_told => {
            let what = format!(
                "It is not wanted from any producer, and active at none of {}",
                names(facts)
            );
            let next = "that stays so; if no other node has it active, clients cannot use it";
            Some(Situation::new(Kind::NoActive, what, next))
        }
        None => {
            let what = "It is not wanted from any producer, so nothing is replicated";
            let next = "that stays so; which node has it active is unknown";
            Some(Situation::new(Kind::NotWanted, what, next))
        }
    }
}
