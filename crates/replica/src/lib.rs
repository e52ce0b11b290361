//! The rules of replication: consumer machine, plan, backoff, names.
