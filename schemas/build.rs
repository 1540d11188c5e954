//! Compiles the protobuf schema in pure Rust: no installed protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/ami/v1.proto");
    let descriptors = protox::compile(["ami/v1.proto"], ["proto"])?;
    prost_build::Config::new().compile_fds(descriptors)?;
    Ok(())
}
