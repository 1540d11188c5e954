//! A row of the quarantine on its way back: what waited, whole, so that a log record of a release needs no table to be read.

use crate::UtcMicros;

/// What waits in quarantine, as its row has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Its id: the log record that carried it, its place in it, and the reason.
    pub exception_id: String,
    /// When it was received.
    pub received_at: UtcMicros,
    /// Who sent it.
    pub source: String,
    /// Topic as received; `None`: it did not come over MQTT, or its record keeps none.
    pub topic: Option<String>,
    /// MQTT 5 content type as received.
    pub content_type: Option<String>,
    /// Its meter; `None`: it names none that can be read.
    pub meter_id: Option<String>,
    /// Its first interval; `None`: it has none that can be read.
    pub interval_end: Option<UtcMicros>,
    /// Why it waits: a rule's name, or a word followed by a colon and more.
    pub reason: String,
    /// The payload as received, or the part of one meter as JSON.
    pub payload: Vec<u8>,
}

impl Quarantined {
    /// The reason without what follows a colon.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.reason.split(':').next().unwrap_or_default()
    }
}
