//! Clients that do not know SELECT_BUCKET: a bucket by the user's name, and one without a login.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;

use kvnode::{BucketOptions, Bucketless, Node, NodeConfig, NodeHandle, User};
use mcbp::{Feature, FrameBuilder, Opcode, Status};
use relay::Secret;
use scram::Mechanism;

use super::login::scram;
use crate::support::client::Client;
use crate::support::memory_store::{Disk, MemoryStore};
use crate::support::{BUCKET, PASSWORD, USER, config, eventually, options};

const OTHER: &str = "other";

/// A node with two buckets that listens everywhere, and a user with the name of the second one.
fn start(change: impl FnOnce(&mut NodeConfig)) -> NodeHandle {
    let mut config = config(options(), Path::new("unused"));
    config.listen = "[::]:0".parse().unwrap();
    config.buckets.push(BucketOptions { vbuckets: 8, ..BucketOptions::new(OTHER) });
    config.users.all.push(User::admin(OTHER, Secret::new(PASSWORD)));
    change(&mut config);
    let node = Node::start_on(config, |_| Ok(Arc::new(MemoryStore::open(&Disk::new())))).unwrap();
    for name in [BUCKET, OTHER] {
        let bucket = node.bucket(name).unwrap();
        eventually("warm-up", || bucket.is_ready());
    }
    node
}

/// A connection to the node by this address of the machine.
fn connect(node: &NodeHandle, address: Ipv4Addr) -> Client {
    Client::connect(SocketAddr::from((address, node.address().port())))
}

/// The address of this machine in its network, if it has one. Nothing is sent to find it out.
fn outside() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let SocketAddr::V4(own) = socket.local_addr().ok()? else { return None };
    Some(*own.ip()).filter(|ip| !ip.is_loopback())
}

#[test]
fn a_login_selects_the_bucket_that_has_the_users_name() {
    let node = start(|config| config.bucketless.select_user_bucket = true);
    let mut plain = connect(&node, Ipv4Addr::LOCALHOST);
    assert_eq!(plain.authenticate(OTHER, PASSWORD).status, Status::SUCCESS);
    assert_eq!(plain.set(0, "k", "of the other").status, Status::SUCCESS);
    let mut salted = connect(&node, Ipv4Addr::LOCALHOST);
    assert_eq!(scram(&mut salted, Mechanism::Sha512, OTHER, PASSWORD), Status::SUCCESS);
    assert_eq!(salted.get(0, "k").value, b"of the other");
    // Another bucket may be selected after that, and a user without one has none.
    assert_eq!(salted.select(BUCKET).status, Status::SUCCESS);
    assert_eq!(salted.get(0, "k").status, Status::KEY_ENOENT);
    let mut without = connect(&node, Ipv4Addr::LOCALHOST);
    without.hello(&[Feature::XERROR]);
    assert_eq!(without.authenticate(USER, PASSWORD).status, Status::SUCCESS);
    assert_eq!(without.get(0, "k").status, Status::NO_BUCKET);
    assert_eq!(without.select(OTHER).status, Status::SUCCESS);
}

#[test]
fn nobody_reads_and_writes_the_anonymous_bucket_and_does_nothing_else() {
    let anonymous = Some(BUCKET.to_owned());
    let node = start(|config| {
        config.bucketless = Bucketless { select_user_bucket: true, anonymous_bucket: anonymous };
    });
    let mut client = connect(&node, Ipv4Addr::LOCALHOST);
    client.hello(&[Feature::XERROR]);
    assert_eq!(client.set(0, "k", "v").status, Status::SUCCESS);
    assert_eq!(client.get(0, "k").value, b"v");
    for (opcode, extras) in [(Opcode::SET_VBUCKET, &[1][..]), (Opcode::COMPACT_DB, &[0; 24])] {
        let refused = client.call(&FrameBuilder::request(opcode).extras(extras));
        assert_eq!(refused.status, Status::EACCESS, "{opcode}");
    }
    assert_eq!(client.select(OTHER).status, Status::EACCESS);
    assert_eq!(client.get(0, "k").status, Status::NO_BUCKET);
    assert_eq!(client.select(BUCKET).status, Status::SUCCESS);
    // A failed login leaves nothing of it, and a user is who it says.
    assert_eq!(client.authenticate(OTHER, "wrong").status, Status::AUTH_ERROR);
    assert_eq!(client.get(0, "k").status, Status::EACCESS);
    assert_eq!(client.authenticate(OTHER, PASSWORD).status, Status::SUCCESS);
    assert_eq!(client.get(0, "k").status, Status::KEY_ENOENT, "of its own bucket");
    let Some(outside) = outside() else { return };
    let mut stranger = connect(&node, outside);
    stranger.hello(&[Feature::XERROR]);
    assert_eq!(stranger.get(0, "k").status, Status::EACCESS, "from {outside}");
}
