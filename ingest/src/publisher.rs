//! Who a connection speaks for: what a publisher shows when it connects, and as what it may then publish.
//!
//! A publisher's name is the id of its meter or gateway, as in its topics. It is proved by a certificate of an authority that the
//! endpoint trusts (the common name of its subject, or a DNS name of its alternative names), or by a key under that name as user
//! name ([`crate::key`]).
//!
//! Where neither keys nor an authority are configured, nobody is asked, and anybody may publish as anybody.

use std::{collections::HashMap, fmt};

use gridtally_schemas::topic::Publisher;
use x509_cert::{
    Certificate,
    der::{
        Decode,
        asn1::{Ia5StringRef, PrintableStringRef, Utf8StringRef},
        oid::{AssociatedOid, ObjectIdentifier},
    },
    ext::pkix::{SubjectAltName, name::GeneralName},
};

use crate::key::KeyHash;

#[cfg(test)]
mod tests;

/// `id-at-commonName` (RFC 5280, appendix A.1).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
/// Publishers with a key, and whether anybody else is let in.
#[derive(Debug, Clone, Default)]
pub struct Publishers {
    keys: HashMap<String, KeyHash>,
    asked: bool,
}

impl Publishers {
    /// Adds a publisher with its key; from then on everybody must say who they are. Gives whether the name is new.
    pub fn add(&mut self, name: String, key: KeyHash) -> bool {
        self.asked = true;
        self.keys.insert(name, key).is_none()
    }

    /// From now on everybody must say who they are, be it by certificate alone.
    pub const fn ask_everybody(&mut self) {
        self.asked = true;
    }

    /// Whether everybody must say who they are.
    #[must_use]
    pub const fn asks(&self) -> bool {
        self.asked
    }

    /// How many have a key.
    #[must_use]
    pub fn with_key(&self) -> usize {
        self.keys.len()
    }

    /// Decides who a connection speaks for.
    ///
    /// # Errors
    /// [`Stranger`], which says whether it showed something wrong or nothing.
    pub(crate) fn identify(&self, shown: Shown<'_>) -> Result<Identity, Stranger> {
        if let Some(names) = shown.certificate {
            return Ok(Identity::Named(names));
        }
        if !self.asked {
            return Ok(Identity::Anybody);
        }
        let (Some(name), Some(key)) = (shown.user_name, shown.password) else {
            return Err(Stranger::Silent);
        };
        // The time this takes tells of hashes at most.
        match self.keys.get(name) {
            Some(hash) if *hash == KeyHash::of(key) => Ok(Identity::Named(Box::from([Box::from(name)]))),
            Some(_) | None => Err(Stranger::Wrong),
        }
    }
}

/// What a connection shows of itself.
#[derive(Debug, Default)]
pub(crate) struct Shown<'a> {
    /// Names in a certificate that was verified.
    pub(crate) certificate: Option<Box<[Box<str>]>>,
    /// User name of its CONNECT.
    pub(crate) user_name: Option<&'a str>,
    /// Password of its CONNECT.
    pub(crate) password: Option<&'a [u8]>,
}

/// Why a connection is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stranger {
    /// It showed nothing.
    Silent,
    /// Name and key do not belong together, or nobody has the name.
    Wrong,
}

/// Who a connection speaks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Identity {
    /// Nobody was asked, or another broker answers for it.
    #[default]
    Anybody,
    /// One that has these names.
    Named(Box<[Box<str>]>),
}

impl Identity {
    /// Whether it may publish as `publisher`.
    #[must_use]
    pub fn is(&self, publisher: &Publisher) -> bool {
        let id = match publisher {
            Publisher::Meter(meter) => meter.as_str(),
            Publisher::Gateway(gateway) => gateway.as_str(),
        };
        match self {
            Self::Anybody => true,
            Self::Named(names) => names.iter().any(|name| &**name == id),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anybody => f.write_str("anybody"),
            Self::Named(names) => f.write_str(&names.join(", ")),
        }
    }
}

/// Names in a certificate (DER) that was verified: common names of its subject and DNS names of its alternative names. None in bytes
/// that are no certificate.
pub(crate) fn names_of(certificate: &[u8]) -> Box<[Box<str>]> {
    let Ok(certificate) = Certificate::from_der(certificate) else {
        return Box::default();
    };
    let certificate = certificate.tbs_certificate;
    let subject = certificate.subject.0.iter().flat_map(|part| part.0.iter());
    let common = subject.filter(|attribute| attribute.oid == COMMON_NAME);
    let mut names: Vec<Box<str>> = common
        .filter_map(|attribute| {
            let value = &attribute.value;
            let utf8 = value
                .decode_as::<Utf8StringRef<'_>>()
                .ok()
                .map(|text| Box::from(text.as_str()));
            let printable = || {
                let text = value.decode_as::<PrintableStringRef<'_>>().ok()?;
                Some(Box::from(text.as_str()))
            };
            let ia5 = || {
                let text = value.decode_as::<Ia5StringRef<'_>>().ok()?;
                Some(Box::from(text.as_str()))
            };
            utf8.or_else(printable).or_else(ia5)
        })
        .collect();
    let extensions = certificate.extensions.iter().flatten();
    for extension in extensions.filter(|extension| extension.extn_id == SubjectAltName::OID) {
        let Ok(alternative) = SubjectAltName::from_der(extension.extn_value.as_bytes()) else {
            continue;
        };
        names.extend(alternative.0.iter().filter_map(|name| {
            let GeneralName::DnsName(name) = name else {
                return None;
            };
            Some(Box::from(name.as_str()))
        }));
    }
    names.into()
}
