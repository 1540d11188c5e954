//! What a worker can do before it is asked: load the tables, run through the program once, and make the session.
//!
//! Nothing of it depends on who will ask, what, or which part of the tables is his. Tables are brought up to the version that is the newest when
//! the question comes ([`TablesReader::keeping`]), so that preparing changes no answer.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use datafusion::{
    error::DataFusionError,
    execution::cache::{
        cache_manager::{CacheManagerConfig, CachedFileMetadataEntry, FileMetadataCache},
        default_cache::DefaultCache,
    },
};
use gridtally_engine::tables::{Tables, TablesReader};

use super::{
    super::protocol::{Ask, Preparation, Request},
    Question, Session,
};

/// Footers of data files that are kept, bytes of memory; DataFusion's default.
const FOOTERS_BYTES: usize = 50 << 20;

/// Of a table's files the footers of so many are read ahead, the newest days' first: those of two months where a day has two files.
const FOOTERS_MAX: usize = 128;

/// Questions that go through what most questions need: parsing, the definitions of tables, the optimizer, reading a file, joins, groups and
/// sorts, and writing an answer. They plan over the tables, but read at most a batch of one.
const TRIALS: &[&str] = &[
    "EXPLAIN SELECT day, SUM(import_wh) AS import_wh, COUNT(*) AS reads FROM interval_reads WHERE day >= DATE '2026-04-01' \
     GROUP BY day ORDER BY import_wh DESC NULLS LAST LIMIT 10",
    "EXPLAIN SELECT interval_end, total_loss_wh FROM feeder_balance WHERE feeder_id = 'F' AND day = DATE '2026-04-01' ORDER BY interval_end",
    "SELECT table_name, COUNT(*) AS columns, MAX(other.data_type) AS kind FROM table_columns JOIN table_columns AS other \
     USING (table_name, column_name) WHERE other.about <> '' GROUP BY table_name ORDER BY columns DESC, table_name LIMIT 5",
    "SELECT * FROM interval_reads_history LIMIT 1",
];

/// What is ready before the question.
#[derive(Debug)]
pub(super) struct Prepared {
    tables: Option<(PathBuf, TablesReader)>,
    footers: Arc<FileMetadataCache>,
    /// Sessions for questions like these, whoever asks; one of them will be asked.
    sessions: Mutex<Vec<(Request, Session)>>,
}

impl Default for Prepared {
    fn default() -> Self {
        Self {
            tables: None,
            footers: Arc::new(DefaultCache::<_, CachedFileMetadataEntry>::new(FOOTERS_BYTES)),
            sessions: Mutex::default(),
        }
    }
}

impl Prepared {
    /// Prepares; what cannot be done is left to the question, which tells why.
    pub(super) async fn of(preparation: &Preparation) -> Self {
        let mut prepared = Self::default();
        let root = &preparation.tables_root;
        if let Ok(reader) = Tables::open_read_only(root) {
            let reader = reader.keeping();
            reader.load_all().await;
            reader.load_footers(&prepared.footers, FOOTERS_MAX).await;
            prepared.tables = Some((root.clone(), reader));
        }
        for query in TRIALS {
            prepared.try_out(&preparation.trial(query)).await;
        }
        let for_postgres = Request {
            postgres: Some(Ask::default()),
            ..preparation.trial("SELECT relname FROM pg_class WHERE relkind = 'r' ORDER BY relname LIMIT 1")
        };
        prepared.try_out(&for_postgres).await;
        let spilling = |like: Request| Request {
            spill_directory: preparation.spill_directory.clone(),
            ..like
        };
        prepared.make_sessions(spilling(preparation.trial("")), spilling(for_postgres));
        prepared
    }

    async fn try_out(&self, request: &Request) {
        let question = Question {
            request,
            prepared: self,
        };
        if let Err(failure) = question.answer(&mut io::sink()).await {
            tracing::debug!(query = request.query, failure.message, "a trial failed");
        }
    }

    /// Makes a session for questions like one and like another.
    fn make_sessions(&self, one: Request, other: Request) {
        let made = Session::new(&one, self).and_then(|session| {
            session.plan_tables()?;
            Ok(session)
        });
        match made {
            Ok(session) => {
                let beside = session.beside(&other);
                self.lock().extend([(one, session), (other, beside)]);
            }
            Err(error) => tracing::debug!(%error, "sessions were not made ahead"),
        }
    }

    /// A session that is ready for this question.
    pub(super) fn take(&self, request: &Request) -> Option<Session> {
        let mut sessions = self.lock();
        let at = sessions.iter().position(|(like, _)| is_alike(like, request))?;
        let (_, session) = sessions.swap_remove(at);
        sessions.clear();
        Some(session)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Request, Session)>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tables below a folder.
    pub(super) fn reader(&self, root: &Path) -> Result<TablesReader, DataFusionError> {
        match &self.tables {
            Some((known, reader)) if known == root => Ok(reader.clone()),
            Some(_) | None => {
                Tables::open_read_only(root).map_err(|error| DataFusionError::External(Box::new(error)))
            }
        }
    }

    /// Where footers of data files are kept.
    pub(super) fn footers(&self) -> CacheManagerConfig {
        CacheManagerConfig::default().with_file_metadata_cache(Some(Arc::clone(&self.footers)))
    }
}

/// Whether one session would do for both: all that [`Session::new`] looks at.
fn is_alike(one: &Request, other: &Request) -> bool {
    one.tables_root == other.tables_root
        && one.memory_bytes == other.memory_bytes
        && one.zone == other.zone
        && one.spill_directory == other.spill_directory
        && one.postgres.is_some() == other.postgres.is_some()
        && one.area == other.area
}
