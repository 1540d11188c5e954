//! gridtally: one binary, roles by subcommand.
fn main() {}
