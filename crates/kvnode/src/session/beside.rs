//! The commands of a connection that has become one of DCP: see `crate::dcp::Requests`.

use bytes::BytesMut;
use futures::future::BoxFuture;
use tokio::time::sleep;

use super::answer_memory;
use super::end::End;
use super::execute::{Pause, execute};
use crate::account::Lease;
use crate::blocking::on_disk;
use crate::client::Client;
use crate::dcp::{Executed, Requests};

impl Requests for Client {
    fn execute(self: Box<Self>, requests: BytesMut) -> BoxFuture<'static, Executed> {
        Box::pin(run(self, requests))
    }

    fn written(&mut self) {
        self.lease = None;
    }

    fn is_wanted(&self) -> bool {
        self.lease.as_ref().is_some_and(Lease::is_wanted)
    }
}

async fn run(mut client: Box<Client>, mut rest: BytesMut) -> Executed {
    let (mut answers, mut value, mut first) = (BytesMut::new(), None, None);
    let end = loop {
        let pause = on_disk(execute(&mut client, first.take(), &mut rest)).await;
        match client.settle().await {
            Ok((out, large)) => {
                answers.unsplit(out);
                value = large;
            }
            Err(broken) => break Some(Err(broken.to_string())),
        }
        match pause {
            Pause::NeedsBytes | Pause::RepliesFull => break None,
            Pause::NeedsMemory(frame, bytes) if answers.is_empty() => {
                first = answer_memory(&mut client, frame, bytes).await;
            }
            // Those before it are answered first, so that it has the memory for itself.
            Pause::NeedsMemory(frame, _) => {
                let mut again = BytesMut::from(frame);
                again.unsplit(rest);
                rest = again;
                break None;
            }
            Pause::Late(wait, request, error) => {
                sleep(wait).await;
                client.fail(&request, error);
            }
            Pause::End(End::Normal) => break Some(Ok(())),
            Pause::End(End::Malformed(error)) => break Some(Err(error.to_string())),
            Pause::End(_) => break Some(Err("a command ended the connection".to_owned())),
        }
        if value.is_some() {
            break None;
        }
    };
    Executed { requests: client, answers: (answers, value), rest, end }
}
