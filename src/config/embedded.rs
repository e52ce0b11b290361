//! The section `[embedded]`: data nodes to run inside this process.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use mcbp::VbState;
use replica::plan::VBUCKETS_MAX;

use super::check::{Checker, number};
use super::checked::{Embedded, EmbeddedNode};
use super::schema::{DIRECTORY, USERNAME};
use super::{file, rules};

impl Checker<'_, '_> {
    pub(super) fn embedded(&mut self, written: &file::Embedded) -> Option<Embedded> {
        if written.node.is_empty() {
            self.report(
                0..0,
                "embedded",
                "has no node: add [[embedded.node]] or remove the section",
            );
        }
        self.unique("embedded node", written.node.iter().map(|node| &node.name));
        let nodes: Vec<_> = written.node.iter().map(|node| self.embedded_node(node)).collect();
        let password =
            written.password.as_ref().map(|password| self.secret("embedded: password", password));
        Some(Embedded {
            directory: self
                .folder
                .join(written.directory.as_deref().unwrap_or(Path::new(DIRECTORY))),
            username: written
                .username
                .as_ref()
                .map_or_else(|| USERNAME.to_owned(), |username| username.as_ref().clone()),
            password: password.flatten(),
            nodes: nodes.into_iter().collect::<Option<_>>()?,
        })
    }

    fn embedded_node(&mut self, node: &file::EmbeddedNode) -> Option<EmbeddedNode> {
        let key = |field: &str| format!("embedded node {:?}: {field}", node.name.as_ref());
        let name = self.value(&key("name"), &node.name, |name| rules::node_name(name));
        let listen = match &node.listen {
            Some(listen) => self.value(&key("listen"), listen, |listen| rules::listen(listen)),
            None => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        };
        let bucket = match &node.bucket {
            Some(bucket) => self.value(&key("bucket"), bucket, |bucket| rules::bucket_name(bucket)),
            None => Some("default".to_owned()),
        };
        let vbuckets = number(node.vbuckets.as_ref(), VBUCKETS_MAX);
        let state = self.value(&key("state"), &node.state, |state| rules::state(state));
        let documents = number(node.documents.as_ref(), 0);
        if let (Some(written), Some(VbState::Replica), 1..) = (&node.documents, state, documents) {
            let text = "must not be set: a replica accepts no documents from clients";
            self.report(written.span(), &key("documents"), text);
        }
        Some(EmbeddedNode {
            name: name?,
            listen: listen?,
            bucket: bucket?,
            vbuckets,
            state: state?,
            documents,
        })
    }
}
