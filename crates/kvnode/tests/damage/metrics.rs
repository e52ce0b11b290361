//! A damaged document is counted as one failed read.

use std::path::{Path, PathBuf};

use kvnode::Node;
use mcbp::{FrameBuilder, Opcode, Status, VbId};

use crate::client::{Client, wait_for};
use crate::flip::files;
use crate::folder::folder;
use crate::scrape::{page, sample};
use crate::template::{config, start};

const FAILURES: &str = "kvnode_data_read_failures_total{bucket=\"default\"}";
/// Large enough to be stored out of line.
const VALUE_BYTES: usize = 1 << 20;

/// The file that holds the document.
fn file_of_values(folder: &Path) -> Option<PathBuf> {
    let is_large = |path: &PathBuf| path.metadata().unwrap().len() as usize >= VALUE_BYTES;
    let of_values = |path: &PathBuf| path.components().any(|part| part.as_os_str() == "values");
    files(folder).into_iter().find(|path| of_values(path) && is_large(path))
}

#[test]
fn mb_47790_a_damaged_document_raises_the_metric_by_one() {
    let folder = folder();
    let node = start(folder.path());
    Client::connect(node.address(), &[]).set(0, "large", &vec![b'x'; VALUE_BYTES]);
    wait_for("writing out", || file_of_values(folder.path()).is_some());
    node.shutdown().unwrap();
    let path = file_of_values(folder.path()).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[VALUE_BYTES / 2] ^= 1;
    std::fs::write(path, bytes).unwrap();

    let mut config = config(folder.path());
    config.metrics = Some("127.0.0.1:0".parse().unwrap());
    let node = Node::start(config).unwrap();
    let metrics = node.metrics_address().unwrap();
    wait_for("warm-up", || node.buckets()[0].is_ready());
    assert_eq!(sample(&page(metrics), FAILURES), 0);
    let mut client = Client::connect(node.address(), &[]);
    let get = FrameBuilder::request(Opcode::GET).vbucket(VbId(0)).key(b"large");
    assert_eq!(client.try_ask(get).status(), Status::EINTERNAL);
    assert_eq!(sample(&page(metrics), FAILURES), 1);
    let mut dcp = Client::connect(node.address(), &[]).produce("reader");
    dcp.stream(0, 1);
    let end = std::iter::from_fn(|| dcp.try_next()).find(|p| p.opcode() == Opcode::DCP_STREAM_END);
    assert_eq!(end.expect("the stream ends").end(), 5);
    assert_eq!(sample(&page(metrics), FAILURES), 2);
}
