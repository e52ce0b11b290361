//! What answers of name servers say, good ones and hostile ones.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use clustermap::{Address, HOSTS_MAX, SrvAnswer, SrvQuery};
use domain::base::iana::{Class, Rcode};
use domain::base::{Message, MessageBuilder, Name, Ttl};
use domain::rdata::{Cname, Srv};
use proptest::prelude::*;

const NAME: &str = "_couchbase._tcp.cb.example";
/// Priority, weight, port, target.
type Target<'a> = (u16, u16, u16, &'a str);

fn name(text: &str) -> Name<Vec<u8>> {
    text.parse().unwrap()
}

fn query() -> SrvQuery {
    SrvQuery::new(NAME, 0x1234).unwrap()
}

/// The answer of a name server: an alias, then these targets.
fn answer_to(query: &SrvQuery, rcode: Rcode, targets: &[Target<'_>]) -> Vec<u8> {
    let query = Message::from_octets(query.as_bytes()).unwrap();
    let builder = MessageBuilder::from_target(Vec::new()).unwrap();
    let mut builder = builder.start_answer(&query, rcode).unwrap();
    let (ttl, owner) = (Ttl::from_secs(30), name("nodes.example"));
    builder.push((name(NAME), Class::IN, ttl, Cname::new(owner.clone()))).unwrap();
    for &(priority, weight, port, target) in targets {
        let data = Srv::new(priority, weight, port, name(target));
        builder.push((owner.clone(), Class::IN, ttl, data)).unwrap();
    }
    builder.finish()
}

fn read(targets: &[Target<'_>]) -> SrvAnswer {
    query().answer(&answer_to(&query(), Rcode::NOERROR, targets)).unwrap()
}

fn nodes(texts: &[&str]) -> SrvAnswer {
    SrvAnswer::Nodes(texts.iter().map(|text| text.parse().unwrap()).collect())
}

#[test]
fn the_query_is_a_recursive_one_for_srv_records() {
    let bytes = query().as_bytes().to_vec();
    let question = b"\x0a_couchbase\x04_tcp\x02cb\x07example\0\0\x21\0\x01";
    assert_eq!(&bytes[..12], b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0");
    assert_eq!(&bytes[12..], question);
    assert!(SrvQuery::new(&"a".repeat(64), 0).unwrap_err().contains("is no name of DNS"));
    for wrong in ["", ".", "a..b", ".a", "a.."] {
        assert!(SrvQuery::new(wrong, 0).is_err(), "{wrong}");
    }
    let (dot, none) = (SrvQuery::new("a.b.", 7).unwrap(), SrvQuery::new("a.b", 7).unwrap());
    assert_eq!(dot.as_bytes(), none.as_bytes());
}

#[test]
fn targets_are_tried_by_priority_then_weight() {
    let targets = [
        (20, 9, 11210, "last.example"),
        (10, 1, 11210, "third.example"),
        (10, 65535, 11211, "first.example."),
        (10, 1, 11210, "fourth.example"),
        (10, 2, 11210, "second.example"),
    ];
    let want = ["first.example:11211", "second.example:11210", "third.example:11210"];
    let rest = ["fourth.example:11210", "last.example:11210"];
    assert_eq!(read(&targets), nodes(&[&want[..], &rest].concat()));
    let texts: Vec<_> = (0..HOSTS_MAX + 9).map(|at| format!("n{at}.example")).collect();
    let many: Vec<_> = texts.iter().map(|text| (1, 1, 11210, text.as_str())).collect();
    let SrvAnswer::Nodes(found) = read(&many) else { panic!("no nodes") };
    assert_eq!(found.len(), HOSTS_MAX);
    assert_eq!(found[HOSTS_MAX - 1], Address::new("n63.example", 11210).unwrap());
}

/// A node that does not answer would be waited for as often as it is named.
#[test]
fn a_target_named_by_many_records_is_one_node() {
    let mut targets = vec![(3, 1, 11210, "gone.example"); 900];
    targets.extend([(2, 1, 11210, "a.example"), (9, 1, 11210, "b.example")]);
    targets.extend([(4, 1, 11210, "A.Example"), (1, 1, 11210, "gone.example")]);
    let want = ["gone.example:11210", "a.example:11210", "b.example:11210"];
    assert_eq!(read(&targets), nodes(&want));
}

#[test]
fn without_a_target_there_is_nothing() {
    assert_eq!(read(&[]), SrvAnswer::Nothing);
    assert_eq!(read(&[(0, 0, 0, ".")]), SrvAnswer::Nothing, "the service is not there");
    let gone = answer_to(&query(), Rcode::NXDOMAIN, &[]);
    assert_eq!(query().answer(&gone), Some(SrvAnswer::Nothing));
    // One that cannot be used does not hide the others.
    let (bad, good) = ((1, 1, 0, "a.example"), (2, 1, 11210, "b.example"));
    assert_eq!(read(&[bad, good]), nodes(&["b.example:11210"]));
    for (target, says) in [(bad, "port 0 of a.example"), ((1, 1, 1, "a\\032b"), "is not a host")] {
        let SrvAnswer::Failed(text) = read(&[target]) else { panic!("{target:?} is used") };
        assert!(text.starts_with("no record has a usable host") && text.contains(says), "{text}");
    }
}

#[test]
fn a_server_that_cannot_answer_says_why() {
    let refused = answer_to(&query(), Rcode::REFUSED, &[(1, 1, 11210, "a.example")]);
    assert_eq!(query().answer(&refused), Some(SrvAnswer::Failed("it answers REFUSED".into())));
    // Servers that refuse a query need not repeat its question.
    let header = |flags: u8, rcode: u8| [0x12, 0x34, flags, rcode, 0, 0, 0, 0, 0, 0, 0, 0];
    let failed = |code: &str| Some(SrvAnswer::Failed(format!("it answers {code}")));
    assert_eq!(query().answer(&header(0x81, 5)), failed("REFUSED"));
    assert_eq!(query().answer(&header(0x81, 1)), failed("FORMERR"));
    for other in [header(0x81, 0), header(0x81, 3), header(0x01, 5)] {
        assert_eq!(query().answer(&other), None, "{other:?}");
    }
    let mut cut = answer_to(&query(), Rcode::NOERROR, &[(1, 1, 11210, "a.example")]);
    cut[2] |= 0x02;
    assert_eq!(query().answer(&cut), Some(SrvAnswer::Truncated));
}

#[test]
fn only_answers_to_the_query_are_read() {
    let good = answer_to(&query(), Rcode::NOERROR, &[(1, 1, 11210, "a.example")]);
    assert_eq!(query().answer(&good), Some(nodes(&["a.example:11210"])));
    let upper = SrvQuery::new(&NAME.to_uppercase(), 0x1234).unwrap();
    assert!(upper.answer(&good).is_some(), "upper and lower case are the same name");
    for other in [SrvQuery::new(NAME, 0x1235), SrvQuery::new("_couchbase._tcp.x.example", 0x1234)] {
        assert_eq!(other.unwrap().answer(&good), None);
    }
    assert_eq!(query().answer(query().as_bytes()), None, "a query is no answer");
    assert_eq!(query().answer(&good[..11]), None);
}

#[test]
fn malformed_answers_are_errors() {
    let good = answer_to(&query(), Rcode::NOERROR, &[(1, 1, 11210, "a.example")]);
    let target_at = good.len() - b"\x01a\x07example\0".len();
    let to_itself = u16::try_from(target_at).unwrap() | 0xc000;
    let mut looped = good[..target_at].to_vec();
    looped.extend(to_itself.to_be_bytes());
    let length_at = target_at - 8;
    looped[length_at..length_at + 2].copy_from_slice(&8_u16.to_be_bytes());
    let mut forward = looped.clone();
    *forward.last_mut().unwrap() += 1;
    let mut promised = good.clone();
    promised[6..8].copy_from_slice(&u16::MAX.to_be_bytes());
    for bad in [&looped, &forward, &promised, &good[..good.len() - 1].to_vec()] {
        let answer = query().answer(bad);
        let Some(SrvAnswer::Failed(text)) = answer else { panic!("{answer:?}") };
        assert!(text == "its answer is malformed", "{text}");
    }
}

proptest! {
    /// Whatever is behind the question of an answer: bytes, and good answers with changed bytes.
    #[test]
    fn no_answer_panics(
        tail in prop::collection::vec(any::<u8>(), 0..600),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut hostile = answer_to(&query(), Rcode::NOERROR, &[]);
        hostile.truncate(query().as_bytes().len());
        hostile[6..8].copy_from_slice(&9_u16.to_be_bytes());
        hostile.extend(&tail);
        let targets = [(1, 1, 11210, "a.example"), (1, 1, 11210, "b.a.example")];
        let mut changed = answer_to(&query(), Rcode::NOERROR, &targets);
        for (at, byte) in changes {
            let at = 4 + at.index(changed.len() - 4);
            changed[at] = byte;
        }
        let part = changed[..cut.index(changed.len())].to_vec();
        for message in [&tail, &hostile, &changed, &part] {
            if let Some(SrvAnswer::Nodes(nodes)) = query().answer(message) {
                prop_assert!(!nodes.is_empty() && nodes.len() <= HOSTS_MAX);
            }
        }
    }

    /// Pointers among names, which a record's target follows.
    #[test]
    fn no_compression_panics(
        pointers in prop::collection::vec(prop_oneof![0xc000..0xc100_u16, 0..0x0200_u16], 1..80),
    ) {
        let mut message = answer_to(&query(), Rcode::NOERROR, &[]);
        message.truncate(query().as_bytes().len());
        message[6..8].copy_from_slice(&1_u16.to_be_bytes());
        let length = u16::try_from(6 + 2 * pointers.len()).unwrap();
        message.extend([0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 30]);
        message.extend(length.to_be_bytes());
        message.extend([0, 1, 0, 1, 0x2b, 0xca]);
        message.extend(pointers.iter().flat_map(|pointer| pointer.to_be_bytes()));
        prop_assert!(query().answer(&message).is_some());
    }
}
