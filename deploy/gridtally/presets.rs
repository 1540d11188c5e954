//! The regulations of `deploy/presets`, carried in the binary, and those of an operator's own files.

use std::path::Path;

use gridtally_engine::compensation::{document::Document, regulation::Regulation};

use crate::exit::Failure;

/// Each preset by the name of its file.
const PRESETS: &[(&str, &str)] = &[
    ("IN-DL-DERC-2018", include_str!("../presets/IN-DL-DERC-2018.toml")),
    ("IN-MH-MERC-2021", include_str!("../presets/IN-MH-MERC-2021.toml")),
    (
        "IN-TG-TSERC-2016",
        include_str!("../presets/IN-TG-TSERC-2016.toml"),
    ),
    (
        "IN-UP-UPERC-2019",
        include_str!("../presets/IN-UP-UPERC-2019.toml"),
    ),
];
/// Largest file that is read as a regulation, bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The names of the presets.
pub(crate) fn names() -> Vec<&'static str> {
    PRESETS.iter().map(|(name, _)| *name).collect()
}

/// Whether the binary carries a preset of this name.
pub(crate) fn is_preset(name: &str) -> bool {
    PRESETS.iter().any(|(known, _)| *known == name)
}

/// The regulation of a preset, or of a file.
///
/// # Errors
/// [`Failure::Usage`] when there is none of this name, or it cannot be applied: key and reason.
pub(crate) fn regulation(name_or_path: &str) -> Result<Regulation, Failure> {
    let preset = PRESETS.iter().find(|(name, _)| *name == name_or_path);
    let text = match preset {
        Some((_, text)) => (*text).to_owned(),
        None => read(name_or_path)?,
    };
    read_regulation(name_or_path, &text)
}

/// The regulation that a text says.
///
/// # Errors
/// [`Failure::Usage`] when it cannot be applied: key and reason.
pub(crate) fn read_regulation(name: &str, text: &str) -> Result<Regulation, Failure> {
    let document: Document = toml::from_str(text)
        .map_err(|error| Failure::Usage(format!("regulation {name} cannot be read: {error}")))?;
    Regulation::check(&document).map_err(|error| Failure::Usage(error.to_string()))
}

fn read(path: &str) -> Result<String, Failure> {
    let unusable = |reason: String| {
        Failure::Usage(format!(
            "`{path}` is no preset ({}), and as a file: {reason}",
            names().join(", ")
        ))
    };
    let path = Path::new(path);
    let bytes = std::fs::metadata(path)
        .map_err(|error| unusable(error.to_string()))?
        .len();
    if bytes > FILE_BYTES_MAX {
        return Err(unusable(format!(
            "{bytes} bytes are more than a regulation has ({FILE_BYTES_MAX})"
        )));
    }
    std::fs::read_to_string(path).map_err(|error| unusable(error.to_string()))
}
