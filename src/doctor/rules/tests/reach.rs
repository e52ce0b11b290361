//! From the address of a node to its login.

use super::*;

fn tls(expires_s: Option<i64>) -> Option<Result<TlsFacts, Failure>> {
    let (version, server_name) = ("TLS 1.3".to_owned(), "alpha".to_owned());
    Some(Ok(TlsFacts { version, server_name, expires_s }))
}

/// An address of another machine.
fn elsewhere() -> Option<Result<Vec<Tried>, String>> {
    Some(Ok(vec![Tried { is_here: false, ..tried(9, Ok(Duration::ZERO)) }]))
}

const THE_WAY_TO_A_NODE: &[Case] = &[
    (
        |f| f.nodes[1].addresses = Some(Err("no such name".into())),
        Error,
        Check::Address,
        "no such name",
    ),
    (
        |f| {
            f.nodes[1].addresses =
                Some(Ok(vec![tried(1, Err("refused")), tried(2, Err("refused"))]))
        },
        Error,
        Check::Connect,
        "127.0.0.2:1 accepts no connection: refused",
    ),
    (
        |f| {
            f.nodes[1].addresses =
                Some(Ok(vec![tried(1, Ok(Duration::ZERO)), tried(2, Err("refused"))]))
        },
        Warning,
        Check::Connect,
        "127.0.0.2:1 accepts no connection: refused",
    ),
    (
        |f| f.nodes[1].tls = Some(Err(Failure::Tls("shows a certificate that has expired".into()))),
        Error,
        Check::Tls,
        "the node shows a certificate that has expired",
    ),
    (
        |f| f.nodes[1].tls = tls(Some(NOW_S + 10 * DAY_S)),
        Warning,
        Check::Certificate,
        "expires in 10 days",
    ),
    (
        |f| f.nodes[1].tls = tls(Some(NOW_S + 40 * DAY_S)),
        Fine,
        Check::Certificate,
        "expires in 40 days",
    ),
    (|f| f.nodes[1].tls = tls(None), Note, Check::Certificate, "unknown"),
    (
        |f| f.nodes[1].mechanisms = Some(Ok(vec!["OAUTHBEARER".into()])),
        Error,
        Check::Mechanism,
        "the node offers OAUTHBEARER",
    ),
    (
        |f| {
            f.nodes[1].addresses = elsewhere();
            f.nodes[1].mechanisms = Some(Ok(vec!["PLAIN".into(), "SCRAM-SHA1".into()]));
        },
        Fine,
        Check::Mechanism,
        "the node offers PLAIN SCRAM-SHA1",
    ),
    (
        |f| f.nodes[1].addresses = elsewhere(),
        Error,
        Check::Mechanism,
        "the password would be sent to another machine unencrypted",
    ),
    (
        |f| {
            f.nodes[1].addresses = elsewhere();
            f.nodes[1].allow_plain = true;
        },
        Warning,
        Check::Mechanism,
        "the password is sent to another machine unencrypted",
    ),
    (
        |f| {
            f.nodes[1].mechanisms =
                Some(Err(Failure::Silent("SASL_LIST_MECHS had no answer within 5s".into())))
        },
        Error,
        Check::Answers,
        "SASL_LIST_MECHS had no answer within 5s",
    ),
    (
        |f| f.nodes[1].login = Some(Err(Failure::Login("refused user \"u\"".into()))),
        Error,
        Check::Login,
        "the node refused user \"u\"",
    ),
    (|f| f.nodes[1].version = Some("6.6.0-7909".into()), Warning, Check::Version, "MB-41942"),
    (
        |f| f.nodes[1].unfinished = Some(Duration::from_secs(30)),
        Error,
        Check::Answers,
        "within 30s",
    ),
    (
        |f| f.nodes[1].unchecked = Some("it is embedded".into()),
        Note,
        Check::Embedded,
        "it is embedded",
    ),
    (
        |f| {
            f.nodes[1].login = Some(Ok(vec![Feature::XATTR, Feature::COLLECTIONS, Feature::SNAPPY]))
        },
        Error,
        Check::Features,
        "does not grant [Json], which every link needs; only beta does",
    ),
    (
        |f| f.nodes[0].login = Some(Ok(vec![Feature::XATTR, Feature::COLLECTIONS, Feature::JSON])),
        Note,
        Check::Features,
        "does not grant [Snappy]; only alpha does: values are sent uncompressed",
    ),
];

#[test]
fn the_way_to_a_node() {
    hold(THE_WAY_TO_A_NODE);
}
