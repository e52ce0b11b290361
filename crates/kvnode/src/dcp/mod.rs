//! DCP: what becomes of a connection once it has sent DCP_OPEN.
//!
//! The rules are in `vbucket::producer` and `vbucket::consumer`; here are their shells.
//!
//! - `open`: what DCP_OPEN may ask for; `registry`: one connection of each name; `claims`: one
//!   stream towards each vBucket
//! - `producer`, `consumer`: a task for each connection; `wire`: its socket
//! - `access`, `wakeups`: vBuckets as the machines see them; `backfill`: reads of the disk
//! - `stats`: STAT dcp and dcp-vbtakeover

mod access;
mod backfill;
mod claims;
mod consumer;
mod open;
mod producer;
mod registry;
mod stats;
mod wakeups;
mod wire;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use log::info;
use mcbp::{Frame, FrameBuilder, Status};
use vbucket::consumer::Consumer;
use vbucket::producer::Producer;

use crate::session::DcpHandover;
use access::Access;
pub(crate) use open::Opening;
use open::Role;
pub(crate) use registry::Registry;
use registry::{Machine, window_bytes};
pub(crate) use stats::{Totals, stats, takeover_stats};
use wire::Wire;

/// Serves a connection from its DCP_OPEN, which [`Opening::check`] has let pass, to its end.
pub(crate) async fn serve(handover: DcpHandover) {
    let DcpHandover { stream, buffer, open, bucket, features, user, peer, shutdown } = handover;
    let Ok(frame) = Frame::parse(&open) else { return };
    let Ok(Opening { name, role }) = Opening::check(&frame, features) else { return };
    bucket.dcp().displace(&name).await;
    let opened = Duration::ZERO;
    let (machine, side) = match &role {
        Role::Producer(options) => {
            let machine = Producer::new(*options, opened);
            (Machine::Producer(Arc::new(Mutex::new(machine))), "producer")
        }
        Role::Consumer(options) => {
            let consumers = *bucket.dcp().consumers().borrow() + 1;
            let window_bytes = window_bytes(bucket.options().quota_bytes, consumers);
            let options = vbucket::consumer::ConsumerOptions { window_bytes, ..*options };
            (Machine::Consumer(Arc::new(Mutex::new(Consumer::new(options, opened)))), "consumer")
        }
    };
    info!("dcp connection opened connection={name} side={side} peer={peer} user={user}");
    let connection = bucket.dcp().enter(&name, user, machine.clone());
    let displaced = connection.displaced().clone();
    let mut wire = Wire::new(name.clone(), stream, buffer, shutdown, displaced);
    let answer = FrameBuilder::response(frame.opcode(), Status::SUCCESS);
    answer.opaque(frame.header.opaque).write(&mut wire.out);
    let access = Access(Arc::clone(&bucket));
    match machine {
        Machine::Producer(machine) => producer::Session::new(wire, access, machine).run().await,
        Machine::Consumer(machine) => consumer::Session::new(wire, access, machine).run().await,
    }
    bucket.dcp().leave(&name, &connection);
}
