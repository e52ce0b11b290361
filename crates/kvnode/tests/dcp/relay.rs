//! A minimal replication proxy: connects a producer with a consumer, forwards every frame but the
//! answers to ADD_STREAM and CLOSE_STREAM, and shows what passes.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use mcbp::dcp::open_flags;
use mcbp::{FrameBuilder, Opaque, Opcode, Status, VbId};

use crate::client::{Client, DEADLINE, Packet};
use crate::node::TestNode;

/// What may be changed on the way.
pub(crate) type Meddle = Box<dyn FnMut(&Packet) -> Vec<Vec<u8>> + Send>;

pub(crate) struct Relay {
    to_consumer: TcpStream,
    to_producer: TcpStream,
    /// Answers that were withheld.
    answers: Receiver<Packet>,
    /// Frames of the producer that were passed on, but for its noops.
    pub(crate) from_producer: Receiver<Packet>,
    /// Frames of the consumer that were passed on.
    pub(crate) from_consumer: Receiver<Packet>,
    threads: Vec<JoinHandle<()>>,
}

impl Relay {
    pub(crate) fn between(producer: &TestNode, consumer: &TestNode, name: &str) -> Self {
        Self::meddling(producer, consumer, name, Box::new(|packet| vec![packet.0.clone()]))
    }

    pub(crate) fn meddling(
        producer: &TestNode,
        consumer: &TestNode,
        name: &str,
        meddle: Meddle,
    ) -> Self {
        Self::of(producer, consumer, (name, "beta"), meddle, Box::new(|p| vec![p.0.clone()]))
    }

    /// A link to the node that topologies call `node`, with what may be changed in both directions.
    pub(crate) fn of(
        producer: &TestNode,
        consumer: &TestNode,
        (name, node): (&str, &str),
        mut meddle: Meddle,
        mut answer: Meddle,
    ) -> Self {
        let mut to_c = consumer.client();
        let named = format!("{{\"consumer_name\": \"{node}\"}}");
        assert_eq!(to_c.open(name, open_flags::REPLICATION_CONSUMER, &named), Status::SUCCESS);
        let mut to_p = producer.client();
        assert_eq!(to_p.open(name, open_flags::REPLICATION_PRODUCER, ""), Status::SUCCESS);
        to_p.answers_noops = false;
        let copy = |client: &Client| client.stream.try_clone().unwrap();
        let (to_consumer, to_producer) = (copy(&to_c), copy(&to_p));
        let (answered, answers) = channel();
        let (p_seen, from_producer) = channel();
        let (c_seen, from_consumer) = channel();
        let answered_too = answered.clone();
        let (out_c, out_p) = (copy(&to_c), copy(&to_p));
        let threads = vec![
            std::thread::spawn(move || {
                pump(&mut to_p, &out_c, &answered, &p_seen, &mut *meddle);
            }),
            std::thread::spawn(move || {
                pump(&mut to_c, &out_p, &answered_too, &c_seen, &mut *answer);
            }),
        ];
        Self { to_consumer, to_producer, answers, from_producer, from_consumer, threads }
    }

    /// Sends an ADD_STREAM without waiting for its answer.
    pub(crate) fn add(&self, vb: u16, flags: u32) {
        let extras = flags.to_be_bytes();
        let request = FrameBuilder::request(Opcode::DCP_ADD_STREAM).vbucket(VbId(vb));
        let request = request.opaque(Opaque(0xadd0_0000 + u32::from(vb))).extras(&extras);
        (&self.to_consumer).write_all(&request.build()).unwrap();
    }

    /// The next answer that was withheld.
    #[track_caller]
    pub(crate) fn answer(&self) -> Packet {
        self.answers.recv_timeout(DEADLINE).expect("an answer in time")
    }

    /// Adds a stream and gives the status of the answer.
    #[track_caller]
    pub(crate) fn add_and_wait(&self, vb: u16, flags: u32) -> Status {
        self.add(vb, flags);
        let answer = self.answer();
        assert_eq!(answer.opaque(), 0xadd0_0000 + u32::from(vb));
        answer.status()
    }

    /// Closes a stream on the consumer and gives the status of the answer.
    pub(crate) fn close_on_consumer(&self, vb: u16) -> Status {
        self.close_on(&self.to_consumer, vb)
    }

    /// Closes a stream on the producer and gives the status of the answer.
    pub(crate) fn close_on_producer(&self, vb: u16) -> Status {
        self.close_on(&self.to_producer, vb)
    }

    fn close_on(&self, mut stream: &TcpStream, vb: u16) -> Status {
        let request = FrameBuilder::request(Opcode::DCP_CLOSE_STREAM).vbucket(VbId(vb));
        stream.write_all(&request.opaque(Opaque(0xc105_0000)).build()).unwrap();
        let answer = self.answer();
        assert_eq!(answer.opcode(), Opcode::DCP_CLOSE_STREAM);
        answer.status()
    }

    /// The next frame of the producer with this opcode.
    #[track_caller]
    pub(crate) fn wait_for(&self, opcode: Opcode) -> Packet {
        let until = Instant::now() + DEADLINE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let packet = self.from_producer.recv_timeout(left).expect("the frame in time");
            if packet.opcode() == opcode && packet.is_request() {
                return packet;
            }
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _gone = self.to_consumer.shutdown(std::net::Shutdown::Both);
        let _gone = self.to_producer.shutdown(std::net::Shutdown::Both);
        for thread in self.threads.drain(..) {
            let _failed = thread.join();
        }
    }
}

fn pump(
    from: &mut Client,
    mut to: &TcpStream,
    answered: &Sender<Packet>,
    seen: &Sender<Packet>,
    meddle: &mut dyn FnMut(&Packet) -> Vec<Vec<u8>>,
) {
    from.forwards_noops = true;
    while let Some(packet) = from.try_next() {
        let mine = [Opcode::DCP_ADD_STREAM, Opcode::DCP_CLOSE_STREAM];
        if !packet.is_request() && mine.contains(&packet.opcode()) {
            let _done = answered.send(packet);
            continue;
        }
        for bytes in meddle(&packet) {
            if to.write_all(&bytes).is_err() {
                return;
            }
        }
        if packet.opcode() != Opcode::DCP_NOOP {
            let _done = seen.send(packet);
        }
    }
    let _gone = to.shutdown(std::net::Shutdown::Both);
}
