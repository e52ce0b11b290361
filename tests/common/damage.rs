//! A wire that changes bytes: between a data node and whoever connects to it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

/// What is left to change: each text once, into one of the same length.
type Changes = Arc<Mutex<Vec<(Vec<u8>, Vec<u8>)>>>;

/// Accepts connections and passes them on to a node. In what the node sends, the first occurrence
/// of each text is replaced by another one, and later ones pass as they are.
pub struct Damaging {
    address: SocketAddr,
    left: Changes,
    _task: AbortOnDropHandle<()>,
}

impl Damaging {
    pub async fn start(node: SocketAddr, changes: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let bytes = |(from, to): &(&str, &str)| {
            assert_eq!(from.len(), to.len());
            (from.as_bytes().to_vec(), to.as_bytes().to_vec())
        };
        let left: Changes = Arc::new(Mutex::new(changes.iter().map(bytes).collect()));
        let changes = Arc::clone(&left);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(node) = TcpStream::connect(node).await else { continue };
                tokio::spawn(pass_on(client, node, Arc::clone(&changes)));
            }
        });
        Self { address, left, _task: AbortOnDropHandle::new(task) }
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether every text was replaced.
    pub fn is_done(&self) -> bool {
        self.left.lock().unwrap().is_empty()
    }
}

async fn pass_on(client: TcpStream, node: TcpStream, changes: Changes) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_node, mut to_node) = node.into_split();
    let up = async {
        _ = copy(&mut from_client, &mut to_node).await;
        _ = to_node.shutdown().await;
    };
    let down = async {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from_node.read(&mut bytes).await {
            damage(&mut bytes[..count], &changes);
            if to_client.write_all(&bytes[..count]).await.is_err() {
                return;
            }
        }
        _ = to_client.shutdown().await;
    };
    tokio::join!(up, down);
}

/// A text that is split over two reads is missed; it is short, and comes alone.
fn damage(bytes: &mut [u8], changes: &Changes) {
    changes.lock().unwrap().retain(|(from, to)| {
        let found = bytes.windows(from.len()).position(|window| window == from);
        if let Some(at) = found {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
        found.is_none()
    });
}
