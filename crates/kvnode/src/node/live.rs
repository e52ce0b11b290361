//! What may be replaced of a running node. It is apart from the node's handle, because whoever
//! reads a configuration may be held up by a file, and then must not hold up the end of the node.

use std::sync::Arc;

use crate::clock::unix_now;
use crate::config::NodeConfig;
use crate::context::Context;
use crate::sync::write;

/// The configuration of a running node; cheap to clone.
#[derive(Clone)]
pub struct Live(pub(super) Arc<Context>);

impl Live {
    /// Replaces the users, the files of the listener's TLS, and the deadlines of `limits`, for
    /// connections from now on. Of those that are open, the ones of users that are gone or have
    /// another password are closed; returns how many. Everything else of `config` needs a
    /// restart. A node that has no TLS gets none, and one that has it keeps it.
    ///
    /// # Errors
    /// What is wrong with `config`, as text; nothing has changed then.
    pub fn reload(&self, config: NodeConfig) -> Result<usize, String> {
        let Self(context) = self;
        config.check().inspect_err(|_| self.reload_failed())?;
        if let (Some(own), Some(new)) = (&context.tls, &config.tls) {
            own.adopt(new);
            *write(&context.certificate) = config.certificate;
        }
        context.limits.replace(&config.limits);
        let closed = context.users.replace(config.users, |gone| context.door.revoke(gone));
        context.reloads.succeeded(unix_now());
        Ok(closed)
    }

    /// A configuration could not be read: the metrics say so.
    pub fn reload_failed(&self) {
        self.0.reloads.failed();
    }
}
