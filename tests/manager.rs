//! What a manager does on the page, in Debian's chromium on the real binary: the ranking of feeders, who answers for one and what is planned
//! against its deviation, target against revenue through the year and what loss costs, who is to be audited and why, and the reports that are
//! signed.
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

use std::{
    fmt::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use product::{
    PATIENCE, Product, accounts,
    browser::{Browser, FIRST_ROW, SETTLED},
    suspects,
};
use serde_json::json;

const SIZES: [(u32, &str); 4] = [(1_440, "light"), (1_440, "dark"), (360, "dark"), (3_840, "light")];

/// A view holds in both schemes, on a desk, a telephone and a wall.
fn at_every_size(browser: &mut Browser, server: &str, name: &str, address: &str) {
    for (width, scheme) in SIZES {
        browser.size(width, scheme);
        browser.go(&format!("{server}/#{address}"));
        browser.until(SETTLED);
        browser.shot(&format!("{name}-{width}-{scheme}"));
        browser.value("document.querySelector('#subject > :last-child').scrollIntoView({ block: 'end' })");
        browser.shot(&format!("{name}-{width}-{scheme}-end"));
        browser.is_sound(server);
        browser.is_accessible();
        let moved = browser.shifted();
        println!("{name} at {width}: what was shown moved by {moved:.4}");
        assert!(
            moved < 0.1,
            "{name} at {width}: {moved}: {}",
            browser.value("jumps")
        );
    }
    browser.size(1_440, "light");
}

fn fill(browser: &mut Browser, form: &str, fields: &[(&str, &str)]) {
    for (name, text) in fields {
        let field = format!("{form} [name={name}]");
        browser.click(&field);
        browser.type_in(text);
        let kept = browser.value(&format!("document.querySelector({}).value", json!(field)));
        assert_eq!(kept, json!(text), "{field}");
    }
}

/// What a person picks from a list of choices.
fn choose(browser: &mut Browser, css: &str, value: &str) {
    let pick = format!(
        "(() => {{ const choice = document.querySelector({}); choice.value = '{value}'; choice.dispatchEvent(new Event('change', {{ bubbles: true }})); return choice.value; }})()",
        json!(css)
    );
    assert_eq!(browser.value(&pick), json!(value), "{css}");
}

/// A day in a date field; how it is typed depends on the browser's language.
fn set_day(browser: &mut Browser, css: &str, day: &str) {
    let set = format!(
        "(() => {{ const field = document.querySelector({}); field.value = '{day}'; field.dispatchEvent(new Event('input', {{ bubbles: true }})); return field.value; }})()",
        json!(css)
    );
    assert_eq!(browser.value(&set), json!(day), "{css}");
}

#[test]
fn a_manager_finds_the_worst_feeder_says_why_and_what_is_done_and_opens_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let product = accounts::start(folder.path());
    let Some(mut browser) = Browser::open() else {
        return;
    };
    let server = product.url("");
    browser.go(&format!("{server}/#view=revenue"));
    browser.until(SETTLED);
    // F1 is 0.16 for each kWh below its target of 6.16, F2 is above its own.
    let first = browser.text("#ranking tbody tr:first-child");
    for part in ["F1", "₹ 576", "A. Rao", "far below"] {
        let is_far = part == "far below";
        assert_eq!(first.contains(part), !is_far, "{part}: {first}");
    }
    // In March 3.81 for each kWh were missing: 2,976 kWh at 6.16 less 7,000.
    assert!(first.contains("₹ 11,332") && first.contains("better"), "{first}");
    browser.until_says("#ranking tbody tr:last-child", "−₹ 4,838");
    // Of the discom: 8,640 kWh in, 7,596 billed; of 61,920 demanded 61,320 came.
    let april = product.get("/api/v1/nodes/D/accounting?from=2026-04-01&to=2026-04-30");
    let atc = april["periods"][0]["atc_loss_pct"].as_f64().unwrap();
    let row = browser.text("#accounting tr[data-period='2026-04']");
    for part in ["87.9 %".to_owned(), "99.0 %".to_owned(), format!("{atc:.1} %")] {
        assert!(row.contains(&part), "{part} is not in {row}");
    }
    browser.until_says("#bands tbody", "S");
    browser.until_says("#prosumers tbody", "net metering");
    browser.is_accessible();

    // By what is missing of a unit, in March.
    browser.click("#ranking .choice button:last-child");
    browser.until_says("#ranking tbody tr:first-child", "₹ 0.16");
    choose(&mut browser, "#ranking [name=month]", "2026-03-01");
    browser.until_says("#ranking tbody tr:first-child", "₹ 3.81");
    browser.until("document.querySelectorAll('#ranking tbody tr').length === 1");
    browser.shot("ranking-of-march");

    // Of zones: there is one, with one feeder known of two.
    choose(&mut browser, "#level", "zone");
    browser.until_says("#ranking tbody tr:first-child", "Z");
    browser.until_says("#ranking thead", "Zone");
    browser.is_accessible();
    choose(&mut browser, "#level", "feeder");
    browser.until_says("#ranking tbody tr:first-child", "F1");

    browser.click(FIRST_ROW);
    browser.until_says("#subject h1", "Revenue of F1");
    browser.until_says("#manager .lead", "S. Iyer");
    browser.until_says("#manager .said", "A. Rao");
    browser.until_says("#actions", "No cause is recorded yet");
    // Where it comes from, and what is to be done until when.
    browser.click("#actions summary");
    let words = [
        ("person", "S. Iyer"),
        ("cause", "hooking in the old town"),
        ("mitigation", "armoured cable"),
    ];
    fill(&mut browser, "#actions form", &words);
    set_day(&mut browser, "#actions form [name=starts_on]", "2026-04-20");
    set_day(&mut browser, "#actions form [name=due_on]", "2026-05-10");
    browser.shot("cause-form");
    browser.is_accessible();
    browser.click("#actions form button[type=submit]");
    browser.until_says("#actions .told", "Recorded.");
    for part in [
        "hooking in the old town",
        "armoured cable",
        "due 10 May 2026",
        "overdue",
        "S. Iyer",
    ] {
        browser.until_says("#actions .plans", part);
    }
    browser.shot("cause-recorded");
    let said = product.get("/api/v1/feeders/F1/accountability");
    let action = &said["actions"][0];
    assert_eq!(
        (
            &action["cause"],
            &action["mitigation"],
            &action["due_on"],
            &action["month"]
        ),
        (
            &json!("hooking in the old town"),
            &json!("armoured cable"),
            &json!("2026-05-10"),
            &json!("2026-04-01")
        ),
        "{said}"
    );
    browser.is_accessible();

    // It is done: a new version, and the first stays.
    browser.click("#actions .by button");
    browser.until("document.activeElement.name === 'person'");
    fill(&mut browser, "#actions form", &[("person", "S. Iyer")]);
    choose(&mut browser, "#actions [name=status]", "done");
    browser.until("!!document.querySelector('#actions [name=done_on]')");
    browser.click("#actions form button[type=submit]");
    browser.until_says("#actions .plans", "done 12 May 2026");
    browser.until_says("#actions .plans", "2 versions");
    let said = product.get("/api/v1/feeders/F1/accountability");
    assert_eq!(said["actions"][0]["status"], "done", "{said}");

    // A feeder without a manager gets one; whoever may not is told what it takes.
    browser.go(&format!("{server}/#view=revenue&node=F2"));
    browser.until_says("#manager .lead", "Nobody is named");
    browser.click("#manager summary");
    fill(
        &mut browser,
        "#manager form",
        &[("person", "A. Rao"), ("manager", "K. Das")],
    );
    let forbidden = json!({ "type": "/docs#role-needed", "title": "This needs another role", "status": 403, "detail": "`wall` has no role for this; needed is operator" });
    browser.stub(&[("/manager", Some("POST"), 403, forbidden)]);
    browser.click("#manager form button[type=submit]");
    browser.until_says("#manager .denied", "needed is operator");
    browser.stub(&[]);
    browser.complaints();
    browser.click("#manager form button[type=submit]");
    browser.until_says("#manager .lead", "K. Das");
    browser.is_sound(&server);

    at_every_size(&mut browser, &server, "manager-discom", "view=revenue");
    at_every_size(&mut browser, &server, "manager-feeder", "view=revenue&node=F1");
    at_every_size(&mut browser, &server, "manager-reports", "view=reports&node=F1");
    report_is_opened(&mut browser, &server);
}

fn report_is_opened(browser: &mut Browser, server: &str) {
    browser.go(&format!("{server}/#view=reports&node=T1"));
    browser.until_says("#report h2", "Monthly MIS of F1");
    browser.until_says("#report .lead", "Apr 2026");
    // Every report has a page and a table, of a node as of the whole; those of the node are made.
    for node in ["node=F1&", ""] {
        for (report, period) in [
            ("mis-monthly", "2026-04"),
            ("amisp-monthly", "2026-04"),
            ("sop-quarterly", "2025-Q4"),
            ("bee-quarterly", "2026-Q1"),
        ] {
            browser.go(&format!(
                "{server}/#view=reports&{node}report={report}&period={period}"
            ));
            let of = if node.is_empty() { "" } else { "&node=F1" };
            for (id, format) in [("open-report", "html"), ("csv-report", "csv")] {
                let expected = format!("/api/v1/reports/{report}?period={period}{of}&format={format}");
                browser.until(&format!(
                    "document.querySelector('#{id}')?.getAttribute('href') === '{expected}'"
                ));
                if node.is_empty() {
                    continue;
                }
                let answer = browser.value(&format!("fetch(document.querySelector('#{id}').href).then((answer) => [answer.status, answer.headers.get('content-type').split(';')[0]])"));
                assert_eq!(answer, json!([200, format!("text/{format}")]), "{expected}");
            }
        }
    }
    browser.go(&format!("{server}/#view=reports&node=F1"));
    browser.click("#open-report");
    browser.until_says("body", "F1");
    browser.until("document.querySelectorAll('table').length > 1");
    assert_eq!(browser.value("location.pathname"), "/api/v1/reports/mis-monthly");
}

#[test]
fn an_auditor_sees_whom_to_look_at_and_why_and_that_it_proves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    suspects::files(folder.path());
    let product = Product::start(&folder.path().join("data"), &suspects::SETTINGS);
    product.import_all(folder.path(), &suspects::KINDS);
    product.wait_applied();
    product.checkpoint();
    let deadline = Instant::now() + PATIENCE;
    let list = loop {
        let list = product.get("/api/v1/nodes/D/audit/technical?month=2026-04");
        let consumers = product.get("/api/v1/nodes/D/audit/commercial?month=2026-04");
        if list["suspicious"] == 1 && consumers["suspicious"] == 3 {
            break list;
        }
        assert!(
            Instant::now() < deadline,
            "April is not judged: {list}, {consumers}\n{}",
            product.errors()
        );
        std::thread::sleep(Duration::from_millis(50));
    };
    let Some(mut browser) = Browser::open() else {
        return;
    };
    let server = product.url("");
    browser.go(&format!("{server}/#view=audit"));
    browser.until_says("#subject .suspects", "T1");
    let dt = &list["dts"][0];
    let shown = browser.text("#subject .suspects li[data-id=T1]");
    assert!(
        shown.contains("confidence 1.00") && shown.contains("coverage 100.0 %"),
        "{shown}"
    );
    for sign in dt["signs"].as_array().unwrap() {
        assert!(
            shown.contains(sign["evidence"].as_str().unwrap()),
            "{sign}: {shown}"
        );
    }
    browser.until_says("#subject .notice", "never a proof");
    browser.shot("audit-technical");
    browser.is_sound(&server);
    browser.is_accessible();

    browser.click("#subject .filters .choice button:last-child");
    // A tenth of nine consumers is one.
    browser.until_says("#subject", "1 of 9 consumers");
    let listed = product.get("/api/v1/nodes/D/audit/commercial?month=2026-04");
    let evidence = listed["listed"][0]["signs"][0]["evidence"].as_str().unwrap();
    browser.until_says("#subject .suspects li[data-id=C3]", evidence);
    browser.shot("audit-commercial");
    browser.is_accessible();
    let csv = browser.value("fetch(`/api/v1/nodes/D/audit/commercial?month=2026-04`, { headers: { accept: 'text/csv' } }).then((answer) => answer.text())");
    assert!(csv.as_str().unwrap().contains("C3"), "{csv}");
    browser.click("#subject .suspects .who a");
    browser.until_says("#subject h1", "C3");
    browser.is_sound(&server);

    // Of March nothing is known.
    browser.go(&format!("{server}/#view=audit&month=2026-03"));
    browser.until_says("#subject", "No sign is seen in Mar 2026");
    browser.until_says("#subject", "not judged yet");
    at_every_size(&mut browser, &server, "audit-dts", "view=audit");
    at_every_size(
        &mut browser,
        &server,
        "audit-consumers",
        "view=audit&list=consumers",
    );
    at_every_size(&mut browser, &server, "audit-nobody", "view=audit&node=F2");
}

/// Two feeders of 1 and 2 MWh each quarter hour over April to June 2026, with consumers that are assessed; July runs. Last year is billed,
/// so targets are known.
fn revenue_files(folder: &Path) {
    let since = "2020-01-01T00:00:00+05:30";
    let mut reads = "meter_id,interval_end,import_wh\n".to_owned();
    let start = gridtally_schemas::UtcMicros::parse("2026-04-01T00:00:00+05:30").unwrap();
    for quarter in 1..=96 * 95 {
        let end = start
            .plus(quarter * 900_000_000)
            .to_rfc3339(&gridtally_schemas::Zone::kolkata());
        writeln!(reads, "MF1,{end},1000\nMF2,{end},2000").unwrap();
    }
    let nodes = format!(
        "node_id,kind,parent_id,name,allowable_loss_pct,valid_from\nD,discom,,Konkan Vidyut,12,{since}\nS,substation,D,Ratnagiri,,{since}\n\
         F1,feeder,S,Bazaar,,{since}\nF2,feeder,S,Harbour,,{since}\nT1,dt,F1,Bazaar 1,,{since}\nT2,dt,F2,Harbour 1,,{since}\n"
    );
    let meters = format!(
        "meter_id,role,node_id,interval_minutes,multiplier,valid_from\nMF1,feeder,F1,15,1000,{since}\nMF2,feeder,F2,15,1000,{since}\n"
    );
    let connections = format!(
        "consumer_id,meter_id,node_id,category,supply,phases,metering,assessed_kwh_month,valid_from\n\
         CA,,T1,LT-domestic,LT,1,unmetered,2300000,{since}\nCB,,T2,LT-domestic,LT,1,unmetered,4600000,{since}\n"
    );
    // Thousands of kWh and of rupees.
    let bills = [
        ("CA,2026-02", 2_000, 14_000),
        ("CA,2026-03", 2_000, 14_000),
        ("CB,2026-03", 5_000, 30_000),
        ("CA,2026-04", 2_400, 17_000),
        ("CA,2026-05", 2_500, 18_200),
        ("CA,2026-06", 2_500, 18_900),
        ("CB,2026-04", 5_300, 32_000),
        ("CB,2026-05", 3_900, 23_500),
        ("CB,2026-06", 4_100, 25_100),
    ];
    let mut billing = "consumer_id,month,billed_kwh,billed_inr\n".to_owned();
    for (bill, kwh, inr) in bills {
        writeln!(billing, "{bill},{kwh}000,{inr}000").unwrap();
    }
    let accounts = "year,sales_kwh,power_purchase_inr,om_inr,depreciation_inr,interest_inr,revenue_inr,subsidy_inr\n\
                    2025-26,1000,5000,700,300,300,6000,0\n2026-27,1000,5200,700,300,300,6120,0\n";
    for (name, text) in [
        ("nodes", nodes.as_str()),
        ("meters", &meters),
        ("connections", &connections),
        ("billing", &billing),
        ("discom_accounts", accounts),
        ("reads", &reads),
    ] {
        std::fs::write(folder.join(format!("{name}.csv")), text).unwrap();
    }
}

#[test]
fn a_manager_sees_target_against_revenue_through_the_year_and_what_loss_costs() {
    let folder = tempfile::tempdir().unwrap();
    revenue_files(folder.path());
    let product = Product::start(
        &folder.path().join("data"),
        &[
            ("now", "2026-07-05T00:20:00+05:30"),
            ("engine.checkpoint_seconds", "3600"),
        ],
    );
    product.import_all(
        folder.path(),
        &[
            "nodes",
            "meters",
            "connections",
            "billing",
            "discom_accounts",
            "reads",
        ],
    );
    product.wait_applied();
    let Some(mut browser) = Browser::open() else {
        return;
    };
    let server = product.url("");
    browser.go(&format!("{server}/#view=revenue"));
    browser.until(&format!(
        "{SETTLED} && document.querySelectorAll('svg.against .ari').length > 3"
    ));
    browser.shot("revenue-through-the-year");
    // Harbour is furthest from its target: it comes first.
    let feeders = browser.text("#subject table.nodes tbody");
    assert!(
        feeders.find("Harbour").unwrap() < feeders.find("Bazaar").unwrap(),
        "{feeders}"
    );
    browser.click(FIRST_ROW);
    browser.until_says("#subject h1", "Revenue of Harbour");
    browser.until(&format!(
        "{SETTLED} && document.querySelectorAll('#against .ari').length === 3"
    ));
    assert_eq!(
        browser.value("document.querySelectorAll('#against .tri').length"),
        4,
        "July has a target and is not over"
    );
    browser.shot("revenue-of-a-feeder");
    let months = product.get("/api/v1/feeders/F2/revenue");
    for month in months["months"].as_array().unwrap() {
        let row = browser.text(&format!("tr[data-month='{}']", month["month"].as_str().unwrap()));
        for name in ["tri", "ari"] {
            let expected = month[name]
                .as_f64()
                .map_or_else(|| "–".to_owned(), |inr| format!("₹ {inr:.2}"));
            assert!(row.contains(&expected), "{name} {expected} in {row}");
        }
    }
    browser.is_sound(&server);
    browser.is_accessible();

    // What is lost has a price beside its energy, in lakh.
    browser.go(&format!("{server}/#node=F2&day=yesterday"));
    browser.until(SETTLED);
    let day = product.get("/api/v1/nodes/F2?day=2026-07-04");
    let rate = product.get("/api/v1/nodes/F2/revenue")["years"][0]["abr"]
        .as_f64()
        .unwrap();
    let worth = day["loss_wh"].as_f64().unwrap() / 1_000.0 * rate;
    browser.until_says("#subject .pair .facts", &format!("{rate:.2} a kWh"));
    let label = browser
        .value("document.querySelector('svg.flow').getAttribute('aria-label').replaceAll('\\u00a0', ' ')");
    let lakh = format!("worth ₹ {:.2} lakh", worth / 1e5);
    assert!(label.as_str().unwrap().contains(&lakh), "{label} has not {lakh}");
    browser.shot("loss-in-rupees");
    twelve_months_open_into_days(&mut browser, &server);
}

/// A zoom of months asks for days, for intervals of so long are not given; it begins at midnight in India.
fn twelve_months_open_into_days(browser: &mut Browser, server: &str) {
    browser.go(&format!("{server}/#node=F2&range=12m"));
    browser.until("!!document.querySelector('#subject .u-over')");
    browser.until_says(".readout", "balances");
    browser.step("drag", json!(["#subject .u-over", 0.02, 0.98]));
    browser.until_says("#subject .ranges", "zoomed");
    let span =
        browser.value("['from', 'to'].map((name) => new URLSearchParams(location.hash.slice(1)).get(name))");
    for end in span.as_array().unwrap() {
        assert!(end.as_str().unwrap().ends_with("T00:00:00+05:30"), "{span}");
    }
    let from = &span[0].as_str().unwrap()[..10];
    browser.until(&format!(
        "performance.getEntriesByType('resource').some(({{ name }}) => name.includes('/nodes/F2/balance?resolution=day&from={from}'))"
    ));
    browser.until("Number(document.querySelector('.readout').innerText.split(' ')[0]) > 62");
    browser.shot("zoomed-months");
    // A day is no interval: Enter looks at none.
    browser.value("document.querySelector('#subject .chart .plot').focus()");
    browser.key("End");
    browser.until_says(".readout", "coverage");
    browser.key("Enter");
    assert_eq!(
        browser.value(
            "[new URLSearchParams(location.hash.slice(1)).get('at'), document.querySelector('#interval')]"
        ),
        json!([null, null])
    );
    browser.is_sound(server);
}
