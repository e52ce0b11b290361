//! Answers on their way out, in order. Those of durable changes wait for their commit together: the
//! changes of one read of the socket share a batch, and are answered with one write.

use std::ops::Range;

use bytes::BytesMut;
use mcbp::{FrameBuilder, Header, Status};

use crate::bucket::Ticket;

/// An answer that holds only once its ticket is redeemed.
struct Promise {
    ticket: Ticket,
    /// Where it stands in `out`; empty for a quiet success.
    range: Range<usize>,
    request: Header,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Replies {
    out: BytesMut,
    promises: Vec<Promise>,
}

impl Replies {
    /// Adds an answer that holds already.
    pub(crate) fn send(&mut self, frame: &FrameBuilder<'_>) {
        frame.write(&mut self.out);
    }

    /// Adds the answer to `request` that holds once `ticket` is redeemed; `None` for silence then.
    pub(crate) fn promise(
        &mut self,
        request: &Header,
        ticket: Ticket,
        frame: Option<&FrameBuilder<'_>>,
    ) {
        let start = self.out.len();
        if let Some(frame) = frame {
            frame.write(&mut self.out);
        }
        let range = start..self.out.len();
        self.promises.push(Promise { ticket, range, request: *request });
    }

    /// How many bytes are waiting.
    pub(crate) fn bytes(&self) -> usize {
        self.out.len()
    }

    /// Waits for all commits and gives the bytes to write; failures replace their answers.
    pub(crate) async fn settle(&mut self) -> BytesMut {
        let promises = std::mem::take(&mut self.promises);
        let mut failed = Vec::new();
        let mut last: Option<(Ticket, bool)> = None;
        for Promise { ticket, range, request } in promises {
            let known = last.as_ref().filter(|(same, _)| same.is_same(&ticket));
            let good = match known {
                Some((_, good)) => *good,
                None => ticket.wait().await.is_ok(),
            };
            last = Some((ticket, good));
            if !good {
                failed.push((range, request));
            }
        }
        let out = self.out.split();
        if failed.is_empty() { out } else { without(&out, &failed) }
    }
}

/// `out` with a temporary failure in the place of each answer in `failed`.
fn without(out: &[u8], failed: &[(Range<usize>, Header)]) -> BytesMut {
    let mut patched = BytesMut::with_capacity(out.len());
    let mut from = 0;
    for (range, request) in failed {
        patched.extend_from_slice(out.get(from..range.start).unwrap_or(&[]));
        let answer = FrameBuilder::response(request.opcode, Status::ETMPFAIL);
        answer.opaque(request.opaque).write(&mut patched);
        from = range.end;
    }
    patched.extend_from_slice(out.get(from..).unwrap_or(&[]));
    patched
}
