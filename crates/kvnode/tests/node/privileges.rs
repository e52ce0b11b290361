//! What users of each role may do, and users whose passwords are salted.

use std::path::Path;
use std::sync::Arc;

use kvnode::{BucketOptions, Credentials, Grant, Node, NodeHandle, Role, User, UsersFile};
use mcbp::dcp::{Open, open_flags};
use mcbp::kv::StoreExtras;
use mcbp::{Feature, Frame, FrameBuilder, Opaque, Opcode, Status, VbId};
use relay::Secret;
use scram::Mechanism;

use super::login::scram;
use crate::support::client::{Answer, Client};
use crate::support::memory_store::{Disk, MemoryStore};
use crate::support::{BUCKET, PASSWORD, USER, config, eventually, options};

pub(super) const OTHER: &str = "other";

fn user(name: &str, role: Role, buckets: &[&str]) -> User {
    let grant = Grant { role, buckets: buckets.iter().map(ToString::to_string).collect() };
    User { grant, ..User::admin(name, Secret::new(PASSWORD)) }
}

/// A node with two buckets, a user of each role, and users of one bucket.
pub(super) fn start() -> NodeHandle {
    let mut config = config(options(), Path::new("unused"));
    config.buckets.push(BucketOptions { vbuckets: 8, ..BucketOptions::new(OTHER) });
    let mut users: Vec<_> = Role::ALL.into_iter().map(|it| user(it.name(), it, &[])).collect();
    users.push(user("limited", Role::Admin, &[OTHER]));
    let salted = Credentials::Verifiers(UsersFile::verifiers(PASSWORD.as_bytes()));
    users.push(User { credentials: salted, ..user("salted", Role::ReadOnly, &[BUCKET]) });
    config.users.all.extend(users);
    let node = Node::start_on(config, |_| Ok(Arc::new(MemoryStore::open(&Disk::new())))).unwrap();
    for name in [BUCKET, OTHER] {
        let bucket = node.bucket(name).unwrap();
        eventually("warm-up", || bucket.is_ready());
    }
    node
}

pub(super) fn logged_in(node: &NodeHandle, user: &str) -> Client {
    let mut client = Client::connect(node.address());
    client.hello(&[Feature::XERROR, Feature::JSON]);
    assert_eq!(client.authenticate(user, PASSWORD).status, Status::SUCCESS, "{user}");
    client
}

pub(super) fn in_bucket(node: &NodeHandle, user: &str, bucket: &str) -> Client {
    let mut client = logged_in(node, user);
    assert_eq!(client.select(bucket).status, Status::SUCCESS, "{user} {bucket}");
    client
}

fn said(answer: &Answer) -> &str {
    std::str::from_utf8(&answer.value).unwrap()
}

fn asked(client: &mut Client, opcode: Opcode) -> Answer {
    let frame = FrameBuilder::request(opcode).vbucket(VbId(0));
    match opcode {
        Opcode::SET => client.set_with(0, "key", "1", StoreExtras::default(), 0),
        Opcode::SET_VBUCKET => client.call(&frame.extras(&[1])),
        Opcode::COMPACT_DB => client.call(&frame.extras(&[0; 24])),
        Opcode::GET | Opcode::DELETE | Opcode::GET_META => client.call(&frame.key(b"key")),
        _ => client.call(&frame),
    }
}

fn opened(client: &mut Client, flags: u32) -> Status {
    let open = Open { flags, name: b"test", value: b"" }.build(Opaque(0));
    client.call(&FrameBuilder::from_frame(&Frame::parse(&open).unwrap())).status
}

#[test]
fn a_role_may_do_what_it_is_for_and_nothing_else() {
    use Opcode as O;
    let node = start();
    let of_all = [O::NOOP, O::VERSION, O::GET_VBUCKET, O::GET_ALL_VB_SEQNOS, O::GET_META];
    let of_admins = [O::COMPACT_DB, O::ENABLE_TRAFFIC, O::DEL_VBUCKET];
    let roles = [Role::ReadWrite, Role::ReadOnly, Role::Replication, Role::Admin];
    for role in roles {
        let mut client = in_bucket(&node, role.name(), BUCKET);
        let mut may = |opcode| asked(&mut client, opcode).status != Status::EACCESS;
        assert!(of_all.into_iter().all(&mut may), "{role}");
        let admin = role == Role::Admin;
        assert_eq!(may(O::SET), admin || role == Role::ReadWrite, "{role}");
        assert_eq!(may(O::DELETE), admin || role == Role::ReadWrite, "{role}");
        assert_eq!(may(O::GET), role != Role::Replication, "{role}");
        assert_eq!(may(O::SET_VBUCKET), admin || role == Role::Replication, "{role}");
        for opcode in of_admins {
            assert_eq!(may(opcode), admin, "{role} {opcode}");
        }
        for flags in [open_flags::REPLICATION_PRODUCER, open_flags::REPLICATION_CONSUMER] {
            let mut client = in_bucket(&node, role.name(), BUCKET);
            let want =
                if admin || role == Role::Replication { Status::SUCCESS } else { Status::EACCESS };
            assert_eq!(opened(&mut client, flags), want, "{role}");
        }
    }
}

#[test]
fn a_refusal_names_the_privilege_and_an_unknown_command_is_unknown() {
    let node = start();
    let mut client = in_bucket(&node, "read-only", BUCKET);
    let refused = asked(&mut client, Opcode::SET);
    assert_eq!(refused.status, Status::EACCESS);
    let text = "can't execute SET operation without the Upsert privilege";
    assert!(said(&refused).contains(text), "{}", said(&refused));
    let refused = asked(&mut client, Opcode::DEL_VBUCKET);
    assert!(said(&refused).contains("without the NodeSupervisor privilege"), "{}", said(&refused));
    assert_eq!(asked(&mut client, Opcode(0x4f)).status, Status::UNKNOWN_COMMAND);
    // Nothing was changed.
    assert_eq!(asked(&mut client, Opcode::GET).status, Status::KEY_ENOENT);
}

#[test]
fn a_user_of_one_bucket_selects_no_other() {
    let node = start();
    let mut client = logged_in(&node, "limited");
    for absent in [BUCKET, "no-such-bucket"] {
        let refused = client.select(absent);
        assert_eq!(refused.status, Status::EACCESS);
        assert!(said(&refused).contains("no privilege for bucket"), "{}", said(&refused));
        // Without a bucket, as it would be for anybody.
        let refused = asked(&mut client, Opcode::GET);
        assert!(said(&refused).contains("select a bucket"), "{}", said(&refused));
    }
    assert_eq!(client.select(OTHER).status, Status::SUCCESS);
    assert_eq!(asked(&mut client, Opcode::SET).status, Status::SUCCESS);
    assert_eq!(asked(&mut client, Opcode::COMPACT_DB).status, Status::SUCCESS);
    // A failure leaves the connection without a bucket, and so without its privileges.
    assert_eq!(client.select(BUCKET).status, Status::EACCESS);
    assert_eq!(asked(&mut client, Opcode::COMPACT_DB).status, Status::EACCESS);
    let mut admin = in_bucket(&node, USER, OTHER);
    assert_eq!(admin.select("no-such-bucket").status, Status::KEY_ENOENT);
}

#[test]
fn a_salted_user_logs_in_with_every_mechanism() {
    let node = start();
    let mut client = Client::connect(node.address());
    for mechanism in Mechanism::ALL {
        let wrong = scram(&mut client, mechanism, "salted", "wrong");
        assert_eq!(wrong, Status::AUTH_ERROR, "{mechanism}");
        let right = scram(&mut client, mechanism, "salted", PASSWORD);
        assert_eq!(right, Status::SUCCESS, "{mechanism}");
        assert_eq!(client.select(BUCKET).status, Status::SUCCESS);
        assert_eq!(asked(&mut client, Opcode::SET).status, Status::EACCESS);
    }
    assert_eq!(client.authenticate("salted", "wrong").status, Status::AUTH_ERROR);
    assert_eq!(client.authenticate("salted", PASSWORD).status, Status::SUCCESS);
    assert_eq!(client.select(OTHER).status, Status::EACCESS);
}

#[test]
fn a_user_who_gets_another_role_is_logged_out() {
    let node = start();
    let mut kept = in_bucket(&node, USER, BUCKET);
    let mut lost = in_bucket(&node, "read-write", BUCKET);
    let mut after = config(options(), Path::new("unused"));
    after.users.all.push(user("read-write", Role::ReadOnly, &[]));
    assert_eq!(node.live().reload(after).unwrap(), 1);
    assert!(lost.try_receive().is_none(), "the connection was closed");
    assert_eq!(asked(&mut kept, Opcode::SET).status, Status::SUCCESS);
    let mut again = in_bucket(&node, "read-write", BUCKET);
    assert_eq!(asked(&mut again, Opcode::SET).status, Status::EACCESS);
}
