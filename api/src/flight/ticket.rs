//! Tickets: a statement with its values and its user, sealed, so that nobody can make one or change what one says.
//!
//! The seal is an HMAC with SHA-256 under a key that this process drew at its start: a ticket of an earlier start is refused, and so is one
//! that another user brings. What it runs is held against the allow-list like every statement.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use bytes::Bytes;
use gridtally_ingest::key::random;
use ring::hmac;
use serde::{Deserialize, Serialize};

use crate::sql::Parameter;

/// Longest ticket, bytes.
pub(super) const TICKET_BYTES_MAX: usize = 3 << 20;
const SEAL_BYTES: usize = 32;

/// What a ticket runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Errand {
    /// Tells it apart from every other, to be ended by.
    pub(super) id: String,
    pub(super) user: String,
    pub(super) statement: String,
    pub(super) parameters: Vec<Parameter>,
}

impl Errand {
    /// One of its own.
    pub(super) fn new(user: &str, statement: &str, parameters: Vec<Parameter>) -> Result<Self, String> {
        Ok(Self {
            id: STANDARD_NO_PAD.encode(random::<16>()?),
            user: user.to_owned(),
            statement: statement.to_owned(),
            parameters,
        })
    }
}

/// Seals tickets and opens them.
#[derive(Debug)]
pub(super) struct Seal(hmac::Key);

impl Seal {
    /// With a key of its own.
    pub(super) fn new() -> Result<Self, String> {
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &random::<32>()?)))
    }

    /// A ticket; an error where it would be too long.
    pub(super) fn close(&self, errand: &Errand) -> Result<Bytes, String> {
        let said = serde_json::to_vec(errand).map_err(|error| error.to_string())?;
        let mut ticket = hmac::sign(&self.0, &said).as_ref().to_vec();
        ticket.extend_from_slice(&said);
        if ticket.len() > TICKET_BYTES_MAX {
            return Err(format!(
                "the statement with its parameters makes a ticket of {} bytes, and {TICKET_BYTES_MAX} are possible",
                ticket.len()
            ));
        }
        Ok(ticket.into())
    }

    /// What a ticket says; `None`: it was not sealed here.
    pub(super) fn open(&self, ticket: &[u8]) -> Option<Errand> {
        if ticket.len() > TICKET_BYTES_MAX {
            return None;
        }
        let (seal, said) = ticket.split_at_checked(SEAL_BYTES)?;
        hmac::verify(&self.0, said, seal).ok()?;
        serde_json::from_slice(said).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::{Errand, Seal, TICKET_BYTES_MAX};
    use crate::sql::{Given, Parameter};

    #[test]
    fn a_ticket_says_what_was_sealed_and_nothing_else() {
        let seal = Seal::new().unwrap();
        let one = Parameter {
            oid: 20,
            value: Given::Text("7".to_owned()),
        };
        let errand = Errand::new("auditor", "SELECT $1", vec![one]).unwrap();
        let ticket = seal.close(&errand).unwrap();
        assert_eq!(seal.open(&ticket), Some(errand.clone()));
        for at in 0..ticket.len() {
            let mut other = ticket.to_vec();
            other[at] ^= 1;
            assert_eq!(seal.open(&other), None, "byte {at}");
            assert_eq!(seal.open(&ticket[..at]), None, "cut at {at}");
        }
        assert_eq!(Seal::new().unwrap().open(&ticket), None, "another start's key");
        let again = Errand::new("auditor", "SELECT $1", Vec::new()).unwrap();
        assert_ne!(again.id, errand.id);
    }

    #[test]
    fn a_ticket_that_would_be_too_long_is_refused() {
        let seal = Seal::new().unwrap();
        let errand = Errand::new("auditor", &"x".repeat(TICKET_BYTES_MAX), Vec::new()).unwrap();
        assert!(seal.close(&errand).unwrap_err().contains("3145728 are possible"));
        assert_eq!(seal.open(&vec![0; TICKET_BYTES_MAX + 1]), None);
    }
}
