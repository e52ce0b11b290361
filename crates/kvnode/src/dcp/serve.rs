//! A DCP connection from its answered DCP_OPEN to its end.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use log::info;
use logline::value;
use mcbp::{FrameBuilder, Opcode, Status};
use vbucket::consumer::{Consumer, ConsumerOptions};
use vbucket::producer::Producer;

use super::access::Access;
use super::consumer::ConsumerSide;
use super::inbox::Inbox;
use super::open::{DcpOpen, Role};
use super::ordinary::{Ordinary, Requests};
use super::producer::ProducerSide;
use super::registry::{Machine, window_bytes};
use super::session::Session;
use super::wire::Wire;
use crate::account::Account;
use crate::admission::Seat;
use crate::clock::unix_now;
use crate::tls::Socket;

/// A connection that has sent DCP_OPEN, on its way from its session to [`serve`].
pub(crate) struct Handover {
    /// The socket; the answer to `open` is all that is owed to the peer.
    pub(crate) stream: Socket,
    /// What was read after `open`.
    pub(crate) buffer: BytesMut,
    /// The DCP_OPEN, not answered yet.
    pub(crate) open: DcpOpen,
    /// The peer, for the log.
    pub(crate) peer: SocketAddr,
    /// The memory of large frames.
    pub(crate) account: Arc<Account>,
    /// Lost when the node stops or the user's login ends.
    pub(crate) seat: Arc<Seat>,
    /// Executes what is not DCP's.
    pub(crate) requests: Box<dyn Requests>,
}

/// Answers the DCP_OPEN and serves the connection to its end.
pub(crate) async fn serve(handover: Handover) {
    let Handover { stream, buffer, open, peer, account, seat, requests } = handover;
    let DcpOpen { name, role, opaque, user, served } = open;
    let connections = &served.connections;
    connections.displace(&name).await;
    let opened = Duration::ZERO;
    let (machine, side) = match role {
        Role::Producer(options) => {
            let machine = Producer::new(options, opened);
            (Machine::Producer(Arc::new(Mutex::new(machine))), "producer")
        }
        Role::Consumer { collections, json, name } => {
            let consumers = *connections.consumers().borrow() + 1;
            let window_bytes = window_bytes(served.bucket.options().quota_bytes, consumers);
            let options = ConsumerOptions { collections, json, window_bytes };
            let drift = served.bucket.options().drift;
            let mut machine = Consumer::new(options, opened).with_clock(unix_now(), drift);
            if let Some(name) = name {
                machine = machine.with_name(&name);
            }
            (Machine::Consumer(Arc::new(Mutex::new(machine))), "consumer")
        }
    };
    let (shown, login) = (value(&name), value(&user));
    info!("dcp connection opened connection={shown} side={side} peer={peer} user={login}");
    let connection = connections.enter(&name, user, machine.clone());
    let displaced = connection.displaced().clone();
    let inbox = Inbox::new(account);
    let mut wire = Wire::new(name.clone(), stream, buffer, inbox, seat, displaced);
    let answer = FrameBuilder::response(Opcode::DCP_OPEN, Status::SUCCESS);
    answer.opaque(opaque).write(&mut wire.out);
    let access = Access::new(Arc::clone(&served));
    let ordinary = Ordinary::new(requests);
    match machine {
        Machine::Producer(machine) => {
            Session::new(wire, ProducerSide::new(access), machine, ordinary).run().await;
        }
        Machine::Consumer(machine) => {
            let side = ConsumerSide::new(&name, access);
            Session::new(wire, side, machine, ordinary).run().await;
        }
    }
    connections.leave(&name, &connection);
}
