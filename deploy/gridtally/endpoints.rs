//! Where everything listens, written where scripts find it.

use std::{
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use crate::exit::Failure;

/// The chosen addresses, as in `{data dir}/endpoints.json`.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(crate) struct Endpoints {
    /// MQTT endpoint.
    pub(crate) mqtt: SocketAddr,
    /// The same with TLS; left out: off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mqtt_tls: Option<SocketAddr>,
    /// API and page.
    pub(crate) http: SocketAddr,
    /// SQL by PostgreSQL's protocol; left out: off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pg: Option<SocketAddr>,
    /// SQL by Arrow Flight SQL; left out: off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) flight: Option<SocketAddr>,
}

impl Endpoints {
    /// Writes `endpoints.json`, whole or not at all.
    pub(crate) fn write(&self, data_dir: &Path) -> Result<PathBuf, Failure> {
        let path = data_dir.join("endpoints.json");
        let staged = data_dir.join("endpoints.json.new");
        let write = || -> std::io::Result<()> {
            let mut file = std::fs::File::create(&staged)?;
            serde_json::to_writer(&mut file, self)?;
            file.write_all(b"\n")?;
            std::fs::rename(&staged, &path)
        };
        write().map_err(|source| Failure::work(format!("{} cannot be written", path.display()), source))?;
        Ok(path)
    }
}
