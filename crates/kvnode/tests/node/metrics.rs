//! The metrics of a node, over HTTP.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::sync::Arc;

use kvnode::{Node, NodeHandle};
use mcbp::VbState;

use crate::support::client::Client;
use crate::support::memory_store::{Disk, MemoryStore};
use crate::support::scrape::{ask, page, sample};
use crate::support::{config, options};

pub(super) fn start(disk: &Arc<Disk>) -> NodeHandle {
    let mut config = config(options(), Path::new("unused"));
    config.metrics = Some("127.0.0.1:0".parse().unwrap());
    Node::start_on(config, |_| Ok(Arc::new(MemoryStore::open(disk)))).unwrap()
}

#[test]
fn metrics_tell_what_a_bucket_has_done_and_holds() {
    let node = start(&Disk::new());
    let address = node.metrics_address().expect("it was asked for");
    let mut client = Client::ready(&node);
    client.set(0, "a", "x");
    client.set(1, "a", "x");
    client.delete(1, "a");
    client.get(0, "a");
    client.get(0, "b");
    client.set_vbucket(7, VbState::Replica as u8);
    let page = page(address);
    for (name, value) in [
        ("kvnode_connections", 1),
        ("kvnode_connections_accepted_total", 1),
        ("kvnode_ready{bucket=\"default\"}", 1),
        ("kvnode_writes_refused{bucket=\"default\"}", 0),
        ("kvnode_sets_total{bucket=\"default\"}", 2),
        ("kvnode_gets_total{bucket=\"default\"}", 2),
        ("kvnode_get_hits_total{bucket=\"default\"}", 1),
        ("kvnode_deletes_total{bucket=\"default\"}", 1),
        ("kvnode_data_read_failures_total{bucket=\"default\"}", 0),
        ("kvnode_commit_failures_total{bucket=\"default\"}", 0),
        ("kvnode_changes_committed_total{bucket=\"default\"}", 3),
        ("kvnode_vbuckets{bucket=\"default\",state=\"active\"}", 7),
        ("kvnode_vbuckets{bucket=\"default\",state=\"replica\"}", 1),
        ("kvnode_documents{bucket=\"default\",state=\"active\"}", 1),
        ("kvnode_quota_bytes{bucket=\"default\"}", 256 << 20),
        ("kvnode_dcp_connections{bucket=\"default\",side=\"producer\"}", 0),
        ("kvnode_dcp_streams{bucket=\"default\"}", 0),
    ] {
        assert_eq!(sample(&page, name), value, "{name}");
    }
    assert!(page.contains("# TYPE kvnode_sets counter\n"), "{page}");
    assert!(page.ends_with("# EOF\n"));
}

#[test]
fn a_disk_that_refuses_shows_in_the_metrics() {
    let disk = Disk::new();
    let node = start(&disk);
    let address = node.metrics_address().unwrap();
    let mut client = Client::ready(&node);
    let detail = "no space left".to_owned();
    disk.fail_commits(Some(vbucket::StoreError::Io { doing: "committing", detail }));
    client.set(0, "a", "x");
    let page = page(address);
    assert_eq!(sample(&page, "kvnode_writes_refused{bucket=\"default\"}"), 1);
    assert_eq!(sample(&page, "kvnode_commit_failures_total{bucket=\"default\"}"), 1);
}

#[test]
fn only_get_of_the_page_is_served_and_only_where_it_is_asked_for() {
    let node = start(&Disk::new());
    let address = node.metrics_address().unwrap();
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "404"),
        ("POST /metrics HTTP/1.1\r\n\r\n", "405"),
        ("\u{80}\r\n\r\n", "400"),
    ] {
        let (head, _) = ask(address, request);
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {head}");
    }
    let endless = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(16 * 1024));
    let (head, _) = ask(address, &endless);
    assert!(head.starts_with("HTTP/1.1 431 "), "{head}");
    let silent = crate::support::start_in_memory(&Disk::new(), options());
    assert_eq!(silent.metrics_address(), None);
}

#[test]
fn a_request_may_come_in_pieces_and_its_side_may_be_closed() {
    let node = start(&Disk::new());
    let mut stream = TcpStream::connect(node.metrics_address().unwrap()).unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in b"GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n" {
        stream.write_all(&[*byte]).unwrap();
    }
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    assert!(answer.contains("\nkvnode_connections "), "{answer}");
}

#[test]
fn the_page_comes_in_the_format_that_was_asked_for_and_head_has_no_body() {
    let node = start(&Disk::new());
    let address = node.metrics_address().unwrap();
    for accept in ["", "Accept: */*\r\n", "Accept: text/plain;version=0.0.4\r\n"] {
        let (head, body) = ask(address, &format!("GET /metrics HTTP/1.1\r\n{accept}\r\n"));
        assert!(head.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
        assert!(body.contains("\n# TYPE kvnode_sets_total counter\n"), "{body}");
        assert!(!body.contains("# EOF"), "{body}");
    }
    for path in ["/metrics", "/none"] {
        let (get, body) = ask(address, &format!("GET {path} HTTP/1.1\r\n\r\n"));
        let (head, nothing) = ask(address, &format!("HEAD {path} HTTP/1.1\r\n\r\n"));
        let status = |head: &str| head.lines().next().unwrap().to_owned();
        assert_eq!((status(&head), nothing.as_str()), (status(&get), ""), "{body}");
        assert!(head.contains("Content-Length: "), "{head}");
    }
}

#[test]
fn what_every_exporter_has_and_a_histogram_of_commits_is_on_the_page() {
    let node = start(&Disk::new());
    let mut client = Client::ready(&node);
    client.set(0, "a", "x");
    let page = page(node.metrics_address().unwrap());
    assert!(page.contains(concat!(
        "\nkvnode_build_info{version=\"",
        env!("CARGO_PKG_VERSION"),
        "\"} 1\n"
    )));
    for name in ["process_cpu_seconds_total", "process_open_fds", "process_start_time_seconds"] {
        assert!(page.contains(&format!("\n{name} ")), "{name}: {page}");
    }
    let commits = sample(&page, "kvnode_commits_total{bucket=\"default\"}");
    let of = "bucket=\"default\"";
    assert_eq!(sample(&page, &format!("kvnode_commit_seconds_count{{{of}}}")), commits);
    let last = format!("kvnode_commit_seconds_bucket{{le=\"+Inf\",{of}}}");
    assert_eq!(sample(&page, &last), commits);
}
