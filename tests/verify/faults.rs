//! Two nodes with one history, one of which went wrong in single documents.

use std::path::Path;
use std::process::Command;

use bytes::BytesMut;
use dcp_proxy::verify::Class;
use mcbp::kv::StoreExtras;
use mcbp::{FrameBuilder, Opcode, VbId};
use relay::Client;

use super::common::DataNode;
use super::{compare, number_of};

const VBUCKETS: u16 = 64;
const WINDOW: usize = 256;

/// Both nodes, the second one from a copy of the folder of the first.
async fn twins(folder: &Path, documents: u64) -> (DataNode, DataNode) {
    let mut alpha = DataNode::start(folder, "alpha", "active", VBUCKETS).await;
    fill(&alpha, documents).await;
    alpha.stop().await;
    let (from, to) = (folder.join("alpha"), folder.join("beta"));
    assert!(Command::new("cp").arg("-r").args([from, to]).status().unwrap().success());
    alpha.restart().await;
    let beta = DataNode::start(folder, "beta", "active", VBUCKETS).await;
    (alpha, beta)
}

async fn fill(node: &DataNode, documents: u64) {
    let mut client = node.client().await;
    let (extras, mut number) = (StoreExtras::default().encode(), 0);
    let value = vec![b'x'; 1024];
    let next = |opaque, out: &mut BytesMut| {
        if number == documents {
            return false;
        }
        let vb = VbId(u16::try_from(number % u64::from(VBUCKETS)).unwrap());
        let key = format!("document-{number}");
        let set = FrameBuilder::request(Opcode::SET).vbucket(vb).opaque(opaque).extras(&extras);
        set.key(key.as_bytes()).value(&value).write(out);
        number += 1;
        true
    };
    let written = client.pipeline(WINDOW, next, |_, frame| {
        assert!(frame.header.status().is_success(), "{:?}", frame.header.status());
    });
    assert_eq!(written.await.unwrap(), documents);
}

/// A document with these metadata, which are the same on both nodes.
async fn put(client: &mut Client, vb: u16, key: &str, meta: Meta, value: &str) {
    let Meta { flags, expiry, rev, cas } = meta;
    let mut extras = [flags, expiry].map(u32::to_be_bytes).concat();
    extras.extend([rev, cas].map(u64::to_be_bytes).concat());
    let set = FrameBuilder::request(Opcode::SET_WITH_META).vbucket(VbId(vb)).extras(&extras);
    client.ask(set.key(key.as_bytes()).value(value.as_bytes())).await.unwrap();
}

async fn delete(client: &mut Client, vb: u16, key: &str, meta: Meta) {
    let Meta { flags, expiry, rev, cas } = meta;
    let mut extras = [flags, expiry].map(u32::to_be_bytes).concat();
    extras.extend([rev, cas].map(u64::to_be_bytes).concat());
    let gone = FrameBuilder::request(Opcode::DELETE_WITH_META).vbucket(VbId(vb)).extras(&extras);
    client.ask(gone.key(key.as_bytes())).await.unwrap();
}

#[derive(Clone, Copy)]
struct Meta {
    flags: u32,
    expiry: u32,
    rev: u64,
    cas: u64,
}

const META: Meta = Meta { flags: 7, expiry: 0, rev: 1, cas: 1 << 32 };

/// The same seqnos on both nodes, and in vBucket 3 to 6 one document each that differs.
async fn go_wrong(a: &mut Client, b: &mut Client) {
    let newer = Meta { rev: 2, cas: META.cas + 1, ..META };
    // One bit.
    put(a, 3, "flipped", META, "value").await;
    put(b, 3, "flipped", META, "valud").await;
    // One seqno, which its next change gives up.
    for client in [&mut *a, &mut *b] {
        put(client, 4, "spare", META, "1").await;
    }
    put(a, 4, "lost", META, "value").await;
    put(b, 4, "spare", newer, "2").await;
    put(a, 5, "spare", META, "1").await;
    put(b, 5, "surplus", META, "value").await;
    for client in [&mut *a, &mut *b] {
        put(client, 4, "spare", Meta { rev: 3, cas: META.cas + 2, ..META }, "3").await;
        put(client, 5, "spare", newer, "2").await;
        put(client, 6, "stale", META, "old").await;
    }
    put(a, 6, "stale", newer, "new").await;
    put(b, 6, "spare", META, "1").await;
    for client in [a, b] {
        put(client, 6, "spare", newer, "2").await;
    }
}

/// `VERIFY_DOCUMENTS=1000000` for as many as the figure of `docs/verify.md`.
#[tokio::test]
async fn one_flipped_bit_one_missing_one_extra_and_one_stale_among_many_are_found_and_classed() {
    let documents = number_of("VERIFY_DOCUMENTS", 5000);
    let folder = tempfile::tempdir().unwrap();
    let (alpha, beta) = twins(folder.path(), documents).await;
    let (same, none) = compare(&alpha, &beta).await;
    assert!(same.is_identical() && none.is_empty(), "{none:?}");
    assert_eq!((same.rows, same.deletions), (documents, 0));

    go_wrong(&mut alpha.client().await, &mut beta.client().await).await;
    let (verified, mut found) = compare(&alpha, &beta).await;
    found.sort_by_key(|difference| difference.vb);
    let classed: Vec<_> = found
        .iter()
        .map(|found| {
            let key = found.key.as_ref().map(|key| key.key.escape_ascii().to_string());
            (found.vb.0, key.unwrap_or_default(), found.class)
        })
        .collect();
    let want = [
        (3, "flipped", Class::Value),
        (4, "lost", Class::Missing),
        (5, "surplus", Class::Extra),
        (6, "stale", Class::Older),
    ];
    assert_eq!(classed, want.map(|(vb, key, class)| (vb, key.to_owned(), class)), "{found:#?}");
    assert_eq!(verified.differing.to_string(), "3-6");
    assert_eq!((verified.vbuckets, verified.differences()), (usize::from(VBUCKETS), 4));
    assert!(found[0].what.starts_with("seqno ") && found[0].what.contains("value is 5 bytes with"));
}

#[tokio::test]
async fn every_field_of_a_document_and_of_a_deletion_is_compared() {
    let folder = tempfile::tempdir().unwrap();
    let (alpha, beta) = twins(folder.path(), 64).await;
    let (mut a, mut b) = (alpha.client().await, beta.client().await);
    let expiry = 4_000_000_000;
    let table = [
        (Meta { cas: META.cas + 9, ..META }, Class::Cas),
        (Meta { rev: 5, ..META }, Class::Revision),
        (Meta { flags: 8, ..META }, Class::Flags),
        (Meta { expiry, ..META }, Class::Expiry),
    ];
    for (vb, (meta, _)) in (0..).zip(table) {
        put(&mut a, vb, "key", META, "value").await;
        put(&mut b, vb, "key", meta, "value").await;
    }
    put(&mut a, 4, "key", META, "value").await;
    put(&mut b, 4, "other", META, "value").await;
    for client in [&mut a, &mut b] {
        put(client, 5, "key", META, "value").await;
    }
    let deleted = Meta { rev: 2, cas: META.cas + 1, ..META };
    delete(&mut a, 5, "key", deleted).await;
    put(&mut b, 5, "key", deleted, "value").await;
    let (_, mut found) = compare(&alpha, &beta).await;
    found.sort_by_key(|difference| (difference.vb, difference.class));
    let classes: Vec<_> = found.iter().map(|found| (found.vb.0, found.class)).collect();
    let mut want: Vec<_> = (0..).zip(table).map(|(vb, (_, class))| (vb, class)).collect();
    want.extend([(4, Class::Missing), (4, Class::Extra), (5, Class::Existence)]);
    assert_eq!(classes, want, "{found:#?}");
}
