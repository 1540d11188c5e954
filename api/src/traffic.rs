//! Counts of HTTP requests, by route and status, with their latency.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Upper ends of the latency classes, seconds.
const CLASSES: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

#[derive(Debug, Default)]
struct Route {
    answers: BTreeMap<u16, u64>,
    classes: [u64; CLASSES.len()],
    seconds: f64,
    count: u64,
}

/// What was asked of the API since it started. The routes are those of the router, so their number is fixed.
#[derive(Debug, Default)]
pub(crate) struct Traffic(Mutex<BTreeMap<(&'static str, &'static str), Route>>);

impl Traffic {
    /// Counts an answer; `elapsed` until its head was ready.
    pub(crate) fn count(&self, method: &'static str, route: &'static str, status: u16, elapsed: Duration) {
        let mut routes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = routes.entry((route, method)).or_default();
        *entry.answers.entry(status).or_default() += 1;
        let seconds = elapsed.as_secs_f64();
        for (class, upper) in entry.classes.iter_mut().zip(CLASSES) {
            *class += u64::from(seconds <= upper);
        }
        entry.seconds += seconds;
        entry.count += 1;
    }

    /// Writes the counts as Prometheus text.
    pub(crate) fn render(&self, text: &mut String) {
        let routes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str("# HELP gridtally_http_requests_total HTTP requests answered.\n# TYPE gridtally_http_requests_total counter\n");
        for ((route, method), entry) in &*routes {
            for (status, count) in &entry.answers {
                let _ = writeln!(
                    text,
                    "gridtally_http_requests_total{{route=\"{route}\",method=\"{method}\",status=\"{status}\"}} {count}"
                );
            }
        }
        text.push_str("# HELP gridtally_http_request_seconds Time until the head of an answer was ready.\n");
        text.push_str("# TYPE gridtally_http_request_seconds histogram\n");
        for ((route, method), entry) in &*routes {
            let labels = format!("route=\"{route}\",method=\"{method}\"");
            for (count, upper) in entry.classes.iter().zip(CLASSES) {
                let _ = writeln!(
                    text,
                    "gridtally_http_request_seconds_bucket{{{labels},le=\"{upper}\"}} {count}"
                );
            }
            let _ = writeln!(
                text,
                "gridtally_http_request_seconds_bucket{{{labels},le=\"+Inf\"}} {}",
                entry.count
            );
            let _ = writeln!(
                text,
                "gridtally_http_request_seconds_sum{{{labels}}} {}",
                entry.seconds
            );
            let _ = writeln!(
                text,
                "gridtally_http_request_seconds_count{{{labels}}} {}",
                entry.count
            );
        }
    }
}
