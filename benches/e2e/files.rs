//! Data files of tables on disk.

use std::path::Path;

/// Acts on each Parquet file under a folder, those of the log aside.
pub fn each_parquet(folder: &Path, act: &mut dyn FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "_delta_log") {
                each_parquet(&path, act);
            }
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            act(&path);
        }
    }
}

/// Bytes of them all.
pub fn parquet_bytes(folder: &Path) -> u64 {
    let mut bytes = 0;
    each_parquet(folder, &mut |path| bytes += path.metadata().unwrap().len());
    bytes
}
