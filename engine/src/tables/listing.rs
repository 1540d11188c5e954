//! The data files of a table's newest version, as its Delta log names them.
//!
//! A listing is made from a snapshot once; from then on it follows the log by itself, a file for each commit. A commit that says more than which
//! files came and went (other columns, another protocol) is not followed: the table is loaded anew.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use deltalake::DeltaTable;
use futures::TryStreamExt;
use gridtally_schemas::{Day, table::TableSchema};
use serde::{Deserialize, de::IgnoredAny};

use super::TablesError;

#[cfg(test)]
mod tests;

/// A data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DataFile {
    /// Below the table's folder.
    pub(super) path: String,
    pub(super) bytes: u64,
    /// The day or month of its rows; `None`: the table is not split, or they have none.
    pub(super) part: Option<Day>,
    /// What the log says of its columns, as Delta's JSON; `None`: nothing.
    pub(super) statistics: Option<Arc<str>>,
}

/// The files of one version.
#[derive(Debug, Clone, Default)]
pub(super) struct Listing {
    /// `None`: the table has not been created yet.
    version: Option<u64>,
    /// By path, and so by day.
    files: BTreeMap<String, DataFile>,
}

/// What became of following the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Followed {
    /// The listing is of the newest version.
    ToTheEnd,
    /// What it is of is no longer there to go on from, or a commit says what cannot be followed.
    NotFurther,
}

impl Listing {
    /// The files of a snapshot.
    pub(super) async fn of(schema: &'static TableSchema, snapshot: &DeltaTable) -> Result<Self, TablesError> {
        let failed = |source| TablesError::Load {
            table: schema.name,
            source,
        };
        let log_store = snapshot.log_store();
        let state = snapshot.snapshot().map_err(failed)?;
        let mut views = state.snapshot().file_views(log_store.as_ref(), None);
        let mut files = BTreeMap::new();
        while let Some(view) = views.try_next().await.map_err(failed)? {
            let path = view.path().into_owned();
            let mut parts = view.partition_values_map();
            let part = schema.partition.and_then(|column| parts.remove(column).flatten());
            let file = DataFile {
                path: path.clone(),
                bytes: u64::try_from(view.size()).unwrap_or_default(),
                part: part.and_then(|text| Day::parse(&text)),
                statistics: view.stats().map(Arc::from),
            };
            files.insert(path, file);
        }
        Ok(Self {
            version: Some(state.version()),
            files,
        })
    }

    /// The files, the oldest day's first.
    pub(super) fn files(&self) -> impl Iterator<Item = &DataFile> {
        self.files.values()
    }

    /// Whether the version after this one, or none that it is, is in the log.
    pub(super) fn is_newest(&self, log: &Path) -> bool {
        self.version.is_some_and(|version| {
            commit(log, version).exists() && !commit(log, version.saturating_add(1)).exists()
        })
    }

    /// Reads the commits since. Commits are numbered without a gap and removed from the oldest on, so that the names of its own and of the next
    /// say what there is, without listing the folder, which has thousands.
    pub(super) fn follow(&mut self, schema: &TableSchema, log: &Path) -> Followed {
        let Some(mut version) = self.version else {
            return Followed::NotFurther;
        };
        if !commit(log, version).exists() {
            return Followed::NotFurther;
        }
        loop {
            let next = version.saturating_add(1);
            match fs::read_to_string(commit(log, next)) {
                Ok(text) if self.apply(schema, &text).is_some() => version = next,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.version = Some(version);
                    return Followed::ToTheEnd;
                }
                Ok(_) | Err(_) => return Followed::NotFurther,
            }
        }
    }

    /// Takes one commit in; `None` where it says what cannot be followed, and then the listing is good for nothing.
    fn apply(&mut self, schema: &TableSchema, text: &str) -> Option<()> {
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let action: Action = serde_json::from_str(line).ok()?;
            if action.meta_data.is_some() || action.protocol.is_some() {
                return None;
            }
            if let Some(removed) = action.remove {
                self.files.remove(&plain(removed.path)?);
            }
            if let Some(added) = action.add {
                if added.deletion_vector.is_some() {
                    return None;
                }
                let mut parts = added.partition_values;
                let part = schema.partition.and_then(|column| parts.remove(column).flatten());
                let path = plain(added.path)?;
                let file = DataFile {
                    path: path.clone(),
                    bytes: added.size,
                    part: part.and_then(|text| Day::parse(&text)),
                    statistics: added.stats.map(Arc::from),
                };
                self.files.insert(path, file);
            }
        }
        Some(())
    }
}

fn commit(log: &Path, version: u64) -> PathBuf {
    log.join(format!("{version:020}.json"))
}

/// A path of the log that is what it says: below the table, with nothing encoded in it. All that the product writes are.
fn plain(path: String) -> Option<String> {
    (!path.contains(['%', ':']) && !path.starts_with('/')).then_some(path)
}

/// A line of a commit: those of its members that bear on which files there are.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Action {
    add: Option<Added>,
    remove: Option<Removed>,
    meta_data: Option<IgnoredAny>,
    protocol: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Added {
    path: String,
    partition_values: BTreeMap<String, Option<String>>,
    size: u64,
    stats: Option<String>,
    deletion_vector: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Removed {
    path: String,
}
