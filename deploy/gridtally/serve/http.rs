//! API and page, from configuration: where they listen, how, and under which names.

use std::net::SocketAddr;

use gridtally_api::access::Access;
use gridtally_ingest::tls::Tls;

use crate::config::{Config, ConfigError};

/// Where API and page listen, and how.
#[derive(Debug, Clone)]
pub(crate) struct HttpPlan {
    pub(crate) listen: SocketAddr,
    pub(crate) tls: Option<Tls>,
    /// Names under which they are reached.
    pub(crate) hosts: Vec<String>,
    /// Largest file that is imported, bytes.
    pub(crate) import_bytes_max: u64,
}

/// The plan.
pub(super) fn plan(config: &Config, access: &Access) -> Result<HttpPlan, ConfigError> {
    Ok(HttpPlan {
        listen: if access.is_open() {
            super::guarded(config, "http.listen", "http.open")?
        } else {
            config.listen("http.listen")?
        },
        tls: super::tls(config, "http.tls_certificate", "http.tls_key", &[b"http/1.1"])?,
        hosts: hosts(config)?,
        import_bytes_max: config.whole("http.import_bytes_max", 1_024..=1 << 50)?,
    })
}

fn hosts(config: &Config) -> Result<Vec<String>, ConfigError> {
    let names = config.text("http.hosts").split(',').map(str::trim);
    let names = names.filter(|name| !name.is_empty());
    names
        .map(|name| {
            if name.contains([':', '/', ' ']) {
                let reason = format!("`{name}` is more than a name: neither scheme nor port belong here");
                return Err(config.refuse("http.hosts", reason));
            }
            Ok(name.to_owned())
        })
        .collect()
}
