//! The program `kvnode`: a data node alone. Everything is in the library of that name.

/// Rows are made by one thread and freed by another. The allocator of glibc keeps what was freed in
/// an arena for each busy thread, and takes longer.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    kvnode::cli::main()
}
