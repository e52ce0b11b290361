//! Memory while consumers do not read.

use std::collections::HashMap;

use mcbp::dcp::control_key;
use mcbp::{Opcode, Status};

use crate::client::{Client, wait_for};
use crate::process::{LARGE_BYTES, OVERHEAD_BYTES, Process, VBUCKETS, store};

/// How often a document larger than the tables in memory is there while it is written: in the read
/// buffer (up to twice), as a value, as a row, in the journal's buffer, in up to four tables.
const LARGE_COPIES: u64 = 9;
/// And for each connection that streams such documents: one that waits to be sent, one that goes
/// out.
const LARGE_COPIES_HELD: u64 = 2;
const KEYS: u64 = 8_000;
const ROUNDS: u64 = 10;
const VALUE_BYTES: usize = 4_096;

/// What was written in a round: its number in front, then bytes that do not compress.
fn value(round: u64, noise: &[u8]) -> Vec<u8> {
    [&round.to_be_bytes(), noise].concat()
}

fn high_seqnos(client: &mut Client) -> Vec<u64> {
    let high = |vb| client.stat("vbucket-seqno", &format!("vb_{vb}:high_seqno")).parse().unwrap();
    (0..VBUCKETS).map(high).collect()
}

/// Reads until all vBuckets are at `highs`; gives what each document ended with.
fn catch_up(consumer: &mut Client, highs: &[u64]) -> HashMap<Vec<u8>, u64> {
    let mut at = vec![0; highs.len()];
    let mut documents = HashMap::new();
    while at != highs {
        let packet = consumer.next();
        assert_ne!(packet.opcode(), Opcode::DCP_STREAM_END, "{packet:?}");
        if packet.is_change() {
            let seen = &mut at[usize::from(packet.vb())];
            assert!(packet.seqno() > *seen, "{packet:?} after {seen}");
            *seen = packet.seqno();
            let frame = packet.frame();
            let round = frame.value.first_chunk().map(|round| u64::from_be_bytes(*round));
            documents.insert(frame.key.to_vec(), round.unwrap());
        }
    }
    documents
}

#[test]
fn memory_stays_within_the_quota_while_consumers_do_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let node = Process::start(folder.path());
    let mut stalled = node.stalled_consumers();
    let mut writer = Client::connect(node.address, &[]);
    let noise: Vec<u8> =
        (0..VALUE_BYTES as u64).map(|n| ((n * n * 2_654_435_761) >> 7) as u8).collect();
    for round in 1..=ROUNDS {
        (0..KEYS).for_each(|n| store(&mut writer, n, &value(round, &noise), Opcode::SETQ));
        node.check(&format!("round {round}"), OVERHEAD_BYTES, &mut writer);
    }
    let large = value(ROUNDS, &noise.repeat(LARGE_BYTES / VALUE_BYTES - 1));
    for n in 0..6 {
        store(&mut writer, KEYS + n * u64::from(VBUCKETS), &large, Opcode::SETQ);
    }
    let with_large = OVERHEAD_BYTES + LARGE_COPIES * LARGE_BYTES as u64;
    node.check("after the large documents", with_large, &mut writer);
    let highs = high_seqnos(&mut writer);
    let written = highs.iter().sum::<u64>();
    assert_eq!(written, KEYS * ROUNDS + 6);
    for consumer in &mut stalled {
        let set = consumer.control(control_key::CONNECTION_BUFFER_SIZE, "0");
        assert_eq!(set, Status::SUCCESS);
        let documents = catch_up(consumer, &highs);
        assert_eq!(documents.len() as u64, KEYS + 6);
        assert!(documents.values().all(|&round| round == ROUNDS), "a document is not the newest");
    }
    let sending = stalled.len() as u64 * LARGE_COPIES_HELD * LARGE_BYTES as u64;
    node.check("after all have caught up", with_large + sending, &mut writer);
}

#[test]
fn streams_of_large_documents_hold_a_few_of_them_whatever_their_number() {
    let folder = tempfile::tempdir().unwrap();
    let node = Process::start(folder.path());
    let mut writer = Client::connect(node.address, &[]);
    let noise: Vec<u8> = (0..LARGE_BYTES as u64 - 8).map(|n| ((n * n) >> 7) as u8).collect();
    let large = value(1, &noise);
    (0..u64::from(VBUCKETS)).for_each(|vb| store(&mut writer, vb, &large, Opcode::SETQ));
    let written = OVERHEAD_BYTES + LARGE_COPIES * LARGE_BYTES as u64;
    node.check("after writing", written, &mut writer);
    let mut stalled = node.stalled_consumers();
    let are_stuck = |client: &mut Client| {
        let stats = client.stats("dcp");
        let sent = stats.iter().filter(|(name, _)| name.ends_with(":total_bytes_sent"));
        sent.filter(|(_, bytes)| bytes.parse::<usize>().unwrap() >= LARGE_BYTES).count() == 4
    };
    let one_each = stalled.len() as u64 * LARGE_BYTES as u64;
    wait_for("a document for each", || are_stuck(&mut writer));
    let sending = written + LARGE_COPIES_HELD * one_each;
    node.check("while nobody reads", sending, &mut writer);
    let highs = high_seqnos(&mut writer);
    for consumer in &mut stalled {
        let set = consumer.control(control_key::CONNECTION_BUFFER_SIZE, "0");
        assert_eq!(set, Status::SUCCESS);
        let documents = catch_up(consumer, &highs);
        assert_eq!(documents.len(), usize::from(VBUCKETS));
    }
    node.check("after all have caught up", sending, &mut writer);
}
