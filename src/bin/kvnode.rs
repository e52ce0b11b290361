//! The program `kvnode`: a data node alone. Everything is in the library of that name.

fn main() -> std::process::ExitCode {
    kvnode::cli::main()
}
