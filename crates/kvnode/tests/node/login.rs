//! SASL: PLAIN and SCRAM, and how each of them fails.

use mcbp::{Frame, FrameBuilder, Opcode, Status};
use scram::{Client as Scram, Mechanism};

use crate::support::client::{Answer, Client};
use crate::support::memory_store::Disk;
use crate::support::{BUCKET, PASSWORD, USER, options, start_in_memory};

const MECHANISMS: &[u8] = b"PLAIN SCRAM-SHA512 SCRAM-SHA256 SCRAM-SHA1";

fn auth(client: &mut Client, mechanism: &str, message: &[u8]) -> Answer {
    let request = FrameBuilder::request(Opcode::SASL_AUTH).key(mechanism.as_bytes());
    client.call(&request.value(message))
}

fn step(client: &mut Client, mechanism: &str, message: &[u8]) -> Answer {
    let request = FrameBuilder::request(Opcode::SASL_STEP).key(mechanism.as_bytes());
    client.call(&request.value(message))
}

/// Logs in up to the answer to the proof, and checks the node's signature.
pub fn scram(client: &mut Client, mechanism: Mechanism, user: &str, password: &str) -> Status {
    let login = Scram::new(mechanism, user, password.as_bytes(), "a-nonce-of-the-client");
    let challenge = auth(client, mechanism.name(), login.first().as_bytes());
    assert_eq!(challenge.status, Status::AUTH_CONTINUE);
    let (proof, proven) = login.prove(&challenge.value).unwrap();
    let answer = step(client, mechanism.name(), proof.as_bytes());
    if answer.status == Status::SUCCESS {
        proven.accept(&answer.value).unwrap();
    }
    answer.status
}

#[test]
fn each_mechanism_logs_in_with_the_right_password_alone() {
    let node = start_in_memory(&Disk::new(), options());
    for mechanism in Mechanism::ALL {
        let mut client = Client::connect(node.address());
        let list = client.call(&FrameBuilder::request(Opcode::SASL_LIST_MECHS));
        assert_eq!(list.value, MECHANISMS);
        for (user, password) in [(USER, "wrong"), (USER, ""), ("nobody", PASSWORD)] {
            assert_eq!(scram(&mut client, mechanism, user, password), Status::AUTH_ERROR);
            assert_eq!(client.select(BUCKET).status, Status::EACCESS);
        }
        assert_eq!(scram(&mut client, mechanism, USER, PASSWORD), Status::SUCCESS);
        assert_eq!(client.select(BUCKET).status, Status::SUCCESS);
        // Another login takes the place of this one, from its first step on.
        assert_eq!(
            auth(&mut client, mechanism.name(), b"n,,n=a,r=b").status,
            Status::AUTH_CONTINUE
        );
        assert_eq!(client.select(BUCKET).status, Status::EACCESS);
    }
}

#[test]
fn plain_logs_in_with_the_right_password_alone() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::connect(node.address());
    for (user, password) in [(USER, "wrong"), (USER, ""), ("nobody", PASSWORD), ("", "")] {
        assert_eq!(client.authenticate(user, password).status, Status::AUTH_ERROR);
    }
    assert_eq!(auth(&mut client, "PLAIN", b"no zero bytes").status, Status::EINVAL);
    assert_eq!(client.authenticate(USER, PASSWORD).status, Status::SUCCESS);
}

#[test]
fn a_user_who_does_not_exist_always_gets_the_same_salt() {
    let node = start_in_memory(&Disk::new(), options());
    let salt = |mechanism: Mechanism, user: &str| {
        let mut client = Client::connect(node.address());
        let first = format!("n,,n={user},r=abc");
        let challenge = auth(&mut client, mechanism.name(), first.as_bytes());
        assert_eq!(challenge.status, Status::AUTH_CONTINUE);
        let text = String::from_utf8(challenge.value).unwrap();
        assert!(text.ends_with(",i=15000"), "{text}");
        text.split(",s=").nth(1).unwrap().to_owned()
    };
    for mechanism in Mechanism::ALL {
        assert_eq!(salt(mechanism, "nobody"), salt(mechanism, "nobody"));
        assert_ne!(salt(mechanism, "nobody"), salt(mechanism, "somebody"));
        assert_eq!(salt(mechanism, "nobody").len(), salt(mechanism, USER).len());
        assert_eq!(salt(mechanism, USER), salt(mechanism, USER));
    }
}

#[test]
fn a_proof_is_good_once_and_whole() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::connect(node.address());
    let login = || Scram::new(Mechanism::Sha1, USER, PASSWORD.as_bytes(), "nonce");
    let challenge = auth(&mut client, "SCRAM-SHA1", login().first().as_bytes());
    let (proof, _) = login().prove(&challenge.value).unwrap();
    assert_eq!(step(&mut client, "SCRAM-SHA1", proof.as_bytes()).status, Status::SUCCESS);
    assert_eq!(step(&mut client, "SCRAM-SHA1", proof.as_bytes()).status, Status::EINVAL);
    // The same once more: the node's part of the nonce is another one.
    auth(&mut client, "SCRAM-SHA1", login().first().as_bytes());
    assert_eq!(step(&mut client, "SCRAM-SHA1", proof.as_bytes()).status, Status::AUTH_ERROR);
    let challenge = auth(&mut client, "SCRAM-SHA1", login().first().as_bytes());
    let (proof, _) = login().prove(&challenge.value).unwrap();
    let cut = &proof.as_bytes()[..proof.len() - 4];
    assert_eq!(step(&mut client, "SCRAM-SHA1", cut).status, Status::AUTH_ERROR);
    assert_eq!(client.select(BUCKET).status, Status::EACCESS);
}

/// What a real node answered in capture 09, where passwords play no part.
#[test]
fn capture_09_gets_the_statuses_of_a_real_node() {
    let node = start_in_memory(&Disk::new(), options());
    let lines = recordings::capture("09-scram");
    let mut client = Client::connect(node.address());
    let mut compared = 0;
    for pair in lines.windows(2) {
        let [request, answer] = pair else { unreachable!() };
        let frame = Frame::parse(&request.bytes).unwrap();
        let (opcode, note) = (frame.opcode(), &request.note);
        // Passwords of PLAIN are masked, so only where they do not matter.
        let is_masked =
            frame.key == b"PLAIN" && !note.contains("...") && !note.contains("malformed");
        let is_login = [Opcode::SASL_LIST_MECHS, Opcode::SASL_AUTH, Opcode::SASL_STEP];
        if !frame.header.is_request() || !is_login.contains(&opcode) || is_masked {
            continue;
        }
        let is_first = note.ends_with("new connection") || note.ends_with(" ...");
        if opcode == Opcode::SASL_LIST_MECHS || is_first {
            client = Client::connect(node.address());
        }
        let expected = Frame::parse(&answer.bytes).unwrap().header.status();
        let request_again = FrameBuilder::request(opcode).key(frame.key).value(frame.value);
        let found = client.call(&request_again).status;
        // A recorded proof fits no other salt. (Frame 65, with another nonce, is refused here with
        // the right password too: a test of `scram`.)
        let is_proof = opcode == Opcode::SASL_STEP && expected == Status::SUCCESS;
        let expected = if is_proof { Status::AUTH_ERROR } else { expected };
        assert_eq!(found, expected, "frame {}: {} {}", request.number, request.what, request.note);
        compared += 1;
    }
    assert!(compared > 30, "{compared}");
}
