//! Script tables.
