//! How fast the page is in Debian's chromium, beside the server on the same machine: first paint, what is loaded for it, and frames a second over a
//! week of intervals of 1,000 DTs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::print_stdout,
    clippy::too_many_lines,
    clippy::too_many_arguments,
    clippy::large_futures,
    clippy::needless_pass_by_value,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "tests fail by panicking, and are an edge"
)]

mod product;

use std::{fmt::Write as _, path::Path};

use product::{
    Product,
    browser::{Browser, FILLED},
    evening,
};
use serde_json::json;

/// First paint, and what is loaded for it; the figures are printed.
#[test]
fn the_first_paint_is_soon_and_small() {
    let folder = tempfile::tempdir().unwrap();
    let product = evening::start(folder.path());
    let Some(mut browser) = Browser::open() else {
        return;
    };
    let server = product.url("");
    let mut paints = Vec::new();
    for _ in 0..5 {
        browser.go(&format!("{server}/"));
        browser.until(FILLED);
        let paint = browser.value("performance.getEntriesByName('first-contentful-paint')[0].startTime");
        paints.push(paint.as_f64().unwrap());
    }
    paints.sort_by(f64::total_cmp);
    let bytes = browser.value(
        "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource').filter(({ name }) => name.includes('/ui/'))].reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0)",
    );
    println!(
        "first contentful paint, ms: {paints:.0?}; page, script, style and images at first load, compressed: {bytes} bytes"
    );
    // The best of five: others use this machine too.
    assert!(paints[0] < 1_000.0, "{paints:?}");
    let bytes = bytes.as_u64().unwrap();
    assert!((10_000..400_000).contains(&bytes), "{bytes} bytes at first load");
}

/// Where a place of a town of 200 feeders stands, ten DTs on each.
fn places(count: usize) -> serde_json::Value {
    let place = |at: usize| {
        let (feeder, is_feeder) = (at / 10, at.is_multiple_of(10));
        json!({
            "node_id": if is_feeder { format!("F{feeder}") } else { format!("T{at}") },
            "kind": if is_feeder { "feeder" } else { "dt" },
            "name": format!("Place {at}"),
            "parent_id": if is_feeder { "S".to_owned() } else { format!("F{feeder}") },
            "lat": 18.6 + 0.01 * (feeder % 14) as f64 + 0.0007 * (at % 10) as f64,
            "lon": 76.9 + 0.01 * (feeder / 14) as f64 + 0.0005 * (at * at % 17) as f64,
            "loss_pct": 9.0,
            "attention": "normal",
        })
    };
    json!({ "day": "2026-04-01", "places": (0..count).map(place).collect::<Vec<_>>(), "left_out": 0, "dts_not_placed": 0 })
}

/// Nothing on the page holds it up for longer than a person notices, with as many places on the map as there may be.
#[test]
fn a_map_of_two_thousand_places_holds_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let product = evening::start(folder.path());
    let Some(mut browser) = Browser::open() else {
        return;
    };
    browser.stub(&[("/api/v1/places", None, 200, places(2_000))]);
    let mut longest = f64::MAX;
    for _ in 0..3 {
        browser.go(&product.url("/"));
        browser.until(FILLED);
        browser.until("document.querySelectorAll('.map .spot').length === 1800");
        let task = browser.value(
            "new Promise((done) => { const watch = new PerformanceObserver((list) => done(Math.max(...list.getEntries().map(({ duration }) => duration)))); \
             watch.observe({ type: 'longtask', buffered: true }); setTimeout(() => done(0), 2000); })",
        );
        longest = longest.min(task.as_f64().unwrap());
    }
    browser.shot("map-of-2000");
    println!("longest task of the page with 2,000 places, ms: {longest:.0}");
    // Side by side in one element they took six seconds. The best of three: others use this machine too.
    assert!(longest < 1_500.0, "{longest} ms");
}

const DTS: usize = 1_000;
const INTERVALS: i64 = 7 * 96;

/// A week of 1,000 DTs on 20 feeders, each with a meter and a connection that is assessed.
fn week_of_a_thousand_dts(folder: &Path) {
    let since = "2025-04-01T00:00:00+05:30";
    let mut nodes = format!(
        "node_id,kind,parent_id,name,valid_from\nD,discom,,Konkan Vidyut,{since}\nS,substation,D,Ratnagiri,{since}\n"
    );
    let mut meters = "meter_id,role,node_id,interval_minutes,multiplier,valid_from\n".to_owned();
    let mut connections =
        "consumer_id,meter_id,node_id,category,supply,phases,metering,assessed_kwh_month,valid_from\n"
            .to_owned();
    for feeder in 0..20 {
        writeln!(nodes, "F{feeder},feeder,S,Feeder {feeder},{since}").unwrap();
    }
    for dt in 0..DTS {
        writeln!(nodes, "T{dt},dt,F{},DT {dt},{since}", dt % 20).unwrap();
        writeln!(meters, "M{dt},dt,T{dt},15,1,{since}").unwrap();
        writeln!(
            connections,
            "C{dt},,T{dt},LT-domestic,LT,1,unmetered,{},{since}",
            9_000 + dt
        )
        .unwrap();
    }
    let mut reads = "meter_id,interval_end,import_wh\n".to_owned();
    let start = gridtally_schemas::UtcMicros::parse("2026-04-01T00:00:00+05:30").unwrap();
    for interval in 1..=INTERVALS {
        let end = start.plus(interval * 900_000_000);
        let end = end.to_rfc3339(&gridtally_schemas::Zone::kolkata());
        for dt in 0..DTS {
            // More or less is lost, by DT and by hour.
            let wh = 2_800 + (dt as i64 * 7) % 900 + (interval * 13) % 700;
            writeln!(reads, "M{dt},{end},{wh}").unwrap();
        }
    }
    for (name, text) in [
        ("nodes", nodes),
        ("meters", meters),
        ("connections", connections),
        ("reads", reads),
    ] {
        std::fs::write(folder.join(format!("{name}.csv")), text).unwrap();
    }
}

/// Milliseconds between frames while something is done on the page, from the shortest.
fn frames(browser: &mut Browser, act: impl FnOnce(&mut Browser)) -> Vec<f64> {
    browser.value(
        "(() => { const all = []; let last = performance.now(); let on = true; window.frames_ms = () => { on = false; return all.slice(1).sort((a, b) => a - b); }; \
         const turn = (now) => { all.push(now - last); last = now; if (on) requestAnimationFrame(turn); }; requestAnimationFrame(turn); })()",
    );
    act(browser);
    let frames = browser.value("frames_ms()");
    let frames = frames.as_array().unwrap().iter();
    frames.map(|ms| ms.as_f64().unwrap()).collect()
}

/// 60 frames a second: half of them within a frame of a screen of 60 Hz, and 95 of 100 within two. Of five turns the best counts: others use this
/// machine too.
fn is_smooth(browser: &mut Browser, name: &str, act: &dyn Fn(&mut Browser)) {
    let mut best = (f64::MAX, f64::MAX);
    for _ in 0..5 {
        let frames = frames(browser, act);
        assert!(frames.len() > 20, "{name}: {frames:?}");
        let at = |share: f64| frames[((frames.len() - 1) as f64 * share) as usize];
        println!(
            "{name}: {} frames, ms: median {:.1}, 95th {:.1}, longest {:.1}",
            frames.len(),
            at(0.5),
            at(0.95),
            at(1.0)
        );
        if at(0.95) < best.1 {
            best = (at(0.5), at(0.95));
        }
    }
    assert!(
        best.0 < 17.5 && best.1 < 34.0,
        "{name}: median and 95th {best:?} ms"
    );
}

#[test]
fn sixty_frames_a_second_over_a_week_of_a_thousand_dts() {
    let folder = tempfile::tempdir().unwrap();
    week_of_a_thousand_dts(folder.path());
    let product = Product::start(
        &folder.path().join("data"),
        &[
            ("now", "2026-04-08T00:00:00+05:30"),
            ("engine.checkpoint_seconds", "3600"),
        ],
    );
    product.import_all(folder.path(), &["nodes", "meters", "connections", "reads"]);
    product.wait_applied();
    product.checkpoint();
    let Some(mut browser) = Browser::open() else {
        return;
    };
    let server = product.url("");
    browser.go(&format!("{server}/#node=S&range=7d&below=intervals"));
    browser.until(&format!("{FILLED} && !!document.querySelector('.matrix canvas')"));
    browser.value("document.activeElement.blur()");
    browser.until_says("#subject .matrix-block .readout", "1,000 DTs by 672 intervals");
    browser.shot("matrix");

    let hover = |css: &'static str| {
        move |browser: &mut Browser| {
            browser.step("hover", json!([css, 0.05, 0.95]));
        }
    };
    is_smooth(
        &mut browser,
        "pointing over the chart",
        &hover("#subject .over-time .u-over"),
    );
    is_smooth(
        &mut browser,
        "pointing over 1,000 DTs",
        &hover("#subject .matrix"),
    );
    for _ in 0..2 {
        browser.click("#subject .matrix-block [data-step=closer]");
    }
    is_smooth(&mut browser, "dragging over 1,000 DTs", &|browser| {
        for (from, to) in [(0.2, 0.8), (0.8, 0.3), (0.3, 0.7), (0.7, 0.2)] {
            browser.step("drag", json!(["#subject .matrix", from, to]));
        }
    });
    browser.shot("matrix-closer");
    // What is pointed at is said, and a click opens it: the same DT, the same interval, the same loss.
    browser.step("hover", json!(["#subject .matrix", 0.5, 0.5]));
    let pointed = browser.value(
        "[...document.querySelectorAll('#subject .matrix-block .readout b')].map((part) => part.innerText)",
    );
    browser.click("#subject .matrix");
    browser.until(&format!(
        "document.querySelector('#subject h1').innerText === {}",
        pointed[0]
    ));
    browser.until_says(
        "#interval dl",
        &pointed[1].as_str().unwrap().replace('\u{a0}', " "),
    );
    browser.is_sound(&server);
}
