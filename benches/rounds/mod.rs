//! Rounds of one measurement and how their spread is printed.
#![allow(dead_code, reason = "each bench uses a part of it")]

use std::{fmt, time::Instant};

/// What several rounds of one measurement gave.
pub struct Rounds {
    name: String,
    unit: &'static str,
    values: Vec<f64>,
}

impl Rounds {
    /// No round yet.
    pub fn new(name: impl Into<String>, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            unit,
            values: Vec::new(),
        }
    }

    /// Notes what a round gave.
    pub fn note(&mut self, value: f64) {
        self.values.push(value);
        self.values.sort_by(f64::total_cmp);
    }

    /// The middle one.
    pub fn median(&self) -> f64 {
        self.values[self.values.len() / 2]
    }
}

impl fmt::Display for Rounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, unit, values } = self;
        let (least, median, most) = (values[0], self.median(), values[values.len() - 1]);
        write!(
            f,
            "{name:<52} min {:>12}  median {:>12}  max {:>12} {unit}  ({} rounds)",
            grouped(least),
            grouped(median),
            grouped(most),
            values.len()
        )
    }
}

/// A number with its thousands apart; decimals only when small.
fn grouped(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Events a second.
pub fn per_second(events: usize, since: Instant) -> f64 {
    events as f64 / since.elapsed().as_secs_f64()
}

/// What the figures were taken on: processor, memory, and the disk below `folder`.
pub fn machine(folder: &str) -> String {
    let line = |file: &str, key: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let found = text
            .lines()
            .find(|line| line.starts_with(key))
            .unwrap_or_default();
        found
            .split_once(':')
            .map_or("unknown", |(_, value)| value.trim())
            .to_owned()
    };
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let disk = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .filter(|fields| folder.starts_with(fields[1]))
        .max_by_key(|fields| fields[1].len())
        .map_or_else(
            || "unknown".to_owned(),
            |fields| format!("{} on {}", fields[2], fields[0]),
        );
    format!(
        "{} x {}, {} memory, {disk}",
        std::thread::available_parallelism().map_or(0, usize::from),
        line("/proc/cpuinfo", "model name"),
        line("/proc/meminfo", "MemTotal"),
    )
}
