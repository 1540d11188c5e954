//! What an import path stands for: a file, or every file of a folder that is known by its name.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{FileKind, Format};

/// A file to import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// What it holds.
    pub kind: FileKind,
    /// Its format.
    pub format: Format,
    /// Where it is.
    pub path: PathBuf,
}

/// A path as a file that is known by its name, if it is one.
fn known(path: &Path) -> Option<FoundFile> {
    let kind = FileKind::by_file_stem(path.file_stem()?.to_str()?)?;
    let format = Format::by_extension(path.extension()?.to_str()?)?;
    let path = path.to_owned();
    Some(FoundFile { kind, format, path })
}

/// The files that a path stands for: itself, or what is known in the folder (not in folders below), in dependency order and
/// then by name. Other files of a folder are passed over.
///
/// # Errors
/// When the path cannot be read, or is a file whose name does not say its kind and format.
pub fn files_at(path: &Path) -> io::Result<Vec<FoundFile>> {
    if !path.metadata()?.is_dir() {
        return known(path).map(|file| vec![file]).ok_or_else(|| {
            let kinds = FileKind::ALL.map(FileKind::as_str).join(", ");
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "{} is not named after what it holds: one of {kinds}, then .csv or .parquet",
                    path.display()
                ),
            )
        });
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        if path.is_file() {
            files.extend(known(&path));
        }
    }
    files.sort_by(|left, right| (left.kind, &left.path).cmp(&(right.kind, &right.path)));
    Ok(files)
}
