//! TLS of what listens: certificates, keys and authorities from PEM files, for MQTT here and for the surfaces above.
//!
//! TLS 1.2 and 1.3 with the cipher suites of `ring`. Files are read once, at the start: a renewed certificate needs a restart.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, pem::PemObject},
        server::{VerifierBuilderError, WebPkiClientVerifier},
    },
};

/// A listener's certificate with its key, and perhaps whose certificates of clients it trusts.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls(…)")
    }
}

/// Whose certificates a listener asks of its clients. A client may come without one; what it may do then is the listener's to say.
#[derive(Debug, Clone, Copy)]
pub struct ClientAuthority<'a> {
    /// Certificates of the authorities (PEM).
    pub authorities: &'a Path,
    /// Their revocation lists (PEM); `None`: nothing is revoked.
    pub revoked: Option<&'a Path>,
}

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds something else.
    #[error("{} holds no {what} (PEM): {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// Certificate and key cannot be used, or not together.
    #[error("certificate and key cannot be used together")]
    Pair(#[from] tokio_rustls::rustls::Error),
    /// The authorities cannot be used.
    #[error("{} cannot serve as authorities of clients", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: VerifierBuilderError,
    },
}

impl Tls {
    /// Reads a certificate chain and its key (PEM each); `protocols` are the names of ALPN that are spoken.
    ///
    /// # Errors
    /// [`TlsError`] when a file is something else, or the key is not the certificate's.
    pub fn load(
        certificate: &Path,
        key: &Path,
        clients: Option<ClientAuthority<'_>>,
        protocols: &[&[u8]],
    ) -> Result<Self, TlsError> {
        let chain: Vec<CertificateDer<'static>> = all_of(certificate, "certificate")?;
        let private =
            PrivateKeyDer::from_pem_file(key).map_err(|error| bad_file(key, "private key", &error))?;
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let config = match clients {
            None => config.with_no_client_auth(),
            Some(clients) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(roots(&clients)?, provider);
                let verifier = match clients.revoked {
                    Some(path) => verifier.with_crls(all_of::<CertificateRevocationListDer<'static>>(
                        path,
                        "certificate revocation list",
                    )?),
                    None => verifier,
                };
                let verifier = verifier.allow_unauthenticated().build();
                config.with_client_cert_verifier(verifier.map_err(|source| TlsError::Authorities {
                    path: clients.authorities.to_owned(),
                    source,
                })?)
            }
        };
        let mut config = config.with_single_cert(chain, private)?;
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        // Resumption without a table here: a city of meters that comes back together costs one signature each less.
        config.ticketer = ring::Ticketer::new()?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Accepts connections.
    #[must_use]
    pub const fn acceptor(&self) -> &TlsAcceptor {
        &self.0
    }
}

fn roots(clients: &ClientAuthority<'_>) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in all_of::<CertificateDer<'static>>(clients.authorities, "certificate of an authority")? {
        roots
            .add(authority)
            .map_err(|error| bad_file(clients.authorities, "certificate of an authority", &error))?;
    }
    Ok(Arc::new(roots))
}

/// Everything of a kind in a file; at least one.
fn all_of<T: PemObject>(path: &Path, what: &'static str) -> Result<Vec<T>, TlsError> {
    let all = T::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<T>, _>>)
        .map_err(|error| bad_file(path, what, &error))?;
    if all.is_empty() {
        return Err(bad_file(path, what, &"there is none in it"));
    }
    Ok(all)
}

fn bad_file(path: &Path, what: &'static str, error: &dyn Display) -> TlsError {
    TlsError::File {
        path: path.to_owned(),
        what,
        reason: error.to_string(),
    }
}
