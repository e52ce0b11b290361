//! vBuckets on an embedded log-structured store.
