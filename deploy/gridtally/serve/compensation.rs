//! Which regulation on compensation is in force where and from when on, and whether billing waits for an approval, from configuration.

use std::path::PathBuf;

use gridtally_engine::{
    compensation::in_force::{InForce, Statement},
    world::CompensationRules,
};
use gridtally_schemas::{Day, NodeId, Zone};

use crate::{
    config::{Config, ConfigError, RegulationEntry},
    presets,
};

/// What configuration says of compensation, checked.
pub(super) fn rules(config: &Config, zone: &Zone) -> Result<CompensationRules, ConfigError> {
    let otherwise = config
        .text_if_set("compensation.regulation")
        .map(presets::regulation)
        .transpose()
        .map_err(|failure| config.refuse("compensation.regulation", failure.to_string()))?;
    let statements = (1..)
        .zip(&config.regulations)
        .map(|(number, entry)| statement(entry).map_err(|reason| refuse(config, number, reason)));
    let statements = statements.collect::<Result<Vec<_>, _>>()?;
    let in_force = InForce::new(zone, statements, otherwise)
        .map_err(|error| form(config, "regulations".to_owned(), crate::exit::chain(&error)))?;
    let needs_approval = match config.text("compensation.approval") {
        "none" => false,
        "two_people" => true,
        _ => return Err(config.refuse("compensation.approval", "none and two_people are possible")),
    };
    Ok(CompensationRules {
        in_force,
        needs_approval,
    })
}

fn statement(entry: &RegulationEntry) -> Result<Statement, String> {
    let name_or_path = match (&entry.preset, &entry.file) {
        (Some(preset), None) if presets::is_preset(preset) => preset,
        (Some(preset), None) => {
            let known = presets::names().join(", ");
            return Err(format!(
                "`preset`: `{preset}` is none of {known}; a file of your own is named by `file`"
            ));
        }
        (None, Some(file)) => file,
        (Some(_), Some(_)) | (None, None) => return Err("one of `preset` and `file` is needed".to_owned()),
    };
    let regulation = presets::regulation(name_or_path).map_err(|failure| failure.to_string())?;
    let from = entry.valid_from.as_ref().map(|text| {
        let day = Day::parse(text).filter(|_| text.len() == "2026-04-01".len());
        day.ok_or_else(|| format!("`valid_from`: `{text}` is not a day such as 2026-04-01"))
    });
    let node = entry
        .node
        .as_ref()
        .map(|text| NodeId::parse(text).map_err(|error| format!("`node`: `{text}`: {error}")));
    Ok(Statement {
        node: node.transpose()?,
        from: from.transpose()?.unwrap_or(regulation.valid.from),
        regulation,
    })
}

fn refuse(config: &Config, number: usize, reason: String) -> ConfigError {
    form(config, format!("regulations[{number}]"), reason)
}

fn form(config: &Config, key: String, reason: String) -> ConfigError {
    ConfigError::Form {
        key,
        path: config
            .file
            .clone()
            .unwrap_or_else(|| PathBuf::from("the configuration")),
        reason,
    }
}
