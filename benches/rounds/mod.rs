//! Rounds of one measurement, and the row that tells their spread beside the target: least, middle, greatest. `benches/table` picks the rows
//! that have one, and `benches/compare` pairs the rows of two commits by their names.
#![allow(dead_code, reason = "each bench uses a part of it")]

use std::{fmt, time::Instant};

/// What must come out (DESIGN section 11).
#[derive(Debug, Clone, Copy)]
enum Target {
    AtLeast(f64),
    AtMost(f64),
}

/// What several rounds of one measurement gave.
pub struct Rounds {
    name: String,
    unit: &'static str,
    values: Vec<f64>,
    target: Option<Target>,
}

impl Rounds {
    /// No round yet.
    pub fn new(name: impl Into<String>, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            unit,
            values: Vec::new(),
            target: None,
        }
    }

    /// The middle one should be no less.
    pub const fn at_least(mut self, target: f64) -> Self {
        self.target = Some(Target::AtLeast(target));
        self
    }

    /// The middle one should be no more.
    pub const fn at_most(mut self, target: f64) -> Self {
        self.target = Some(Target::AtMost(target));
        self
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
        let Self {
            name,
            unit,
            values,
            target,
        } = self;
        let (least, median, most) = (values[0], self.median(), values[values.len() - 1]);
        write!(
            f,
            "| {name} | {} | {} | {} | {unit} | {} |",
            grouped(least),
            grouped(median),
            grouped(most),
            target.map_or_else(String::new, |target| target.told(median))
        )
    }
}

impl Target {
    fn told(self, median: f64) -> String {
        let (word, target, is_met) = match self {
            Self::AtLeast(target) => ("at least", target, median >= target),
            Self::AtMost(target) => ("at most", target, median <= target),
        };
        format!(
            "{word} {}: {}",
            grouped(target),
            if is_met { "met" } else { "**missed**" }
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
