//! Bytes that are not requests. The node keeps serving, and allocates no claimed sizes.

use mcbp::{FrameBuilder, Opcode, Status};

use crate::support::client::Client;
use crate::support::memory_store::Disk;
use crate::support::{options, start_in_memory};

fn request_claiming(body_bytes: u32) -> [u8; 24] {
    let mut header = [0; 24];
    header[0] = 0x80;
    header[1] = Opcode::SET.0;
    header[8..12].copy_from_slice(&body_bytes.to_be_bytes());
    header[12..16].copy_from_slice(&[1, 2, 3, 4]);
    header
}

#[test]
fn garbage_is_hung_up_on() {
    let node = start_in_memory(&Disk::new(), options());
    for garbage in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), &[0xff; 100], &[0; 1], b"\x81aaaaaaaaa"] {
        let mut client = Client::connect(node.address());
        client.send_bytes(garbage);
        if garbage[0] == 0x81 {
            // The node waits for the rest of a header; this rest makes it a response.
            client.send_bytes(&[0; 14]);
        }
        assert_eq!(client.try_receive(), None, "{garbage:?}");
    }
    Client::ready(&node);
}

#[test]
fn a_header_that_claims_four_gigabytes_is_answered_and_hung_up_on() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    client.send_bytes(&request_claiming(u32::MAX));
    let answer = client.receive();
    assert_eq!((answer.status, answer.opaque.0), (Status::EINVAL, 0x0102_0304));
    assert_eq!(client.try_receive(), None);
}

#[test]
fn an_unauthenticated_client_may_not_send_much() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::connect(node.address());
    client.send_bytes(&request_claiming(1024 * 1024));
    assert_eq!(client.receive().status, Status::EINVAL);
    assert_eq!(client.try_receive(), None);
}

#[test]
fn lengths_that_contradict_each_other() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    let mut header = request_claiming(4);
    header[3] = 100;
    client.send_bytes(&header);
    assert_eq!(client.receive().status, Status::EINVAL);
    assert_eq!(client.try_receive(), None);
}

#[test]
fn every_opcode_survives_every_shape() {
    let node = start_in_memory(&Disk::new(), options());
    let zeros = [0; 64];
    for extras in [0, 1, 4, 8, 20, 48] {
        for (key, value) in [(0, 0), (1, 0), (1, 8), (64, 64)] {
            let mut client = Client::ready(&node);
            for opcode in (0..=u8::MAX).map(Opcode) {
                let frame = FrameBuilder::request(opcode).extras(&zeros[..extras]);
                let frame = frame.key(&zeros[..key]).value(&zeros[..value]);
                client.send(&frame);
                client.send(&FrameBuilder::request(Opcode::NOOP).opaque(mcbp::Opaque(99)));
                // Any number of answers or the end of the connection, but never neither.
                let alive = std::iter::from_fn(|| client.try_receive())
                    .any(|answer| (answer.opcode, answer.opaque.0) == (Opcode::NOOP, 99));
                if !alive || opcode == Opcode::DCP_OPEN {
                    client = Client::ready(&node);
                }
            }
        }
    }
}

#[test]
fn requests_that_come_byte_by_byte_are_carried_out() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    let frames = [
        crate::support::client::set(Opcode::SET, 0, "a", "x", &[0; 8]).build(),
        FrameBuilder::request(Opcode::GET).key(b"a").build(),
    ];
    for byte in frames.concat() {
        client.send_bytes(&[byte]);
    }
    assert_eq!(client.receive().opcode, Opcode::SET);
    assert_eq!(client.receive().value, b"x");
}

#[test]
fn what_came_before_the_garbage_is_answered() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    let set = crate::support::client::set(Opcode::SET, 0, "a", "x", &[0; 8]).build();
    client.send_bytes(&[set.as_ref(), b"garbage"].concat());
    assert_eq!(client.receive().status, Status::SUCCESS);
    assert_eq!(client.try_receive(), None);
    assert_eq!(Client::ready(&node).get(0, "a").value, b"x");
}

#[test]
fn more_answers_than_fit_into_one_write() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    let value = "x".repeat(100_000);
    client.set(0, "a", &value);
    let get = FrameBuilder::request(Opcode::GET).key(b"a").build();
    client.send_bytes(&get.repeat(50));
    for _ in 0..50 {
        assert_eq!(client.receive().value.len(), value.len());
    }
}
