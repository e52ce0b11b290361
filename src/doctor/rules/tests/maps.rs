//! A cluster that is followed.

use super::*;
use crate::doctor::facts::MapFacts;

/// The configuration of the healthy pair, whose producer is named by a map.
fn followed() -> Config {
    let text = "[node]\nname = \"beta\"\naddress = \"127.0.0.1:1\"\nusername = \"u\"\n\
                password = \"p\"\n[cluster]\naddress = \"couchbase://127.0.0.1\"\n\
                username = \"u\"\npassword = \"p\"\n[[bucket]]\nname = \"default\"\n";
    let cluster = crate::config::parse("proxy.toml".as_ref(), text, &|_| None).unwrap();
    Config { source: cluster.source, ..config() }
}

fn map(map: Result<&str, &str>, nodes: usize) -> Vec<MapFacts> {
    let map = map.map(|node| (node.to_owned(), "1:4".to_owned())).map_err(str::to_owned);
    vec![MapFacts { bucket: "default".to_owned(), map, nodes }]
}

/// What is not as it should be: level, check, what, remedy.
fn bad(change: impl FnOnce(&mut Facts)) -> Vec<(Level, Check, String, String)> {
    let mut facts = Facts { maps: map(Ok("cb1:11210"), 1), ..healthy() };
    change(&mut facts);
    let findings = judge(&facts, &followed()).findings.into_iter();
    let bad = findings.filter(|it| it.level != Fine);
    bad.map(|it| (it.level, it.check, it.what, it.remedy.unwrap_or_default())).collect()
}

#[test]
fn a_user_needs_what_replication_needs_and_topologies_are_the_clusters() {
    let refuse = |needs: &'static [Need]| {
        move |facts: &mut Facts| {
            let answers = &mut at(facts, 1).answers;
            answers.extend(needs.iter().map(|need| (*need, Status::EACCESS)));
        }
    };
    assert_eq!(bad(|_| ()), []);
    assert_eq!(bad(refuse(&[Need::SetState, Need::Connections])), []);
    let found = bad(refuse(&[Need::Seqnos]));
    assert!(matches!(&found[..], [(Error, Check::Privileges, ..)]), "{found:?}");
    let others = || [["cb2".to_owned()].into()].into();
    assert_eq!(bad(|facts| at(facts, 1).topologies = others()), []);
}

#[test]
fn a_map_that_is_missing_or_empty_is_told() {
    let found = bad(|facts| facts.maps = map(Err("cb1:11210: refused"), 0));
    let [(Error, Check::Cluster, what, remedy)] = &found[..] else { panic!("{found:?}") };
    assert!(what.ends_with("cb1:11210: refused") && remedy.contains("[cluster] address"));
    let found = bad(|facts| facts.maps = map(Ok("cb1:11210"), 0));
    assert!(matches!(&found[..], [(Note, Check::Cluster, ..)]), "{found:?}");
}

#[test]
fn states_are_corrected_at_the_copy_alone() {
    let set = |node: usize, state: VbState| {
        bad(move |facts| {
            let states = at(facts, node).states.as_mut().unwrap();
            states.insert(VbId(3), state);
        })
    };
    let found = set(0, VbState::Active);
    let [(Error, Check::States, what, remedy)] = &found[..] else { panic!("{found:?}") };
    assert!(what.contains("both active") && remedy.starts_with("make our copies replica"));
    let found = set(1, VbState::Dead);
    let [(Error, Check::States, _, remedy)] = &found[..] else { panic!("{found:?}") };
    assert!(remedy.starts_with("run this again"), "{remedy}");
}
