//! Whether a node works: its listener answers, and no commit hangs.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::bucket::{Bucket, Warmup};
use crate::context::Context;

/// See the module. It does not keep the node from stopping.
#[derive(Clone)]
pub struct Health {
    context: Arc<Context>,
    buckets: Vec<Arc<Bucket>>,
}

impl Health {
    pub(super) const fn new(context: Arc<Context>, buckets: Vec<Arc<Bucket>>) -> Self {
        Self { context, buckets }
    }

    /// The first bucket that is not served, and why: the progress of its warm-up.
    #[must_use]
    pub fn not_served(&self) -> Option<(&str, Warmup)> {
        let mut warmups = self.buckets.iter().map(|bucket| (bucket.name(), bucket.warmup()));
        warmups.find(|(_, warmup)| *warmup != Warmup::Done)
    }

    /// Whether the listener answers within `limit`, and no commit lasts for longer.
    ///
    /// # Errors
    /// What does not work, as text.
    pub async fn check(&self, limit: Duration) -> Result<(), String> {
        let answered = timeout(limit, self.context.is_accepting.ask()).await;
        answered.map_err(|_| format!("the listener has not answered for {limit:?}"))?;
        for bucket in &self.buckets {
            let lasts = bucket.commit_lasts();
            if let Some(lasts) = lasts.filter(|lasts| *lasts > limit) {
                let (name, seconds) = (bucket.name(), lasts.as_secs());
                return Err(format!("a commit of bucket {name} has taken {seconds} s so far"));
            }
        }
        Ok(())
    }

    /// What it serves, in words.
    #[must_use]
    pub fn words(&self) -> String {
        let vbuckets: usize = self.buckets.iter().map(|bucket| bucket.vbuckets().len()).sum();
        let connections = usize::try_from(self.context.connection_count()).unwrap_or(usize::MAX);
        words(vbuckets, self.buckets.len(), connections)
    }
}

fn words(vbuckets: usize, buckets: usize, connections: usize) -> String {
    let count = |count: usize, thing: &str| match count {
        1 => format!("1 {thing}"),
        _ => format!("{count} {thing}s"),
    };
    let [vbuckets, buckets, connections] =
        [(vbuckets, "vBucket"), (buckets, "bucket"), (connections, "connection")]
            .map(|(number, thing)| count(number, thing));
    format!("serves {vbuckets} of {buckets}, {connections}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one() {
        assert_eq!(words(64, 1, 0), "serves 64 vBuckets of 1 bucket, 0 connections");
        assert_eq!(words(1, 2, 1), "serves 1 vBucket of 2 buckets, 1 connection");
    }
}
