//! Comparisons that are interrupted, and whose connections break.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use dcp_proxy::verify::{Progress, Verified, Verify, VerifyError, verify};
use mcbp::VbId;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::common::{DataNode, Process, nodes, until};

const DOCUMENTS: u64 = 80;
const VALUE_BYTES: usize = 10_000;

/// A node with some 100 kB in each of its 8 vBuckets.
async fn filled(folder: &tempfile::TempDir) -> DataNode {
    let (alpha, _) = nodes(folder).await;
    let (mut documents, mut counts) = (alpha.documents().await, [0; 8]);
    let most = DOCUMENTS / 8;
    for key in (0..).map(|number| format!("key-{number}")) {
        let count = &mut counts[usize::from(documents.vb(&key).0)];
        if *count < most {
            documents.set(&key, &"x".repeat(VALUE_BYTES)).await;
            *count += 1;
        }
        if counts == [most; 8] {
            break;
        }
    }
    alpha
}

fn command(folder: &Path, node: &DataNode, arguments: &[&str]) -> Process {
    let (a, port) = (node.address().to_string(), node.address().port());
    let b = format!("localhost:{port}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcp-proxy"));
    command.args(["verify", "default", "--node", &a, "--node", &b, "--json"]).args(arguments);
    command.env("DCP_PROXY_USERNAME", "dcp-proxy").env("DCP_PROXY_PASSWORD", "correct horse");
    Process::start("verify", folder, command.current_dir(folder))
}

fn summary(process: &Process) -> Value {
    let out = process.out();
    let last = out.lines().last().expect("a summary");
    serde_json::from_str::<Value>(last).unwrap()["summary"].clone()
}

#[tokio::test]
async fn an_interrupted_comparison_says_so_and_the_next_one_goes_on_there() {
    for signal in ["INT", "TERM"] {
        let folder = tempfile::tempdir().unwrap();
        let alpha = filled(&folder).await;
        let kept = folder.path().join("kept");
        // More than ten seconds for both sides together.
        let arguments = ["--rate", "131072", "--state", "kept"];
        let mut run = command(folder.path(), &alpha, &arguments);
        let is_noted = || {
            let text = std::fs::read(&kept).ok()?;
            let state: Value = serde_json::from_slice(&text).ok()?;
            let noted = state["routes"][0]["vbuckets"].as_object()?.len();
            (noted > 0).then_some(())
        };
        until("a vBucket is kept", async || is_noted()).await;
        run.signal(signal);
        assert_eq!(run.exit_code().await, 1, "{}", run.log());
        let first = summary(&run);
        assert_eq!((&first["identical"], &first["wanted"]), (&false.into(), &8.into()));
        let count = first["vbuckets"].as_u64().unwrap();
        assert!((1..8).contains(&count), "{first}");
        let said =
            format!("Interrupted: {count} of 8 vBuckets compared: no difference among them, ");
        assert!(run.log().contains(&said), "{said:?} is not in:\n{}", run.log());
        let state: Value = serde_json::from_slice(&std::fs::read(&kept).unwrap()).unwrap();
        let vbuckets = state["routes"][0]["vbuckets"].as_object().unwrap();
        assert_eq!(vbuckets.len() as u64, count, "{state}");
        let names = std::fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name());
        let left: Vec<_> =
            names.filter(|name| name.to_string_lossy().starts_with(".dcp-proxy-")).collect();
        assert!(left.is_empty(), "{left:?}");

        let mut run = command(folder.path(), &alpha, &["--state", "kept"]);
        assert_eq!(run.exit_code().await, 0, "{}", run.log());
        assert!(run.log().contains(&format!("Compared before: {count} vBucket")));
        let second = summary(&run);
        assert_eq!((&second["vbuckets"], &second["rows"]), (&8.into(), &DOCUMENTS.into()));
    }
}

/// Passes connections on to a node, and cuts each one off after so many bytes of the node.
struct Cutting {
    address: SocketAddr,
    cut: Arc<AtomicUsize>,
    _task: AbortOnDropHandle<()>,
}

impl Cutting {
    async fn start(node: SocketAddr, after: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cut = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&cut);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(node) = TcpStream::connect(node).await else { continue };
                tokio::spawn(pass_on(client, node, after, Arc::clone(&count)));
            }
        });
        Self { address, cut, _task: AbortOnDropHandle::new(task) }
    }
}

async fn pass_on(client: TcpStream, node: TcpStream, after: usize, cut: Arc<AtomicUsize>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_node, mut to_node) = node.into_split();
    let mut left = after;
    let down = async {
        let mut bytes = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = from_node.read(&mut bytes).await {
            if count > left {
                cut.fetch_add(1, Relaxed);
                return;
            }
            left -= count;
            if to_client.write_all(&bytes[..count]).await.is_err() {
                return;
            }
        }
    };
    // The end of either direction is the end of the connection.
    tokio::select! {
        () = down => {}
        _ = copy(&mut from_client, &mut to_node) => {}
    }
}

/// Compares the node with itself; one side comes over a wire that is cut.
async fn compare(node: &DataNode, after: usize) -> (Result<Verified, VerifyError>, usize) {
    let wire = Cutting::start(node.address(), after).await;
    let (mut cut_side, vbs) = (node.endpoint(), (0..node.vbuckets).map(VbId).collect());
    cut_side.address = wire.address.to_string();
    let name = "test".to_owned();
    let what = Verify::new(node.endpoint(), cut_side, "default".to_owned(), vbs, name);
    let mut each = |difference| panic!("{difference}");
    let stop = CancellationToken::new();
    let result = verify(&what, &Progress::default(), &mut each, &stop).await;
    (result, wire.cut.load(Relaxed))
}

#[tokio::test]
async fn a_connection_that_breaks_is_opened_again_and_no_key_is_lost_or_counted_twice() {
    let folder = tempfile::tempdir().unwrap();
    let alpha = filled(&folder).await;
    // Enough for one vBucket and not for two: each connection breaks in its second one.
    let (result, cut) = compare(&alpha, 150_000).await;
    let verified = result.unwrap();
    assert!(verified.is_identical(), "{verified:?}");
    assert_eq!((verified.vbuckets, verified.rows), (8, DOCUMENTS));
    assert!(cut > 0, "every lane had one vBucket only");
}

#[tokio::test]
async fn connections_that_break_again_and_again_end_the_comparison_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let alpha = filled(&folder).await;
    let (result, cut) = compare(&alpha, 50_000).await;
    let error = result.unwrap_err().to_string();
    assert!(error.starts_with("the comparison was cut off: alpha"), "{error}");
    assert!(cut > 3, "{cut}");
}
