//! The recorded nodes as servers: they greet whoever connects, hand DCP connections out, and answer
//! everything else as nodes without documents do.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use mcbp::dcp::Open;
use mcbp::{Feature, Frame, FrameBuilder, Opcode, Status};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::wire::Wire;

/// How long an answer may take to leave.
const WAIT: Duration = Duration::from_secs(10);
/// DCP connections that nobody has taken yet: a sidecar opens the next one after the last ended.
const WAITING_MAX: usize = 16;

/// A node that is played.
pub(crate) struct Host {
    /// Where it listens.
    pub(crate) address: String,
    dcp: mpsc::Receiver<Wire>,
}

impl Host {
    /// Listens on a free loopback port. `features` are those that it grants.
    pub(crate) async fn start(features: Vec<Feature>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let (found, dcp) = mpsc::channel(WAITING_MAX);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, features.clone(), found.clone()));
            }
        });
        Ok(Self { address, dcp })
    }

    /// The next DCP connection; `None` if there is none within `wait`.
    pub(crate) async fn next(&mut self, wait: Duration) -> Option<Wire> {
        tokio::time::timeout(wait, self.dcp.recv()).await.ok().flatten()
    }
}

async fn serve(stream: TcpStream, features: Vec<Feature>, found: mpsc::Sender<Wire>) {
    if relay::prepare_socket(&stream).is_err() {
        return;
    }
    let (reader, writer) = stream.into_split();
    let mut wire = Wire::new(Box::new(reader), Box::new(writer), b"");
    while let Ok(Some(bytes)) = wire.frame().await {
        let Ok(request) = Frame::parse(&bytes) else { return };
        if !request.header.is_request() {
            continue;
        }
        if wire.send(&answer(&request, &features), WAIT).await.is_err() {
            return;
        }
        if request.opcode() == Opcode::DCP_OPEN && Open::decode(&request).is_ok() {
            _ = found.send(wire).await;
            return;
        }
    }
}

fn answer(request: &Frame<'_>, features: &[Feature]) -> Bytes {
    let mut value = Vec::new();
    if request.opcode() == Opcode::HELLO {
        let mut granted = Feature::decode_list(request).unwrap_or_default();
        granted.retain(|feature| features.contains(feature));
        value = Feature::encode_list(&granted);
    }
    let answer = FrameBuilder::response(request.opcode(), Status::SUCCESS);
    answer.opaque(request.header.opaque).value(&value).build()
}
