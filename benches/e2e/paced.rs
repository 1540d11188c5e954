//! An open loop: each publish at its time, whatever the server does.
#![allow(dead_code, reason = "each bench uses its own part of this")]

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::{
    load::{Frames, Gateway},
    product::Product,
    watch::{Applied, Tiles},
};

/// What was met meanwhile, both in microseconds.
pub struct Paced {
    /// From the time of each publish until an event of the stream said that the balances contain it.
    pub live: Histogram<u64>,
    pub tiles: Histogram<u64>,
    /// From the time of the first publish until the balances contained the last.
    pub took: Duration,
}

/// Publishes so many publishes a second, and waits until the balances contain all. Nothing else may be published meanwhile.
pub fn publish(product: &Product, frames: &Frames, per_second: usize) -> Paced {
    let base = product.wait_applied()["log_position"].as_u64().unwrap();
    let applied = Applied::watch(product);
    let tiles = Tiles::watch(product);
    let pause = Duration::from_secs(1) / u32::try_from(per_second).unwrap();
    let began = Gateway::connect(product.mqtt).publish_paced(frames, pause);
    let last = base + frames.count() as u64;
    product.wait("the last publish", |summary| {
        summary["applied_position"].as_u64().unwrap() >= last
    });
    let reached = applied.end(last);
    let tiles = tiles.end();
    let mut live = Histogram::<u64>::new(3).unwrap();
    // One connection: its publishes are the log's records, in order.
    for number in 0..frames.count() {
        let due = began + pause * u32::try_from(number).unwrap();
        let position = base + 1 + number as u64;
        let place = reached.partition_point(|(applied, _)| *applied < position);
        let delay = reached[place].1.saturating_duration_since(due);
        live.record(delay.as_micros() as u64).unwrap();
    }
    let took = reached[reached.len() - 1].1 - began;
    Paced { live, tiles, took }
}
