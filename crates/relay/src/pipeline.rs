//! Many requests over one connection: writes ahead of the responses, up to a window.

use std::time::Duration;

use bytes::BytesMut;
use mcbp::{Frame, Opaque};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::exchange::{Exchange, answers, parse, step_of};
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
                step = step_of(out.get(start..).unwrap_or_default());
                slot.send((step, opaque));
                opaque = Opaque(opaque.0.wrapping_add(1));
            }
        }
        write_out(writer, &mut out, step, after).await?;
        Ok(opaque)
    };
    let read = async {
        let mut count = 0;
        while let Some((step, opaque)) = expected.recv().await {
            let response = timeout(after, frames.next(step)).await;
            let response = response.unwrap_or(Err(Fault::TimedOut { step, after }))?;
            answers(&response, step, opaque)?;
            each(count, &parse(&response, step)?);
            count += 1;
        }
        Ok(count)
    };
    let (opaque, count) = tokio::try_join!(write, read)?;
    exchange.skip_to(opaque);
    Ok(count)
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
