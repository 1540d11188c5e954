//! LOG-1 on the machine's own disk: what the tests' disks take for granted.

use super::super::*;

/// Bytes that this thread wrote to files and took away again before they reached the medium, as Linux counts them.
fn cancelled_bytes() -> u64 {
    let counters = std::fs::read_to_string("/proc/thread-self/io").unwrap();
    let line = counters
        .lines()
        .find_map(|line| line.strip_prefix("cancelled_write_bytes: "));
    line.unwrap().parse().unwrap()
}

#[test]
fn log_1_a_sync_of_the_local_disk_leaves_nothing_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    // Writes, syncs or not, and takes the file's content away: what had not reached the medium is counted as cancelled.
    let cancelled = |syncs: bool| {
        let path = folder.path().join("00000000000000000001.log");
        let mut file = LocalDisk.create(&path).unwrap();
        file.append(&vec![7; 1 << 20]).unwrap();
        if syncs {
            file.sync().unwrap();
        }
        let before = cancelled_bytes();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(0)
            .unwrap();
        LocalDisk.remove(&path).unwrap();
        cancelled_bytes() - before
    };
    if cancelled(false) == 0 {
        eprintln!("left out: the temporary folder's file system counts no cancelled writes (tmpfs)");
        return;
    }
    assert_eq!(cancelled(true), 0, "synced bytes were still in memory only");
}
