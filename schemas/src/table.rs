//! The Arrow schema of every published table (CONTRACT section 3).
