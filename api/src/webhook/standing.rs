//! What is known of a receiver, on disk: a file that is replaced whole, synced before and after.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::queue::Standing;

/// Form of the file.
const FORM: u32 = 1;

#[derive(serde::Serialize, serde::Deserialize)]
struct Document {
    form: u32,
    standing: Standing,
}

/// Where the standing of one receiver is kept.
#[derive(Debug, Clone)]
pub(super) struct StandingFile(PathBuf);

impl StandingFile {
    pub(super) fn of(folder: &Path, name: &str) -> Self {
        Self(folder.join(format!("{name}.json")))
    }

    /// What stands; `None`: nothing yet.
    ///
    /// # Errors
    /// When the file cannot be read, or holds what this program never writes.
    pub(super) fn read(&self) -> io::Result<Option<Standing>> {
        let bytes = match fs::read(&self.0) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let document: Document = serde_json::from_slice(&bytes).map_err(io::Error::other)?;
        if document.form != FORM {
            let error = format!("{} has form {}, not {FORM}", self.0.display(), document.form);
            return Err(io::Error::other(error));
        }
        Ok(Some(document.standing))
    }

    /// Replaces what stands; durable when it returns.
    ///
    /// # Errors
    /// When it cannot be written; then the file is as it was.
    pub(super) fn write(&self, standing: Standing) -> io::Result<()> {
        let document = Document { form: FORM, standing };
        let bytes = serde_json::to_vec(&document).map_err(io::Error::other)?;
        let beside = self.0.with_extension("json.new");
        let mut file = File::create(&beside)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&beside, &self.0)?;
        let folder = self.0.parent().unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use gridtally_schemas::UtcMicros;

    use super::{super::queue::Tried, *};

    #[test]
    fn what_is_written_is_read_back_and_what_is_broken_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = StandingFile::of(folder.path(), "sms");
        assert_eq!(file.read().unwrap(), None);
        let tried = Tried {
            attempts: 2,
            first_at: UtcMicros(1),
            next_at: UtcMicros(2),
            error: "the receiver answered 500".to_owned(),
        };
        let standing = Standing {
            cursor: 7,
            open: BTreeSet::from([3, 5]),
            tried: BTreeMap::from([(3, tried)]),
            disabled: Some("410".to_owned()),
            ..Standing::default()
        };
        file.write(standing.clone()).unwrap();
        file.write(standing.clone()).unwrap();
        assert_eq!(file.read().unwrap(), Some(standing));
        let path = folder.path().join("sms.json");
        let half = fs::read(&path).unwrap().split_off(10);
        fs::write(&path, half).unwrap();
        assert!(file.read().is_err());
        fs::write(
            &path,
            r#"{"form":2,"standing":{"cursor":0,"open":[],"tried":{},"dead":{},"again":[],"disabled":null}}"#,
        )
        .unwrap();
        assert!(
            file.read()
                .unwrap_err()
                .to_string()
                .ends_with("has form 2, not 1")
        );
    }
}
