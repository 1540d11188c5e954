//! Certificates for tests, made by openssl: an authority, what it signs, and what it revokes.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Days for which everything is valid.
const DAYS: &str = "2";

/// A certificate and its key (PEM).
#[derive(Debug, Clone)]
pub struct Certificate {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

fn openssl(folder: &Path, arguments: &[&str]) {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments:?}: {error}");
}

const CURVE: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];

/// One that signs itself, for 127.0.0.1, with these basic constraints.
pub fn self_signed(folder: &Path, name: &str, constraints: &str) -> Certificate {
    let (certificate, key) = (format!("{name}.crt"), format!("{name}.key"));
    let (subject, constraints) = (
        format!("/CN={name}"),
        format!("basicConstraints=critical,{constraints}"),
    );
    let mut arguments = vec!["req", "-x509", "-nodes", "-days", DAYS, "-subj", &subject];
    arguments.extend(CURVE);
    arguments.extend(["-addext", "subjectAltName=IP:127.0.0.1"]);
    arguments.extend(["-addext", &constraints]);
    arguments.extend(["-out", &certificate, "-keyout", &key]);
    openssl(folder, &arguments);
    Certificate {
        certificate: folder.join(certificate),
        key: folder.join(key),
    }
}

/// An authority with its files in a folder.
pub struct Authority {
    folder: PathBuf,
    pub certificate: PathBuf,
}

impl Authority {
    /// A new one, under this name.
    pub fn new(folder: &Path, name: &str) -> Self {
        let folder = folder.join(name);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("index.txt"), "").unwrap();
        std::fs::write(folder.join("crlnumber"), "01\n").unwrap();
        let config = "[ca]\ndefault_ca=own\n[own]\ndatabase=index.txt\nserial=serial\ncrlnumber=crlnumber\n\
                      new_certs_dir=.\ndefault_md=sha256\ndefault_crl_days=2\npolicy=any\ncertificate=authority.crt\n\
                      private_key=authority.key\ncopy_extensions=copy\nunique_subject=no\n[any]\ncommonName=supplied\n";
        std::fs::write(folder.join("ca.conf"), config).unwrap();
        let subject = format!("/CN={name}");
        let mut arguments = vec!["req", "-x509", "-nodes", "-days", DAYS, "-subj", &subject];
        arguments.extend(CURVE);
        arguments.extend(["-addext", "keyUsage=critical,keyCertSign,cRLSign"]);
        arguments.extend(["-out", "authority.crt", "-keyout", "authority.key"]);
        openssl(&folder, &arguments);
        let certificate = folder.join("authority.crt");
        Self { folder, certificate }
    }

    /// Certifies `name`, with `alternative` as `subjectAltName`.
    pub fn certify(&self, name: &str, alternative: &str) -> Certificate {
        let [request, certificate, key] = ["csr", "crt", "key"].map(|end| format!("{name}.{end}"));
        let (subject, alternative) = (format!("/CN={name}"), format!("subjectAltName={alternative}"));
        let mut arguments = vec![
            "req",
            "-new",
            "-nodes",
            "-subj",
            &subject,
            "-addext",
            &alternative,
        ];
        arguments.extend(CURVE);
        arguments.extend(["-out", &request, "-keyout", &key]);
        openssl(&self.folder, &arguments);
        let sign = [
            "ca",
            "-batch",
            "-rand_serial",
            "-config",
            "ca.conf",
            "-days",
            DAYS,
            "-notext",
        ];
        let mut arguments = sign.to_vec();
        arguments.extend(["-in", &request, "-out", &certificate]);
        openssl(&self.folder, &arguments);
        Certificate {
            certificate: self.folder.join(certificate),
            key: self.folder.join(key),
        }
    }

    /// Revokes one, and gives the list of all that are revoked.
    pub fn revoke(&self, certificate: &Certificate) -> PathBuf {
        let path = certificate.certificate.to_str().unwrap();
        openssl(&self.folder, &["ca", "-config", "ca.conf", "-revoke", path]);
        openssl(
            &self.folder,
            &["ca", "-config", "ca.conf", "-gencrl", "-out", "revoked.pem"],
        );
        self.folder.join("revoked.pem")
    }
}
