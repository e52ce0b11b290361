//! Sends many requests over one connection without waiting for each response, up to a window.

use std::time::Duration;

use bytes::BytesMut;
use invariant::{Broken, broken};
use mcbp::{Frame, Header, Opaque, Opcode};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::exchange::Exchange;
use crate::response::answering;
use crate::{BoxWrite, ConnectionStep, Fault};

/// How many bytes a pipeline collects before it writes: one system call for some hundred small
/// requests.
const PIPELINE_WRITE_BYTES: usize = 64 * 1024;

/// The channel from writer to reader is the window: a permit is acquired before a request is built,
/// and released when the reader begins to wait for the response.
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
        let mut step = ConnectionStep::Relay;
        let mut more = true;
        while more {
            let permit = match sent.try_reserve() {
                Ok(permit) if out.len() < PIPELINE_WRITE_BYTES => permit,
                // The window or the buffer is full: write what is collected before waiting.
                _ => {
                    write_out(writer, &mut out, step, after).await?;
                    let Ok(permit) = sent.reserve().await else { break };
                    permit
                }
            };
            let start = out.len();
            more = next(opaque, &mut out);
            if more {
                step = ConnectionStep::Request(appended(&out, start)?);
                permit.send((step, opaque));
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
    step: ConnectionStep,
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
