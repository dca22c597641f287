//! The `urunc` command.

fn main() -> std::process::ExitCode {
    urunc::main()
}
