//! Journeys through the page in a real browser (Debian's chromium), on the real binary: what an operator, an engineer and a manager do there.
//!
//! Each leaves pictures of what it saw in `target/tmp/page`.
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
    browser::{Browser, FILLED, FIRST_ROW, SETTLED},
    demo::Demo,
    evening,
    publisher::publish_all,
    relay::Relay,
    town::{self, FAILED, RESTORED, all_of, draw, master_data, say},
};
use serde_json::{Value, json};

/// Energy as the page writes it.
fn kwh(wh: &Value) -> String {
    let kwh = wh.as_f64().unwrap() / 1_000.0;
    let digits = if kwh < 100.0 { 2 } else { 1 };
    format!("{kwh:.digits$} kWh")
}

/// The parts of the energy flow: came in, delivered, lost.
fn flow(browser: &mut Browser) -> Vec<String> {
    let texts = browser.value("[...document.querySelectorAll('svg.flow text.big')].map(({ textContent }) => textContent.replaceAll('\\u00a0', ' '))");
    let texts = texts.as_array().unwrap().iter();
    texts.map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[test]
fn three_clicks_from_the_overview_to_an_interval_of_the_worst_dt() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(folder.path());
    let Some(mut browser) = Browser::open() else {
        return;
    };
    browser.go(&format!("{}/", demo.server));
    browser.until(FILLED);
    browser.until(&format!("!!document.querySelector('{FIRST_ROW}') && document.querySelector('#tiles').textContent.includes('old')"));
    browser.shot("overview");

    let feeder = browser.text(FIRST_ROW);
    browser.click(FIRST_ROW);
    browser.until_says("#subject h1", &feeder);
    browser.until(&format!("!!document.querySelector('{FIRST_ROW}')"));
    let dt = browser.text(FIRST_ROW);
    browser.click(FIRST_ROW);
    browser.until_says("#subject h1", &dt);
    browser.until(&format!(
        "{FILLED} && !!document.querySelector('#subject .u-over')"
    ));
    browser.click("#subject .chart .plot");
    browser.until("!!document.querySelector('#interval dl')");
    browser.shot("interval");

    // The address has all of it, and the figures are the API's.
    let address = browser.value("Object.fromEntries(new URLSearchParams(location.hash.slice(1)))");
    let (node, end) = (address["node"].as_str().unwrap(), address["at"].as_str().unwrap());
    assert_eq!(address.as_object().unwrap().len(), 2, "{address}");
    let same = format!(
        "fetch('/api/v1/nodes/{node}/balance?to=' + encodeURIComponent('{end}')).then((answer) => answer.json()).then(({{ rows }}) => {{
           const row = rows.findLast(({{ interval_end }}) => Date.parse(interval_end) === Date.parse('{end}'));
           const text = document.querySelector('#interval dl').innerText.replaceAll('\\u00a0', ' ');
           return text.includes(`${{row.meters_reported}} of ${{row.meters_expected}}`) && (!row.loss_shown || text.includes(`${{row.loss_pct.toFixed(1).replace('-', '−')}} %`));
         }})"
    );
    browser.until(&same);
    browser.until("document.querySelectorAll('#interval tbody tr').length > 0");
    browser.is_sound(&demo.server);

    // What is on the page moved as balances came in, and nothing that was there jumped.
    browser.go(&format!("{}/", demo.server));
    browser.until(FILLED);
    let shifted = browser.shifted();
    let changed = "window.heard = (window.heard ?? new Set()).add(document.querySelector('#pulse').textContent), heard.size > 3";
    browser.until(changed);
    let moved = browser.shifted() - shifted;
    assert!(moved < 0.1, "moved by {moved}: {}", browser.value("jumps"));
}

/// WCAG 2.2: 2.4.7 (focus is seen), 2.5.8 (targets of 24 px at least, links in running text aside).
#[test]
fn the_keyboard_alone_reaches_search_tree_chart_and_interval() {
    let folder = tempfile::tempdir().unwrap();
    let product = evening::start(folder.path());
    let Some(mut browser) = Browser::open() else {
        return;
    };
    let server = product.url("");
    browser.go(&format!("{server}/"));
    browser.until(FILLED);
    browser.key("Tab");
    assert_eq!(browser.value("document.activeElement.className"), "skip");
    browser.key("Enter");
    assert_eq!(browser.value("document.activeElement.id"), "subject");

    let focus = "(() => { const at = document.activeElement; const seen = at.querySelector(':scope > .row') ?? at; \
                 return [at.dataset?.id ?? at.id ?? '', at.role ?? at.tagName, getComputedStyle(seen).outlineStyle, at.getAttribute('aria-label') ?? at.textContent.trim().slice(0, 30)]; })()";
    browser.go(&format!("{server}/"));
    browser.until(FILLED);
    let mut seen = Vec::new();
    for _ in 0..40 {
        browser.key("Tab");
        let at = browser.value(focus);
        if at[1] == "BODY" {
            break;
        }
        assert_ne!(at[2], "none", "focus is not seen on {at}");
        assert_ne!(at[3], "", "{at} has no name");
        seen.push(at);
    }
    let reached = |role: &str| seen.iter().any(|at| at[1] == role);
    assert!(
        reached("combobox") && reached("treeitem") && reached("group"),
        "{seen:?}"
    );

    // Search: "/" from anywhere, arrows and Enter.
    browser.key("/");
    assert_eq!(browser.value("document.activeElement.id"), "search");
    browser.type_in("SD-DT");
    browser.until("document.querySelectorAll('#found [role=option]').length >= 2");
    browser.key("ArrowDown");
    assert_eq!(
        browser.value("document.querySelector('#found [aria-selected=true]').id"),
        "found-1"
    );
    browser.key("Enter");
    browser.until_says("#subject h1", "SD-DT2");
    browser.until(&format!(
        "{FILLED} && !!document.querySelector('#subject .u-over')"
    ));

    // The tree: up to the sibling, Enter.
    browser.value("document.querySelector('#tree [tabindex=\"0\"]').focus()");
    browser.key("Home");
    browser.until("document.activeElement.dataset.id === 'SD-DISC'");
    browser.key("End");
    browser.until(
        "document.activeElement.dataset.id === 'SD-DT2' || document.activeElement.dataset.id === 'SD-DT1'",
    );
    browser.key("ArrowUp");
    browser.key("Enter");
    browser.until("document.querySelector('#subject h1').textContent.startsWith('SD-DT')");
    browser.until(&format!(
        "{FILLED} && !!document.querySelector('#subject .u-over')"
    ));

    // The chart: to the last interval, two back, closely; Escape leaves.
    browser.value("document.querySelector('#subject .chart .plot').focus()");
    for key in ["End", "ArrowLeft", "ArrowLeft"] {
        browser.key(key);
    }
    browser.until_says(".readout", "coverage");
    browser.key("Enter");
    browser.until("!!document.querySelector('#interval dl')");
    browser.until("document.querySelectorAll('#interval tbody tr').length === 1");
    browser.shot("keyboard");
    browser.value("document.querySelector('#subject .chart .plot').focus()");
    browser.key("Escape");
    browser.until("!document.querySelector('#interval')");

    let small = browser.value(
        "[...document.querySelectorAll('button, input, select, summary, [role=treeitem] > .row')].filter((one) => one.checkVisibility()).map((one) => [one.outerHTML.slice(0, 80), \
         Math.round(one.getBoundingClientRect().width), Math.round(one.getBoundingClientRect().height)]).filter(([, width, height]) => width && (width < 24 || height < 24))",
    );
    assert_eq!(small, json!([]), "targets below 24 px");
    browser.is_sound(&server);

    // On a wall search and views are there too, unless the address hides them; "/" brings them back.
    browser.size(2_560, "light");
    let seen = "['#search', '.views'].map((css) => document.querySelector(css).checkVisibility())";
    for (address, expected) in [("/", json!([true, true])), ("/?wall", json!([false, false]))] {
        browser.go(&format!("{server}{address}"));
        browser.until(FILLED);
        assert_eq!(browser.value(seen), expected, "{address}");
    }
    browser.key("/");
    assert_eq!(browser.value("document.activeElement.id"), "search");
    assert_eq!(browser.value(seen), json!([true, true]));
    browser.is_sound(&server);
}

#[test]
fn an_outage_appears_grows_is_restored_and_its_compensation_explained() {
    let folder = tempfile::tempdir().unwrap();
    master_data(folder.path());
    let nodes = folder.path().join("nodes.csv");
    let text = std::fs::read_to_string(&nodes).unwrap();
    // The regulation tells towns from the country.
    let text = text.replace("node_id,kind,parent_id,", "area_class,node_id,kind,parent_id,");
    let lines: Vec<String> = text
        .lines()
        .enumerate()
        .map(|(at, line)| {
            if at == 0 {
                line.to_owned()
            } else {
                format!("urban,{line}")
            }
        })
        .collect();
    std::fs::write(&nodes, lines.join("\n")).unwrap();
    let product = Product::start(
        &folder.path().join("data"),
        &[
            ("now", "2026-04-01T20:00:00+05:30"),
            ("engine.tick_ms", "100"),
            ("compensation.regulation", "IN-MH-MERC-2021"),
        ],
    );
    town::import(&product, folder.path());
    draw(product.mqtt, town::all(), 0, 10);
    product.wait_applied();
    let Some(mut browser) = Browser::open() else {
        return;
    };
    let server = product.url("");
    browser.go(&format!("{server}/"));
    browser.until_says("#tiles", "no outage is on");
    browser.until_says("#happening", "No outage is on");

    say(product.mqtt, all_of("T1"), "10:02", FAILED);
    browser.until_says("#happening", "5 consumers without supply, DT");
    browser.until_says("#tiles", "1 outage on");
    browser.click("#happening a");
    browser.until_says("#subject .title", "T1");
    browser.until_says(".figures", "5 of 5 consumers");
    browser.until(CHOSEN_IS_T1);
    browser.shot("outage-appeared");

    say(product.mqtt, all_of("T2").chain(all_of("T3")), "10:03", FAILED);
    browser.until_says("#subject .facts", "feeder");
    browser.until_says(".figures", "15 of 15 consumers");
    browser.until_says(".timeline", "last gasp: 10 meters");
    // Ten hours on, what is owed grows with the clock.
    browser.until_says(".figures", "still running");
    // It is at its feeder now: chosen in the tree, and ringed on the map.
    browser.until(
        "document.querySelector('#tree [aria-selected=true]')?.dataset.id === 'F1' && !!document.querySelector('.evidence .map circle.here')",
    );
    browser.shot("outage-grew");

    // The crew says why.
    for (field, text) in [("person", "A. Rao"), ("cause", "tree on the line near pole 14")] {
        browser.click(&format!("form input[name={field}]"));
        browser.type_in(text);
    }
    browser.click("form button[type=submit]");
    browser.until_says(".cause-entry", "Recorded");
    browser.until_says(".timeline", "A. Rao: tree on the line near pole 14");

    say(product.mqtt, all_of("T1"), "15:45", RESTORED);
    browser.until_says(".figures", "10 of 15 consumers");
    say(product.mqtt, all_of("T2").chain(all_of("T3")), "16:30", RESTORED);
    browser.until_says("#subject .title", "restored");
    browser.until("!document.querySelector('.figures').innerText.includes('running')");
    browser.shot("outage-restored");
    let moved = browser.shifted();
    assert!(moved < 0.1, "moved by {moved}: {}", browser.value("jumps"));
    browser.is_sound(&server);

    // 387 minutes, 4 h in town, Rs 50 for each hour begun: it is said in sentences.
    let owed = product.get("/api/v1/consumers/T2-1/compensation");
    let total = owed["total_inr"].as_str().unwrap();
    browser.until("document.querySelector('a[href$=explanation]') != null");
    browser.click("#subject a[href$=explanation]");
    browser
        .until("document.querySelector('h1') != null && document.body.innerText.includes('IN-MH-MERC-2021')");
    let said = browser.text("body");
    for part in ["Rs ", "clause", "M-T", "F1"] {
        assert!(said.contains(part), "{part} is not in the explanation:\n{said}");
    }
    browser.shot("explanation");
    browser.is_accessible();
    browser.go(&format!("{server}/#view=consumer&consumer=T2-1"));
    browser.until_says("#subject", &format!("₹ {total} in all"));
    browser.until_says("#subject", "6 h 27 min");
    browser.until(SETTLED);
    browser.shot("consumer-owed");
    browser.is_sound(&server);
    compensation_is_summed(&mut browser, &product);
    a_zoom_does_not_follow_to_the_outages(&mut browser, &server);
}

/// The chosen node of the tree.
const CHOSEN_IS_T1: &str = "document.querySelector('#tree [aria-selected=true]')?.dataset.id === 'T1'";

/// What the view of all sums is what each consumer is owed.
fn compensation_is_summed(browser: &mut Browser, product: &Product) {
    let owed: f64 = ["T1", "T2", "T3"]
        .into_iter()
        .flat_map(|dt| (0..town::CONSUMERS).map(move |consumer| format!("{dt}-{consumer}")))
        .map(|consumer| {
            let owed = product.get(&format!("/api/v1/consumers/{consumer}/compensation"));
            owed["total_inr"].as_str().unwrap().parse::<f64>().unwrap()
        })
        .sum();
    assert!(owed > 0.0, "nobody is owed anything");
    product.checkpoint();
    browser.go(&product.url("/#view=compensation"));
    browser.until(SETTLED);
    let rupees = r"const rupees = (text) => Number(text.replace(/[^\d.]/g, ''))";
    let shown = browser.value(&format!(
        "(() => {{ {rupees}; const sum = (css) => [...document.querySelectorAll(css)].reduce((all, one) => all + rupees(one.textContent), 0); \
         return [sum('.figures strong'), sum('#subject .pair > :first-child tbody td:last-child'), sum('#subject .pair > :last-child tbody td:last-child')]; }})()"
    ));
    for sum in shown.as_array().unwrap() {
        // Tiles show whole rupees.
        assert!((sum.as_f64().unwrap() - owed).abs() < 3.0, "{shown}, owed {owed}");
    }
    browser.shot("compensation");
    browser.is_sound(&product.url(""));
}

/// From a zoomed chart to the outages of the node; and an address that has both, and one that cannot be read, say so.
fn a_zoom_does_not_follow_to_the_outages(browser: &mut Browser, server: &str) {
    let zoomed = "from=2026-04-01T06:00:00%2B05:30&to=2026-04-01T10:00:00%2B05:30";
    let link = "[...document.querySelectorAll('#subject a')].find(({ textContent }) => textContent === 'Outages here')";
    browser.go(&format!("{server}/#node=F1&{zoomed}"));
    browser.until_says("#subject .ranges", "zoomed");
    browser.until(&format!("!!{link}"));
    browser.value(&format!("{link}.click()"));
    browser.until_says("#subject h1", "Outages");
    let address = browser.value("location.hash");
    assert_eq!(address, "#node=F1&view=outages");
    browser.go(&format!("{server}/#view=outages&status=any&node=F1&{zoomed}"));
    browser.until("document.querySelectorAll('table.outages tbody tr').length > 0");
    browser.is_sound(server);

    // What cannot be drawn is said, with a way on.
    browser.go(&format!("{server}/#as_of=nonsense"));
    browser.until_says(".notice.failed", "This view failed");
    browser.shot("view-failed");
    browser.complaints();
    browser.click(".notice.failed button:last-child");
    browser.until(FILLED);
    browser.is_sound(server);
}

#[test]
fn a_balance_is_shown_as_it_stood_at_an_instant_at_which_it_was_another() {
    let folder = tempfile::tempdir().unwrap();
    let product = evening::start(folder.path());
    let then = product.get("/api/v1/nodes/SD-DT1");
    let stood_at = product.get("/api/v1/summary")["published_at"]
        .as_str()
        .unwrap()
        .to_owned();
    product.kill();
    let later = [
        ("now", "2026-04-26T20:20:00+05:30"),
        ("engine.checkpoint_seconds", "3600"),
    ];
    let product = Product::start(&folder.path().join("data"), &later);
    // A household corrects what it said of noon.
    let corrected =
        "meter_id,interval_end,import_wh,export_wh,revision\nSD10006414,2026-04-26T12:00:00+05:30,1300,0,1\n";
    let path = folder.path().join("corrected");
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("reads.csv"), corrected).unwrap();
    product.import(&path.join("reads.csv"));
    product.wait_applied();
    product.checkpoint();
    let now = product.get("/api/v1/nodes/SD-DT1");
    assert_ne!(then["delivered_wh"], now["delivered_wh"]);

    let Some(mut browser) = Browser::open() else {
        return;
    };
    let server = product.url("");
    browser.go(&format!("{server}/#node=SD-DT1&at=2026-04-26T12:00:00%2B05:30"));
    browser.until(FILLED);
    assert_eq!(flow(&mut browser)[1], kwh(&now["delivered_wh"]));
    browser.until("document.querySelectorAll('#interval tbody tr').length === 2");
    browser.shot("versions");
    // The first version's own link: as it stood when that was published.
    browser.click("#interval tbody tr:last-child a");
    browser.until_says(".then", "As it stood published on");
    browser.until("document.querySelectorAll('.ghost, .skeleton').length === 0 && document.querySelectorAll('svg.flow text.big').length > 1");
    let expected = kwh(&then["delivered_wh"]);
    browser.until(&format!(
        "[...document.querySelectorAll('svg.flow text.big')].some(({{ textContent }}) => textContent.replaceAll('\\u00a0', ' ') === '{expected}')"
    ));
    let address = browser.value("new URLSearchParams(location.hash.slice(1)).get('as_of')");
    let instant = |text: &str| gridtally_schemas::UtcMicros::parse(text).unwrap();
    assert!(
        instant(address.as_str().unwrap()) <= instant(&stood_at),
        "{address} is not the first instant, {stood_at}"
    );
    browser.until_says("#quality-day", "as known now");
    browser.shot("as-of");
    browser.is_sound(&server);
    browser.is_accessible();
    // Views that show now say so, and lead back to one that does not.
    let shown = browser.value("location.hash.slice(1)");
    for view in [
        "revenue",
        "audit",
        "compensation",
        "quality",
        "consumer",
        "sql",
        "outages",
    ] {
        browser.go(&format!("{server}/#view={view}&{}", shown.as_str().unwrap()));
        browser.until_says(".then", "This view shows now");
    }
    browser.click(".then a:first-of-type");
    browser.until_says(".then", "As it stood published on");
    browser.go(&format!("{server}/#view=reports&{}", shown.as_str().unwrap()));
    browser.until_says(".then", "As it stood published on");
    browser.click(".then a");
    browser.until("!document.querySelector('.then')");
    browser.go(&format!("{server}/#node=SD-DT1"));
    browser.until(FILLED);
    assert_eq!(flow(&mut browser)[1], kwh(&now["delivered_wh"]));
}

/// Asks in the console.
fn ask(browser: &mut Browser, query: &str) {
    browser.value("(() => { const box = document.querySelector('#query'); box.focus(); box.select(); })()");
    browser.type_in(query);
    browser.key("Control+Enter");
}

#[test]
fn sql_gives_an_example_a_table_a_chart_and_csv() {
    let folder = tempfile::tempdir().unwrap();
    let product = evening::start(folder.path());
    let Some(mut browser) = Browser::open() else {
        return;
    };
    let server = product.url("");
    browser.go(&format!("{server}/#view=sql"));
    browser.until("document.querySelectorAll('.schema details').length > 10");
    // A question of the guide; a list that opens is drawn outside the page, so the choice is made for it.
    browser.value("(() => { const list = document.querySelector('#sql select'); list.selectedIndex = 2; list.dispatchEvent(new Event('change', { bubbles: true })); })()");
    browser.until("!!document.querySelector('#answer thead')");
    assert!(browser.text("#answer thead").contains("node_id"));
    ask(
        &mut browser,
        "SELECT interval_end, loss_pct, coverage_pct FROM feeder_balance WHERE loss_pct IS NOT NULL ORDER BY interval_end",
    );
    browser.until("document.querySelectorAll('#answer tbody tr').length > 100");
    assert!(browser.text("#answer thead").contains("loss_pct"));
    browser.shot("sql-table");
    browser.click("#sql .choice button:last-child");
    browser.until("!!document.querySelector('#answer canvas')");
    browser.shot("sql-chart");
    // A line for each DT, of one number, which one chooses.
    ask(
        &mut browser,
        "SELECT interval_end, dt_id, loss_pct, coverage_pct FROM dt_balance ORDER BY interval_end",
    );
    browser.until_says("#answer .keys", "SD-DT1");
    assert_eq!(
        browser.value("[document.querySelectorAll('#answer .keys .swatch').length, document.querySelectorAll('#y option').length]"),
        json!([2, 2])
    );
    browser.shot("sql-chart-by-dt");
    ask(
        &mut browser,
        "SELECT interval_end, loss_pct, coverage_pct FROM feeder_balance WHERE loss_pct IS NOT NULL ORDER BY interval_end",
    );
    browser.until("document.querySelectorAll('#answer .keys').length === 0 && !!document.querySelector('#answer canvas')");

    // What is saved is what the query gives.
    browser.value(
        "(() => { const make = URL.createObjectURL; URL.createObjectURL = (blob) => { blob.text().then((text) => { window.content = text; }); return make(blob); }; \
         HTMLAnchorElement.prototype.click = function () { window.called = this.download; }; })()",
    );
    browser.click("#download");
    browser.until("window.content != null && window.called != null");
    let saved = browser.value("[called, content]");
    assert_eq!(saved[0], "gridtally.csv");
    let rows = product.sql("SELECT COUNT(*) FROM feeder_balance WHERE loss_pct IS NOT NULL");
    let lines = saved[1].as_str().unwrap().lines().count() as i64;
    assert_eq!(Some(lines - 1), rows[0][0].as_i64());
    assert!(
        saved[1]
            .as_str()
            .unwrap()
            .starts_with("interval_end,loss_pct,coverage_pct\r\n")
    );

    // A comment of the schema browser, and an error that says what to do.
    browser.click(".schema details:first-of-type summary");
    browser.until("document.querySelector('.schema details[open] li p').innerText.length > 5");
    ask(&mut browser, "SELECT nothing FROM nowhere");
    browser.until_says(".notice.failed", "nowhere");
    browser.is_accessible();
}

#[test]
fn a_connection_that_is_lost_is_said_and_comes_back_with_what_was_missed() {
    let folder = tempfile::tempdir().unwrap();
    master_data(folder.path());
    let product = Product::start(
        &folder.path().join("data"),
        &[("now", "2026-04-01T12:00:00+05:30"), ("engine.tick_ms", "100")],
    );
    town::import(&product, folder.path());
    draw(product.mqtt, town::all(), 0, 10);
    product.wait_applied();
    let relay = Relay::start(product.http);
    let Some(mut browser) = Browser::open() else {
        return;
    };
    browser.go(&format!("http://{}/", relay.address));
    browser.until_says("#tiles", "no outage is on");
    browser.until("document.querySelector('#live').dataset.state === 'live'");

    relay.cut();
    say(product.mqtt, all_of("T1"), "10:02", FAILED);
    browser.until("document.querySelector('#live').dataset.state === 'stale'");
    browser.until_says("#live", "stale");
    browser.until("getComputedStyle(document.querySelector('#tiles')).backgroundImage !== 'none'");
    browser.until("[...document.querySelectorAll('[role=status]')].some(({ textContent }) => textContent.includes('figures are stale'))");
    assert!(
        browser.text("#tiles").contains("no outage is on"),
        "what was known stays"
    );
    browser.shot("stale");

    relay.mend();
    browser.until("document.querySelector('#live').dataset.state === 'live'");
    browser.until_says("#tiles", "1 outage on");
    browser.until_says("#happening", "5 consumers without supply");
    browser.until("getComputedStyle(document.querySelector('#tiles')).backgroundImage === 'none'");
    browser.until("document.querySelector('#happening p').innerText.includes('for 1 h')");
    browser.shot("back");

    // Figures that cannot be had anew stay, and say since when.
    browser.until("!!document.querySelector('#subject .chart')");
    let failing = json!({ "type": "/docs#busy", "title": "Too much at once", "status": 503, "detail": "the server is busy" });
    browser.stub(&[("/balance", None, 503, failing)]);
    say(product.mqtt, all_of("T2"), "10:04", FAILED);
    browser.until_says("#subject .over-time", "Not refreshed since 12:");
    browser.until_says("#subject .over-time", "Too much at once: the server is busy");
    assert_eq!(
        browser.value("!!document.querySelector('#subject .chart')"),
        true,
        "what was known stays"
    );
    browser.shot("not-refreshed");
    browser.is_accessible();
    browser.stub(&[]);
    browser.until("!document.querySelector('.since')");

    // What cannot be decoded waits in quarantine; judged again, it stays, and that is said.
    let nonsense = ("ami/v1/gateways/hes/reads".to_owned(), b"nonsense".to_vec());
    publish_all(product.mqtt, "hes", vec![nonsense]);
    product.wait("what is kept", |summary| summary["quarantined"] == 1);
    product.checkpoint();
    browser.go(&format!("http://{}/#view=quality", relay.address));
    browser.until_says("#quarantine tbody", "undecodable");
    browser.click("#quarantine header button");
    browser.until_says(
        "#quarantine header",
        "1 row judged, 0 released; 1 stay: payload is not",
    );
    browser.shot("quarantine");
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
    for kind in [
        "nodes",
        "meters",
        "connections",
        "billing",
        "discom_accounts",
        "reads",
    ] {
        product.import(&folder.path().join(format!("{kind}.csv")));
    }
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
