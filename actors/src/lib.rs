//! The control plane: replication manager, replicators and connections as actors.
