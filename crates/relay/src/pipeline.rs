//! Many requests over one connection: writes ahead of the responses, up to a window.

use std::time::Duration;

use bytes::BytesMut;
use invariant::{Broken, broken};
use mcbp::{Frame, Header, Opaque, Opcode};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::exchange::Exchange;
use crate::response::answering;
use crate::{BoxWrite, Fault, Step};

/// How much a pipeline collects before it writes: a system call for some hundred small requests.
const PIPELINE_WRITE_BYTES: usize = 64 * 1024;

/// The channel between the two halves is the window: a slot is taken before a request is built
/// and given back when the reader turns to its response.
pub(crate) async fn pipeline(
    exchange: &mut Exchange,
    window: usize,
    mut next: impl FnMut(Opaque, &mut BytesMut) -> bool,
    mut each: impl FnMut(u64, &Frame<'_>),
) -> Result<u64, Fault> {
    let after = exchange.deadline();
    let mut opaque = exchange.next_opaque();
    let (sent, mut expected) = mpsc::channel(window.max(1));
    let Exchange { frames, writer, .. } = exchange;

    let write = async move {
        let mut out = BytesMut::with_capacity(PIPELINE_WRITE_BYTES);
        let mut step = Step::Relay;
        let mut more = true;
        while more {
            let slot = match sent.try_reserve() {
                Ok(slot) if out.len() < PIPELINE_WRITE_BYTES => slot,
                // Full window or full buffer: what is there goes out before anything is waited for.
                _ => {
                    write_out(writer, &mut out, step, after).await?;
                    let Ok(slot) = sent.reserve().await else { break };
                    slot
                }
            };
            let start = out.len();
            more = next(opaque, &mut out);
            if more {
                step = Step::Request(appended(&out, start)?);
                slot.send((step, opaque));
                opaque = Opaque(opaque.0.wrapping_add(1));
            }
        }
        write_out(writer, &mut out, step, after).await?;
        Ok::<_, Fault>(opaque)
    };
    let read = async {
        let mut count = 0;
        while let Some((step, opaque)) = expected.recv().await {
            let response = timeout(after, frames.next(step)).await;
            let response = response.unwrap_or(Err(Fault::TimedOut { step, after }))?;
            each(count, &answering(&response, step, opaque)?);
            count += 1;
        }
        Ok::<_, Fault>(count)
    };
    let (opaque, count) = tokio::try_join!(write, read)?;
    exchange.skip_to(opaque);
    Ok(count)
}

/// The opcode of the request that was appended to `out` at `start`.
fn appended(out: &[u8], start: usize) -> Result<Opcode, Broken> {
    let header = out.get(start..).map(Header::peek);
    let Some(Ok(Some(header))) = header else {
        return Err(broken!("no request was appended at {start} of {} bytes", out.len()));
    };
    Ok(header.opcode)
}

async fn write_out(
    writer: &mut BoxWrite,
    out: &mut BytesMut,
    step: Step,
    after: Duration,
) -> Result<(), Fault> {
    let written = timeout(after, async {
        writer.write_all(out).await?;
        writer.flush().await
    });
    let written = written.await.map_err(|_| Fault::TimedOut { step, after })?;
    out.clear();
    written.map_err(|source| Fault::Broken { step, source })
}
