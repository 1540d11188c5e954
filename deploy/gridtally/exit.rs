//! What ends the process, and with which code.

use std::{error::Error, process::ExitCode};

use crate::config::ConfigError;

/// Why a command did not do all of its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Usage or configuration: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Configuration: exit code 2.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The work met a failure: exit code 1.
    #[error("{what}")]
    Work {
        /// What failed.
        what: String,
        /// Why.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// The work is done, and what it found was already reported: exit code 1.
    #[error("{0}")]
    Found(String),
    /// Shutdown took longer than allowed: exit code 3.
    #[error("shutdown took longer than {seconds} s; still pending: {pending}")]
    Deadline {
        /// The limit.
        seconds: u64,
        /// Who was not done.
        pending: String,
    },
    /// Disk or log cannot be trusted any more: exit code 4.
    #[error("storage is not trustworthy: {what}; nothing more was acknowledged")]
    Storage {
        /// What failed.
        what: String,
        /// Why.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
}

impl Failure {
    /// A failure of the work, with its source.
    pub(crate) fn work(what: impl Into<String>, source: impl Error + Send + Sync + 'static) -> Self {
        Self::Work {
            what: what.into(),
            source: Some(Box::new(source)),
        }
    }

    const fn code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Config(_) => 2,
            Self::Work { .. } | Self::Found(_) => 1,
            Self::Deadline { .. } => 3,
            Self::Storage { .. } => 4,
        }
    }
}

/// Prints what went wrong, with every cause, and gives the exit code.
pub(crate) fn code(outcome: Result<(), Failure>) -> ExitCode {
    let Err(failure) = outcome else {
        return ExitCode::SUCCESS;
    };
    eprintln!("gridtally: {}", chain(&failure));
    ExitCode::from(failure.code())
}

/// An error with its sources, on one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
