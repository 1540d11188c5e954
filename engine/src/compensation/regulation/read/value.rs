//! Single values of a document: each checked, or refused with its key and the reason.

use std::{collections::BTreeSet, ops::RangeInclusive, str::FromStr};

use gridtally_schemas::Day;

use super::super::{REQUEST_KINDS, Validity};
use crate::compensation::{
    Paise,
    calendar::{DAY_MINUTES, parse_time_of_day},
    document::Rupees,
};

/// Longest limit, grace or deadline: ten years in minutes, so that no sum of them overflows.
pub(super) const MINUTES_MAX: i64 = 10 * 366 * DAY_MINUTES;
/// Longest word of a file: an id, a fault type.
const WORD_BYTES_MAX: usize = 64;

/// A key that cannot be used.
pub(in super::super) struct Fault {
    pub(in super::super) key: String,
    pub(in super::super) reason: String,
}

pub(super) type Read<T> = Result<T, Fault>;

pub(super) fn fault<T>(key: impl Into<String>, reason: impl Into<String>) -> Read<T> {
    Err(Fault {
        key: key.into(),
        reason: reason.into(),
    })
}

/// Validity within `outer`; what is missing is inherited.
pub(super) fn validity(
    prefix: &str,
    from: Option<&String>,
    to: Option<&String>,
    outer: Validity,
) -> Read<Validity> {
    let (from_key, to_key) = (format!("{prefix}valid_from"), format!("{prefix}valid_to"));
    let own_from = from.map(|text| day(&from_key, text)).transpose()?;
    let own_to = to.map(|text| day(&to_key, text)).transpose()?;
    let (from, to) = (own_from.unwrap_or(outer.from), own_to.or(outer.to));
    if from < outer.from {
        return fault(from_key, "it lies before the regulation's own");
    }
    if let (Some(to), Some(outer_to)) = (to, outer.to)
        && to > outer_to
    {
        return fault(to_key, "it lies after the regulation's own");
    }
    if to.is_some_and(|to| to <= from) {
        return fault(to_key, "it must lie after valid_from");
    }
    Ok(Validity { from, to })
}

pub(super) fn day(key: &str, text: &str) -> Read<Day> {
    Day::parse(text).map_or_else(
        || fault(key, format!("`{text}` is not a day such as 2026-04-01")),
        Ok,
    )
}

pub(super) fn days(key: &str, value: Option<i64>) -> Read<Option<i32>> {
    value.map(|value| whole(key, value, 0..=3_660)).transpose()
}

pub(super) fn time_of_day(key: &str, text: &str) -> Read<i64> {
    parse_time_of_day(text).map_or_else(|| fault(key, format!("`{text}` is not a time such as 18:00")), Ok)
}

pub(super) fn money(key: &str, raw: &Rupees) -> Read<Paise> {
    let reason = format!(
        "0 to {} rupees, as a whole number or as text with two decimals",
        Paise::LARGEST_RATE
    );
    raw.paise().map_or_else(|| fault(key, reason), Ok)
}

pub(super) fn needed(key: &str, value: Option<i64>, range: RangeInclusive<i64>) -> Read<i64> {
    value.map_or_else(|| fault(key, "it is needed"), |value| whole(key, value, range))
}

pub(super) fn whole<T: TryFrom<i64>>(key: &str, value: i64, range: RangeInclusive<i64>) -> Read<T> {
    let reason = format!("{value} is not in {} to {}", range.start(), range.end());
    if !range.contains(&value) {
        return fault(key, reason);
    }
    T::try_from(value).or_else(|_| fault(key, reason))
}

pub(super) fn parsed<T: FromStr<Err = String>>(key: &str, text: &str) -> Read<T> {
    text.parse().or_else(|reason| fault(key, reason))
}

pub(super) fn set<T: FromStr<Err = String> + Ord>(key: &str, texts: &[String]) -> Read<BTreeSet<T>> {
    texts.iter().map(|text| parsed(key, text)).collect()
}

/// A name: letters, digits, `_` and `-`.
pub(super) fn word(key: &str, text: &str) -> Read<String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if text.is_empty() || text.len() > WORD_BYTES_MAX || !text.bytes().all(fits) {
        return fault(key, format!("`{text}` is not a word of letters, digits, _ and -"));
    }
    Ok(text.to_owned())
}

pub(super) fn request_kind(key: &str, text: &str) -> Read<String> {
    if REQUEST_KINDS.iter().any(|(word, _, _)| *word == text) {
        return Ok(text.to_owned());
    }
    let known: Vec<&str> = REQUEST_KINDS.iter().map(|(word, _, _)| *word).collect();
    fault(key, format!("`{text}` is none of: {}", known.join(", ")))
}

/// A sentence or name for people.
pub(super) fn said(key: &str, text: &str) -> Read<String> {
    if text.trim().is_empty() {
        return fault(key, "it is empty");
    }
    Ok(text.to_owned())
}
