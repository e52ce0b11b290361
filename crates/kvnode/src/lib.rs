//! An embedded data node: sessions, commands, DCP, warm-up.
