//! A running instance with a small network whose balances are worked by hand.
//!
//! ```text
//! D1 discom ─ F1 feeder (meter MF) ─ T1 DT (meter MT) ─ consumers U1 (C1), U2 (C2, 2 kW)
//! interval to   MF     MT    C1    C2     DT: in, out, loss        feeder: in, out, loss
//! 00:15       1,000   950   500   400     950   900   50 5.263 %   1,000   900  100 10 %
//! 00:30       1,000   950   500    -      950   500  (450)         1,000   500 (500): not shown, 2 of 3 and 3 of 4 meters
//! ```

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use gridtally_api::{
    ApiSettings, ApiState, serve,
    sql::{Sql, SqlConfig},
};
use gridtally_engine::{Engine, EngineConfig, Settings, tables::Tables, vee::VeeLimits};
use gridtally_ingest::{
    log::{Log, LogConfig, Position},
    metrics::IngestMetrics,
};
use gridtally_schemas::{Clock, UtcMicros, Zone};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::client::{self, Answer};

pub(crate) const NODES: &str = "node_id,kind,parent_id,name,area_class,capacity_kva,valid_from\n\
    D1,discom,,Konkan Vidyut,,,2026-01-01T00:00:00+05:30\n\
    F1,feeder,D1,\"Town, east <b>\",urban,,2026-01-01T00:00:00+05:30\n\
    T1,dt,F1,Bazaar,urban,100,2026-01-01T00:00:00+05:30\n";
pub(crate) const METERS: &str = "meter_id,role,node_id,interval_minutes,multiplier,valid_from\n\
    MF,feeder,F1,15,1,2026-01-01T00:00:00+05:30\n\
    MT,dt,T1,15,1,2026-01-01T00:00:00+05:30\n\
    C1,consumer,,15,1,2026-01-01T00:00:00+05:30\n\
    C2,consumer,,15,1,2026-01-01T00:00:00+05:30\n";
pub(crate) const CONNECTIONS: &str = "consumer_id,meter_id,node_id,category,supply,phases,sanctioned_load_kw,metering,prosumer,valid_from\n\
    U1,C1,T1,LT-domestic,LT,1,2,prepaid,none,2026-01-01T00:00:00+05:30\n\
    U2,C2,T1,LT-domestic,LT,1,2,prepaid,none,2026-01-01T00:00:00+05:30\n";
pub(crate) const READS: &str = "meter_id,interval_end,import_wh\n\
    MF,2026-04-01T00:15:00+05:30,1000\n\
    MT,2026-04-01T00:15:00+05:30,950\n\
    C1,2026-04-01T00:15:00+05:30,500\n\
    C2,2026-04-01T00:15:00+05:30,400\n\
    MF,2026-04-01T00:30:00+05:30,1000\n\
    MT,2026-04-01T00:30:00+05:30,950\n\
    C1,2026-04-01T00:30:00+05:30,500\n";

/// When everything here happens: the first interval is closed, the second has just ended.
pub(crate) const NOW: &str = "2026-04-01T00:30:00+05:30";

#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) http: SocketAddr,
    pub(crate) engine: Arc<Engine>,
    end: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
    _folder: TempDir,
}

impl Instance {
    /// Without any data.
    pub(crate) async fn empty() -> Self {
        Self::with(|_| {}).await
    }

    /// With the network and its reads.
    pub(crate) async fn full() -> Self {
        let instance = Self::empty().await;
        instance.import_all().await;
        instance
    }

    /// With the network and its reads, days later: what can wait in the tables alone waits there.
    pub(crate) async fn cold() -> Self {
        let settings = Settings {
            state_bytes_max: 0,
            settlement_micros: 0,
            vee: VeeLimits {
                estimate_after_micros: None,
                ..VeeLimits::default()
            },
            ..Settings::default()
        };
        let instance = Self::start("2026-04-05T00:00:00+05:30", settings, |_| {}).await;
        instance.import_all().await;
        // The newest day stays.
        let newest = "meter_id,interval_end,import_wh\nMF,2026-04-04T00:15:00+05:30,1000\n";
        assert_eq!(instance.import("reads", newest).await.status, 200);
        instance.engine.checkpoint().await.unwrap();
        instance
    }

    async fn import_all(&self) {
        for (kind, file) in [
            ("nodes", NODES),
            ("meters", METERS),
            ("connections", CONNECTIONS),
            ("reads", READS),
        ] {
            let answer = self.import(kind, file).await;
            assert_eq!(answer.status, 200, "{kind}: {}", answer.text());
        }
    }

    pub(crate) async fn with(set: impl FnOnce(&mut ApiSettings)) -> Self {
        Self::start(NOW, Settings::default(), set).await
    }

    async fn start(now: &str, decides_by: Settings, set: impl FnOnce(&mut ApiSettings)) -> Self {
        let folder = TempDir::new().unwrap();
        let log =
            Arc::new(Log::open(LogConfig::new(folder.path().join("log")), Position::default()).unwrap());
        let tables_root = folder.path().join("tables");
        let tables = Tables::open(&tables_root).await.unwrap();
        let clock = Clock::fixed(UtcMicros::parse(now).unwrap());
        let config = EngineConfig {
            settings: decides_by,
            tick: Duration::from_millis(20),
            ..EngineConfig::default()
        };
        let engine = Arc::new(
            Engine::start(config, Arc::clone(&log), tables, clock.clone())
                .await
                .unwrap(),
        );
        let mut settings = ApiSettings {
            upload_dir: folder.path().join("uploads"),
            ..ApiSettings::default()
        };
        set(&mut settings);
        let sql = Sql::new(SqlConfig {
            worker_exe: PathBuf::from("/nonexistent/worker"),
            worker_args: Vec::new(),
            tables_root,
            memory_bytes: 64 << 20,
            rows_max: 1_000,
            deadline: Duration::from_secs(5),
            workers_max: 1,
            workers_per_caller: 256,
            workers_warm: 0,
            zone: Zone::kolkata(),
        });
        let ingest = Arc::new(IngestMetrics::default());
        let state = ApiState {
            engine: Arc::clone(&engine),
            log,
            ingest,
            sql,
            clock,
            webhooks: gridtally_api::webhook::Webhooks::default(),
            settings,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = listener.local_addr().unwrap();
        let (end, ended) = oneshot::channel::<()>();
        let server = tokio::spawn(async move {
            let until = async {
                let _ = ended.await;
            };
            serve(listener, state, until).await.unwrap();
        });
        Self {
            http,
            engine,
            end: Some(end),
            server,
            _folder: folder,
        }
    }

    /// Imports CSV.
    pub(crate) async fn import(&self, kind: &str, file: &str) -> Answer {
        let path = format!("/api/v1/import/{kind}?name={kind}.csv");
        client::ask(
            self.http,
            "POST",
            &path,
            &[("content-type", "text/csv")],
            file.as_bytes(),
        )
        .await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        client::get(self.http, path).await
    }

    /// Ends the server and waits for it.
    pub(crate) async fn end(mut self) {
        drop(self.end.take());
        tokio::time::timeout(Duration::from_secs(20), self.server)
            .await
            .expect("an end within seconds")
            .unwrap();
    }
}
