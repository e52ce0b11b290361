//! A name server that the test plays: SRV records of one name, over UDP and TCP on one port.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

/// The longest answer over UDP.
const DATAGRAM_BYTES_MAX: usize = 512;
// Flags: the message is an answer, it has no room for the records, there is no such name.
const QR: u16 = 0x8000;
const TC: u16 = 0x0200;
const NXDOMAIN: u16 = 3;

/// See the module. It is gone when it is dropped.
pub struct NameServer {
    address: SocketAddr,
    known: Arc<Mutex<Known>>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Known {
    name: String,
    /// Priority, port and target.
    records: Vec<(u16, u16, &'static str)>,
    answers_over_tcp: usize,
}

impl NameServer {
    /// Starts one that knows nothing.
    pub async fn start() -> Self {
        // A port that is free with both protocols.
        let (udp, tcp) = super::until("a port", async || {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let tcp = TcpListener::bind(udp.local_addr().unwrap()).await.ok()?;
            Some((udp, tcp))
        })
        .await;
        let (address, known) = (tcp.local_addr().unwrap(), Arc::new(Mutex::new(Known::default())));
        let mut tasks = JoinSet::new();
        tasks.spawn(over_udp(udp, Arc::clone(&known)));
        tasks.spawn(over_tcp(tcp, Arc::clone(&known)));
        Self { address, known, _tasks: tasks }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on these are the records of `name`: priority, port and target.
    pub fn set(&self, name: &str, records: &[(u16, u16, &'static str)]) {
        let mut known = self.known.lock().unwrap();
        (known.name, known.records) = (name.to_owned(), records.to_vec());
    }

    pub fn answers_over_tcp(&self) -> usize {
        self.known.lock().unwrap().answers_over_tcp
    }
}

async fn over_udp(socket: UdpSocket, known: Arc<Mutex<Known>>) {
    let mut query = [0; DATAGRAM_BYTES_MAX];
    loop {
        let (length, client) = socket.recv_from(&mut query).await.unwrap();
        let answer = known.lock().unwrap().answer(&query[..length], DATAGRAM_BYTES_MAX);
        socket.send_to(&answer, client).await.unwrap();
    }
}

async fn over_tcp(listener: TcpListener, known: Arc<Mutex<Known>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        // A client that goes away is of no interest.
        if answer_one(stream, &known).await.is_ok() {
            known.lock().unwrap().answers_over_tcp += 1;
        }
    }
}

async fn answer_one(mut stream: TcpStream, known: &Mutex<Known>) -> io::Result<()> {
    let length = stream.read_u16().await?;
    let mut query = vec![0; usize::from(length)];
    stream.read_exact(&mut query).await?;
    let answer = known.lock().unwrap().answer(&query, usize::from(u16::MAX));
    stream.write_u16(u16::try_from(answer.len()).unwrap()).await?;
    stream.write_all(&answer).await
}

impl Known {
    /// The answer to a query of one question, of `max` bytes at most.
    fn answer(&self, query: &[u8], max: usize) -> Vec<u8> {
        let question = &query[12..];
        let asked = encoded(&self.name);
        let is_known = *question == [&asked[..], &[0, 33, 0, 1]].concat();
        let records: Vec<_> = self.records.iter().filter(|_| is_known).map(record).collect();
        let length = query.len() + records.iter().map(Vec::len).sum::<usize>();
        let (flags, records) = match (is_known, length > max) {
            (false, _) => (QR | NXDOMAIN, Vec::new()),
            (true, true) => (QR | TC, Vec::new()),
            (true, false) => (QR, records),
        };
        let count = u16::try_from(records.len()).unwrap();
        let counts = [flags, 1, count, 0, 0].map(u16::to_be_bytes).concat();
        [&query[..2], &counts, question, &records.concat()].concat()
    }
}

/// A record of the name in the question, for 30 s.
fn record(&(priority, port, target): &(u16, u16, &str)) -> Vec<u8> {
    let target = encoded(target);
    let length = u16::try_from(6 + target.len()).unwrap();
    let numbers = [0xc00c, 33, 1, 0, 30, length, priority, 1, port].map(u16::to_be_bytes);
    [numbers.concat(), target].concat()
}

fn encoded(name: &str) -> Vec<u8> {
    let labels = name.split('.').map(|label| {
        let length = u8::try_from(label.len()).unwrap();
        [&[length], label.as_bytes()].concat()
    });
    labels.chain([vec![0]]).flatten().collect()
}
