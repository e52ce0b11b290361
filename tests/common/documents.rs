//! Writes and reads documents of one node as an application does.

use mcbp::kv::StoreExtras;
use mcbp::{FrameBuilder, Opcode, Status, VbId};
use relay::{Client, LinkError};

/// A connection of an application.
pub struct Documents {
    client: Client,
    vbuckets: u16,
}

impl Documents {
    pub const fn new(client: Client, vbuckets: u16) -> Self {
        Self { client, vbuckets }
    }

    /// The vBucket of a key.
    pub fn vb(&self, key: &str) -> VbId {
        dcp_proxy::sample::vbucket_of(key.as_bytes(), self.vbuckets)
    }

    /// Writes a document, which is on disk when this returns without an error.
    pub async fn try_set(&mut self, key: &str, value: &str) -> Result<(), LinkError> {
        self.store(key, value, 0).await
    }

    pub async fn set(&mut self, key: &str, value: &str) {
        self.try_set(key, value).await.unwrap();
    }

    /// Writes a document that expires after this many seconds.
    pub async fn set_for(&mut self, key: &str, value: &str, seconds: u32) {
        self.store(key, value, seconds).await.unwrap();
    }

    async fn store(&mut self, key: &str, value: &str, expiry: u32) -> Result<(), LinkError> {
        let extras = StoreExtras { flags: 7, expiry }.encode();
        let set = FrameBuilder::request(Opcode::SET).vbucket(self.vb(key)).extras(&extras);
        self.client.ask(set.key(key.as_bytes()).value(value.as_bytes())).await.map(drop)
    }

    /// Like [`Self::try_set`], for a document that expires after this many seconds.
    pub async fn try_set_for(
        &mut self,
        key: &str,
        value: &str,
        seconds: u32,
    ) -> Result<(), LinkError> {
        self.store(key, value, seconds).await
    }

    pub async fn delete(&mut self, key: &str) {
        self.try_delete(key).await.unwrap();
    }

    /// Deletes a document; fails if there is none.
    pub async fn try_delete(&mut self, key: &str) -> Result<(), LinkError> {
        let delete = FrameBuilder::request(Opcode::DELETE).vbucket(self.vb(key));
        self.client.ask(delete.key(key.as_bytes())).await.map(drop)
    }

    /// Reads a document whose value does not matter; fails if there is none.
    pub async fn read(&mut self, key: &str) -> Result<(), LinkError> {
        let get = FrameBuilder::request(Opcode::GET).vbucket(self.vb(key)).key(key.as_bytes());
        self.client.ask(get).await.map(drop)
    }

    pub async fn get(&mut self, key: &str) -> Option<String> {
        self.try_get(key).await.unwrap()
    }

    /// The value, if there is one, or the error of the node.
    pub async fn try_get(&mut self, key: &str) -> Result<Option<String>, Status> {
        let get = FrameBuilder::request(Opcode::GET).vbucket(self.vb(key)).key(key.as_bytes());
        let response = self.client.call(get).await.unwrap();
        match response.status {
            Status::SUCCESS => Ok(Some(String::from_utf8(response.value.to_vec()).unwrap())),
            Status::KEY_ENOENT => Ok(None),
            status => Err(status),
        }
    }
}
