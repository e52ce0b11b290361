//! What a consumer settles with its producer before the first STREAM_REQ, in kv_engine's order.
//!
//! Silent until the first ADD_STREAM; then GET_ERROR_MAP, then one control at a time.
//!
//! What this node does not store is not asked for: `enable_sync_writes` and `consumer_name` (no
//! durable writes), `flatbuffers_system_events` (no collections), `change_streams` (no history of a
//! document). A producer that sends such a thing all the same is refused by `frames`.

use std::collections::VecDeque;

use bytes::BytesMut;
use mcbp::dcp::{Control, control_key as key};
use mcbp::{FrameBuilder, Opaque, Opcode, Status};

use super::counter::Counter;

/// One control that is to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Wish {
    key: &'static str,
    value: String,
}

/// What an answer came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// Not an answer that was waited for.
    NotMine,
    /// Go on.
    Next,
    /// The connection is of no use: the reason.
    Fatal(&'static str),
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Phase {
    Silent,
    ErrorMap(Opaque),
    Controls,
}

/// The negotiation of one connection.
#[derive(Clone, Debug)]
pub(super) struct Negotiation {
    phase: Phase,
    queue: VecDeque<Wish>,
    waiting: Option<(Opaque, Wish)>,
    /// Every control of the list was answered once.
    done: bool,
    /// The noop interval was refused once.
    interval_refused: bool,
    v7_status_codes: bool,
}

impl Negotiation {
    /// `window_bytes` for `connection_buffer_size`.
    pub(super) fn new(window_bytes: u32) -> Self {
        let mut queue = VecDeque::new();
        let mut add = |key, value: &str| queue.push_back(Wish { key, value: value.to_owned() });
        add(key::ENABLE_NOOP, "true");
        add(key::SET_NOOP_INTERVAL, "0.100000");
        add(key::SET_PRIORITY, "high");
        add(key::SUPPORTS_CURSOR_DROPPING, "true");
        add(key::SUPPORTS_HIFI_MFU, "true");
        add(key::SEND_STREAM_END_ON_CLIENT_CLOSE, "true");
        add(key::ENABLE_EXPIRY_OPCODE, "true");
        add(key::INCLUDE_DELETED_USER_XATTRS, "true");
        add(key::V7_STATUS_CODES, "true");
        add(key::MAX_MARKER_VERSION, "2.2");
        add(key::CONNECTION_BUFFER_SIZE, &window_bytes.to_string());
        Self {
            phase: Phase::Silent,
            queue,
            waiting: None,
            done: false,
            interval_refused: false,
            v7_status_codes: false,
        }
    }

    /// Whether streams may be asked for.
    pub(super) const fn is_done(&self) -> bool {
        self.done
    }

    /// Whether the producer knows the statuses 0x0a and 0x0b.
    pub(super) const fn has_v7_status_codes(&self) -> bool {
        self.v7_status_codes
    }

    /// Has the first stream been asked for: breaks the silence.
    pub(super) fn start(&mut self, counter: &mut Counter, out: &mut BytesMut) {
        if self.phase == Phase::Silent {
            let opaque = counter.next_opaque();
            let frame = FrameBuilder::request(Opcode::GET_ERROR_MAP).opaque(opaque);
            frame.value(&[0, 0]).write(out);
            self.phase = Phase::ErrorMap(opaque);
        }
    }

    /// Tells the producer of another window, now or as soon as its turn comes.
    pub(super) fn resize(&mut self, bytes: u32, counter: &mut Counter, out: &mut BytesMut) {
        let value = bytes.to_string();
        match self.queue.iter_mut().find(|wish| wish.key == key::CONNECTION_BUFFER_SIZE) {
            Some(wish) => wish.value = value,
            None => self.queue.push_back(Wish { key: key::CONNECTION_BUFFER_SIZE, value }),
        }
        self.send_next(counter, out);
    }

    /// Takes the answer to GET_ERROR_MAP or to a control.
    pub(super) fn on_answer(
        &mut self,
        opaque: Opaque,
        status: Status,
        counter: &mut Counter,
        out: &mut BytesMut,
    ) -> Outcome {
        if self.phase == Phase::ErrorMap(opaque) {
            if status == Status::UNKNOWN_COMMAND {
                return Outcome::Fatal("the producer does not know GET_ERROR_MAP");
            }
            self.phase = Phase::Controls;
        } else if let Some((_, wish)) = self.waiting.take_if(|(sent, _)| *sent == opaque) {
            if let Some(reason) = self.judge(&wish, status) {
                return Outcome::Fatal(reason);
            }
        } else {
            return Outcome::NotMine;
        }
        self.send_next(counter, out);
        Outcome::Next
    }

    /// What an answer means; a reason where the connection cannot go on.
    fn judge(&mut self, wish: &Wish, status: Status) -> Option<&'static str> {
        match wish.key {
            key::V7_STATUS_CODES => self.v7_status_codes = status.is_success(), // MB-40934
            key::SET_NOOP_INTERVAL if !status.is_success() => {
                if std::mem::replace(&mut self.interval_refused, true) {
                    return Some("the producer refused the noop interval twice");
                }
                // An older producer takes whole seconds only.
                let value = "1".to_owned();
                self.queue.push_back(Wish { key: key::SET_NOOP_INTERVAL, value });
            }
            // Without the window agreed both sides would count differently (MB-72330).
            key::CONNECTION_BUFFER_SIZE if !status.is_success() => {
                return Some("the producer refused the flow-control window");
            }
            _ => {}
        }
        None
    }

    fn send_next(&mut self, counter: &mut Counter, out: &mut BytesMut) {
        if self.phase != Phase::Controls || self.waiting.is_some() {
            return;
        }
        let Some(wish) = self.queue.pop_front() else {
            self.done = true;
            return;
        };
        let opaque = counter.next_opaque();
        let control = Control { key: wish.key.as_bytes(), value: wish.value.as_bytes() };
        control.write(opaque, out);
        self.waiting = Some((opaque, wish));
    }
}
