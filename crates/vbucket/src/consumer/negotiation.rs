//! What a consumer negotiates with its producer before the first STREAM_REQ, in kv_engine's order.
//!
//! It begins with the first ADD_STREAM: GET_ERROR_MAP, then one control at a time.
//!
//! Durable writes need the name that topologies give this node, which the proxy says in DCP_OPEN:
//! without one they are not asked for. If the producer sends such frames nevertheless, `frames`
//! refuses them.

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

/// The result of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answered {
    /// No request with this opaque is unanswered.
    NotMine,
    /// The negotiation continues.
    Next,
    /// The connection cannot be used; holds the reason.
    Fatal(&'static str),
}

/// How far the negotiation is.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Stage {
    /// Nothing was sent.
    Silent,
    /// GET_ERROR_MAP with this opaque is unanswered.
    ErrorMap(Opaque),
    /// Controls are being sent.
    Controls,
}

/// The negotiation of one connection.
#[derive(Clone, Debug)]
pub(super) struct Negotiation {
    stage: Stage,
    queue: VecDeque<Wish>,
    waiting: Option<(Opaque, Wish)>,
    /// Every control was answered.
    done: bool,
    /// The noop interval was refused once.
    interval_refused: bool,
    v7_status_codes: bool,
    sync_writes: bool,
}

impl Negotiation {
    /// `window_bytes` for `connection_buffer_size`, `name` for durable writes.
    pub(super) fn new(window_bytes: u32, name: Option<&str>) -> Self {
        let mut queue = VecDeque::new();
        let mut add = |key, value: &str| queue.push_back(Wish { key, value: value.to_owned() });
        add(key::ENABLE_NOOP, "true");
        add(key::SET_NOOP_INTERVAL, "0.100000");
        add(key::SET_PRIORITY, "high");
        add(key::SUPPORTS_CURSOR_DROPPING, "true");
        add(key::SUPPORTS_HIFI_MFU, "true");
        add(key::SEND_STREAM_END_ON_CLIENT_CLOSE, "true");
        add(key::ENABLE_EXPIRY_OPCODE, "true");
        if let Some(name) = name {
            add(key::ENABLE_SYNC_WRITES, "true");
            add(key::CONSUMER_NAME, name);
        }
        add(key::INCLUDE_DELETED_USER_XATTRS, "true");
        add(key::V7_STATUS_CODES, "true");
        add(key::FLATBUFFERS_SYSTEM_EVENTS, "true");
        add(key::CHANGE_STREAMS, "true");
        add(key::MAX_MARKER_VERSION, "2.2");
        add(key::CONNECTION_BUFFER_SIZE, &window_bytes.to_string());
        Self {
            stage: Stage::Silent,
            queue,
            waiting: None,
            done: false,
            interval_refused: false,
            v7_status_codes: false,
            sync_writes: false,
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

    /// Whether the producer sends PREPARE, COMMIT and ABORT.
    pub(super) const fn has_sync_writes(&self) -> bool {
        self.sync_writes
    }

    /// Begins the negotiation, if it has not begun.
    pub(super) fn start(&mut self, counter: &mut Counter, out: &mut BytesMut) {
        if self.stage == Stage::Silent {
            let opaque = counter.next_opaque();
            let frame = FrameBuilder::request(Opcode::GET_ERROR_MAP).opaque(opaque);
            frame.value(&[0, 0]).write(out);
            self.stage = Stage::ErrorMap(opaque);
        }
    }

    /// Queues the control that changes the window, and sends it if no control is unanswered.
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
    ) -> Answered {
        if self.stage == Stage::ErrorMap(opaque) {
            if status == Status::UNKNOWN_COMMAND {
                return Answered::Fatal("the producer does not know GET_ERROR_MAP");
            }
            self.stage = Stage::Controls;
        } else if let Some((_, wish)) = self.waiting.take_if(|(sent, _)| *sent == opaque) {
            if let Some(reason) = self.apply_answer(&wish, status) {
                return Answered::Fatal(reason);
            }
        } else {
            return Answered::NotMine;
        }
        self.send_next(counter, out);
        Answered::Next
    }

    /// Applies the answer to a control. Returns a reason if the connection cannot be used.
    fn apply_answer(&mut self, wish: &Wish, status: Status) -> Option<&'static str> {
        match wish.key {
            key::V7_STATUS_CODES => self.v7_status_codes = status.is_success(), // MB-40934
            key::ENABLE_SYNC_WRITES => self.sync_writes = status.is_success(),
            key::SET_NOOP_INTERVAL if !status.is_success() => {
                if std::mem::replace(&mut self.interval_refused, true) {
                    return Some("the producer refused the noop interval twice");
                }
                // Older producers accept whole seconds only.
                let value = "1".to_owned();
                self.queue.push_back(Wish { key: key::SET_NOOP_INTERVAL, value });
            }
            // Without an agreed window the two sides would count differently (MB-72330).
            key::CONNECTION_BUFFER_SIZE if !status.is_success() => {
                return Some("the producer refused the flow-control window");
            }
            _ => {}
        }
        None
    }

    fn send_next(&mut self, counter: &mut Counter, out: &mut BytesMut) {
        if self.stage != Stage::Controls || self.waiting.is_some() {
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
