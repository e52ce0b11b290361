//! The program `kvnode`: a standalone data node, and a client of running ones. The node is in the
//! library of the same name.

/// Rows are allocated by one thread and freed by another. The allocator of glibc keeps freed memory
/// in an arena for each busy thread, and is slower.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    dcp_proxy::kvnode_client::main()
}
