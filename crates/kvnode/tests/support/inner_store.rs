//! Stores that let another one do what they do not spoil.

/// Within `impl Store`: the methods of which no test spoils any, by the field `inner`.
macro_rules! rest_of_store_is_inner {
    ($($name:ident($($arg:ident: $kind:ty),*) -> $answer:ty;)+) => {
        $(fn $name(&self, $($arg: $kind),*) -> $answer {
            self.inner.$name($($arg),*)
        })+
    };
    () => {
        rest_of_store_is_inner! {
            load() -> Result<Vec<vbucket::VbMeta>, vbucket::StoreError>;
            was_clean() -> bool;
            get(vb: mcbp::VbId, key: &[u8]) -> Result<Option<vbucket::Row>, vbucket::StoreError>;
            keys(vb: mcbp::VbId, from: &[u8], most: usize)
                -> Result<Vec<bytes::Bytes>, vbucket::StoreError>;
            item_count(vb: mcbp::VbId) -> Result<u64, vbucket::StoreError>;
            scan_keys(vb: mcbp::VbId, start: &[u8], end: &[u8])
                -> Result<Box<dyn vbucket::store::Scan>, vbucket::StoreError>;
            scan_versions(vb: mcbp::VbId, start: mcbp::Seqno)
                -> Result<Box<dyn vbucket::store::Scan>, vbucket::StoreError>;
            change_history(vb: mcbp::VbId)
                -> Result<vbucket::store::ChangeHistory, vbucket::StoreError>;
            events(vb: mcbp::VbId) -> Result<Vec<vbucket::Row>, vbucket::StoreError>;
            prepares(vb: mcbp::VbId) -> Result<Vec<vbucket::Row>, vbucket::StoreError>;
            collections(vb: mcbp::VbId)
                -> Result<Vec<vbucket::store::CollectionCounts>, vbucket::StoreError>;
            manifest() -> Result<Option<Vec<u8>>, vbucket::StoreError>;
            put_manifest(text: &[u8]) -> Result<(), vbucket::StoreError>;
            rollback(vb: mcbp::VbId, to: mcbp::Seqno)
                -> Result<vbucket::VbMeta, vbucket::StoreError>;
            remove(vb: mcbp::VbId) -> Result<(), vbucket::StoreError>;
            purge(vb: mcbp::VbId, rule: &vbucket::store::PurgeRule, from: &[u8])
                -> Result<vbucket::store::PurgeStep, vbucket::StoreError>;
            close() -> Result<(), vbucket::StoreError>;
            disk_bytes() -> u64;
            memory_bytes() -> u64;
        }
    };
}
