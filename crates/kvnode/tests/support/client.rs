//! A client that speaks frames, and waits 20 s at most for an answer.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use kvnode::NodeHandle;
use mcbp::kv::{StoreExtras, with_meta_options};
use mcbp::{
    Datatype, Feature, Frame, FrameBuilder, HEADER_BYTES, Header, Opaque, Opcode, Status, VbId,
};

use super::{BUCKET, DEADLINE, PASSWORD, USER};

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    pub opcode: Opcode,
    pub status: Status,
    pub opaque: Opaque,
    pub cas: u64,
    pub datatype: Datatype,
    pub framing: Vec<u8>,
    pub extras: Vec<u8>,
    pub key: Vec<u8>,
    pub value: Vec<u8>,
}

pub struct Client {
    stream: TcpStream,
}

impl Client {
    /// A connection that has sent nothing yet.
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    /// A connection that is authenticated, and has selected the bucket once warm-up has ended.
    pub fn ready(node: &NodeHandle) -> Self {
        let bucket = node.bucket(BUCKET).unwrap();
        super::eventually("warm-up", || bucket.is_ready());
        let mut client = Self::connect(node.address());
        assert_eq!(client.authenticate(USER, PASSWORD).status, Status::SUCCESS);
        assert_eq!(client.select(BUCKET).status, Status::SUCCESS);
        client
    }

    /// The same with features.
    pub fn with_features(node: &NodeHandle, features: &[Feature]) -> Self {
        let mut client = Self::ready(node);
        let mut sorted = features.to_vec();
        sorted.sort_by_key(|feature| feature.0);
        assert_eq!(client.hello(features), sorted);
        client
    }

    /// The connection once more, to read while something is sent.
    pub fn stream(&self) -> TcpStream {
        self.stream.try_clone().unwrap()
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub fn send(&mut self, frame: &FrameBuilder<'_>) {
        self.send_bytes(&frame.build());
    }

    pub fn receive(&mut self) -> Answer {
        self.try_receive().expect("an answer, not the end of the connection")
    }

    /// The next answer, or `None` at the end of the connection.
    pub fn try_receive(&mut self) -> Option<Answer> {
        let mut bytes = vec![0; HEADER_BYTES];
        if let Err(error) = self.stream.read_exact(&mut bytes) {
            let gone = [std::io::ErrorKind::UnexpectedEof, std::io::ErrorKind::ConnectionReset];
            assert!(gone.contains(&error.kind()), "{error}");
            return None;
        }
        let header = Header::peek(&bytes).unwrap().unwrap();
        bytes.resize(header.frame_bytes(), 0);
        self.stream.read_exact(&mut bytes[HEADER_BYTES..]).unwrap();
        let frame = Frame::parse(&bytes).unwrap();
        Some(Answer {
            opcode: header.opcode,
            status: header.status(),
            opaque: header.opaque,
            cas: header.cas,
            datatype: header.datatype,
            framing: frame.framing.to_vec(),
            extras: frame.extras.to_vec(),
            key: frame.key.to_vec(),
            value: frame.value.to_vec(),
        })
    }

    pub fn call(&mut self, frame: &FrameBuilder<'_>) -> Answer {
        self.send(frame);
        self.receive()
    }

    pub fn authenticate(&mut self, user: &str, password: &str) -> Answer {
        let value = format!("\0{user}\0{password}");
        let frame = FrameBuilder::request(Opcode::SASL_AUTH).key(b"PLAIN");
        self.call(&frame.value(value.as_bytes()))
    }

    pub fn select(&mut self, bucket: &str) -> Answer {
        self.call(&FrameBuilder::request(Opcode::SELECT_BUCKET).key(bucket.as_bytes()))
    }

    pub fn hello(&mut self, features: &[Feature]) -> Vec<Feature> {
        let list: Vec<u8> = features.iter().flat_map(|f| f.0.to_be_bytes()).collect();
        let answer = self.call(&FrameBuilder::request(Opcode::HELLO).key(b"test").value(&list));
        assert_eq!(answer.status, Status::SUCCESS);
        answer.value.chunks(2).map(|pair| Feature(u16::from_be_bytes([pair[0], pair[1]]))).collect()
    }

    pub fn get(&mut self, vb: u16, key: &str) -> Answer {
        self.call(&FrameBuilder::request(Opcode::GET).vbucket(VbId(vb)).key(key.as_bytes()))
    }

    pub fn set(&mut self, vb: u16, key: &str, value: &str) -> Answer {
        self.set_with(vb, key, value, StoreExtras::default(), 0)
    }

    pub fn set_with(
        &mut self,
        vb: u16,
        key: &str,
        value: &str,
        extras: StoreExtras,
        cas: u64,
    ) -> Answer {
        self.call(&set(Opcode::SET, vb, key, value, &extras.encode()).cas(cas))
    }

    /// Stores a value with extended attributes, which SET does not take.
    pub fn set_with_attributes(
        &mut self,
        vb: u16,
        key: &str,
        value: &[u8],
        datatype: Datatype,
        expiry: u32,
    ) -> Answer {
        let (flags, rev, cas) = (0_u32.to_be_bytes(), 1_u64.to_be_bytes(), 1_u64.to_be_bytes());
        let options = with_meta_options::SKIP_CONFLICT_RESOLUTION.to_be_bytes();
        let extras = [&flags[..], &expiry.to_be_bytes(), &rev, &cas, &options].concat();
        let frame = FrameBuilder::request(Opcode::SET_WITH_META).vbucket(VbId(vb));
        let frame = frame.extras(&extras).key(key.as_bytes()).value(value);
        self.call(&frame.datatype(datatype))
    }

    pub fn delete(&mut self, vb: u16, key: &str) -> Answer {
        self.call(&FrameBuilder::request(Opcode::DELETE).vbucket(VbId(vb)).key(key.as_bytes()))
    }

    pub fn set_vbucket(&mut self, vb: u16, state: u8) -> Answer {
        let frame = FrameBuilder::request(Opcode::SET_VBUCKET).vbucket(VbId(vb));
        self.call(&frame.extras(&[state]))
    }

    /// A group of statistics, or the error status.
    pub fn stat(&mut self, group: &str) -> Result<BTreeMap<String, String>, Status> {
        self.send(&FrameBuilder::request(Opcode::STAT).key(group.as_bytes()));
        let mut lines = BTreeMap::new();
        loop {
            let answer = self.receive();
            if answer.status != Status::SUCCESS {
                return Err(answer.status);
            }
            if answer.key.is_empty() {
                return Ok(lines);
            }
            let name = String::from_utf8(answer.key).unwrap();
            lines.insert(name, String::from_utf8(answer.value).unwrap());
        }
    }
}

/// A frame that stores.
pub fn set<'a>(
    opcode: Opcode,
    vb: u16,
    key: &'a str,
    value: &'a str,
    extras: &'a [u8; 8],
) -> FrameBuilder<'a> {
    let frame = FrameBuilder::request(opcode).vbucket(VbId(vb)).extras(extras);
    frame.key(key.as_bytes()).value(value.as_bytes())
}
