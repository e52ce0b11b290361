//! Asks a producer whether its topologies know our node: a few statistics, on the control
//! connection that the lag monitor has anyway.

use mcbp::VbId;
use relay::{Client, Fault, LinkError};
use replica::topology::{SAMPLE_MAX, Stranger, group, replicas};

/// Our node, where the topologies of `vbs` name replicas and none is called `name`.
///
/// # Errors
/// A [`LinkError`] after which the client is of no use.
pub(crate) async fn stranger(
    client: &mut Client,
    name: &str,
    vbs: &[VbId],
) -> Result<Option<Stranger>, LinkError> {
    let mut topologies = Vec::new();
    for &vb in vbs.iter().take(SAMPLE_MAX) {
        match client.stats(&group(vb)).await {
            Ok(stats) => topologies.push(replicas(vb, &stats)),
            // It has no such vBucket, or does not know the group.
            Err(LinkError { fault: Fault::Refused { .. }, .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Stranger::of(name, &topologies))
}
