//! What an engineer does on the page, in Debian's chromium on the real binary: from the overview to an interval of the worst DT, by mouse and by
//! keyboard alone; a balance as it stood; questions in SQL.
//!
//! Each journey leaves pictures of what it saw in `target/tmp/page`, as those of the operator and the manager do.
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

use std::path::Path;

use product::{
    Product,
    browser::{Browser, FILLED, FIRST_ROW, ROWS},
    demo::Demo,
    evening,
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
fn three_clicks_from_the_overview_to_an_interval_of_the_worst_dt_and_its_meters() {
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
    browser.click_on(ROWS, &feeder);
    browser.until_says("#subject h1", &feeder);
    browser.until(&format!("!!document.querySelector('{FIRST_ROW}')"));
    let dt = browser.text(FIRST_ROW);
    browser.click_on(ROWS, &dt);
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
    // The meters of the DT in that interval, and from one to its consumer.
    browser.until("document.querySelectorAll('#meters tbody tr:has(td.number) td a').length > 1");
    let consumer = browser.text("#meters tbody tr td a");
    browser.click_on("#meters tbody tr td a", &consumer);
    browser.until_says("#subject h1", &consumer);
    browser.until("!!document.querySelector('#usage .u-over')");
    browser.is_sound(&demo.server);

    // What is on the page moved as balances came in, and nothing that was there jumped.
    browser.go(&format!("{}/", demo.server));
    browser.until(FILLED);
    let shifted = browser.shifted();
    let changed = "window.heard = (window.heard ?? new Set()).add(document.querySelector('#pulse').textContent), heard.size > 3";
    browser.until(changed);
    let moved = browser.shifted() - shifted;
    assert!(moved < 0.1, "moved by {moved}: {}", browser.value("jumps"));
    the_map_is_zoomed_and_moved_without_dragging(&mut browser, &demo.server);
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
    a_chart_is_zoomed_without_dragging(&mut browser);
    let consumer = &product.get("/api/v1/consumers?q=SD&limit=1")["consumers"][0]["consumer_id"];
    usage_is_zoomed_without_dragging(&mut browser, &server, consumer.as_str().unwrap());
    browser.go(&format!("{server}/#node=SD-DT2"));
    browser.until(FILLED);

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

/// Length of the zoomed span and its end, hours; null: all is shown.
fn zoomed(browser: &mut Browser) -> Value {
    browser.value(
        "(() => { const [from, to] = ['from', 'to'].map((name) => Date.parse(new URLSearchParams(location.hash.slice(1)).get(name)) / 36e5); \
         return Number.isNaN(from) ? null : [to - from, to]; })()",
    )
}

/// WCAG 2.2: 2.1.1 (all by the keyboard), 2.5.7 (what is dragged is done by single presses as well).
fn a_chart_is_zoomed_without_dragging(browser: &mut Browser) {
    let drawn = "document.querySelectorAll('.ghost, .skeleton').length === 0 && Number(document.querySelector('.readout').innerText.split(' ')[0]) > 0";
    browser.value("document.activeElement.blur()");
    browser.until(drawn);
    let balances = browser.value("Number(document.querySelector('.readout').innerText.split(' ')[0])");
    // Its meters are read each half hour.
    let all = balances.as_f64().unwrap() / 2.0;
    let hours = |zoomed: &Value| zoomed[0].as_f64().unwrap();
    let end = |zoomed: &Value| zoomed[1].as_f64().unwrap();

    browser.value("document.querySelector('#subject .chart .plot').focus()");
    browser.key("+");
    browser.until_says("#subject .ranges", "zoomed");
    let closer = zoomed(browser);
    assert!((hours(&closer) - all / 2.0).abs() <= 0.5, "{closer} of {all} h");
    browser.until(&format!(
        "{drawn} && Number(document.querySelector('.readout').innerText.split(' ')[0]) < {}",
        all * 2.0
    ));
    browser.key("Shift+ArrowRight");
    browser.until(&format!(
        "Date.parse(new URLSearchParams(location.hash.slice(1)).get('to')) / 36e5 > {}",
        end(&closer)
    ));
    browser.key("0");
    browser.until("!document.querySelector('#subject .ranges').innerText.includes('zoomed')");
    browser.until(drawn);

    for (step, is_zoomed) in [("closer", true), ("earlier", true), ("whole", false)] {
        browser.click(&format!("#subject .chart [data-step={step}]"));
        browser.until(&format!(
            "document.querySelector('#subject .ranges').innerText.includes('zoomed') === {is_zoomed}"
        ));
        browser.until(drawn);
    }
    assert_eq!(zoomed(browser), Value::Null);
    let later = browser.value("document.querySelector('#subject .chart [data-step=later]').ariaDisabled");
    assert_eq!(later, "true", "nothing is later than now");
}

/// What the map shows, as `x` and `width`, once that is so.
fn map_shows(browser: &mut Browser, what: &str) -> (f64, f64) {
    let shown = "document.querySelector('.map svg').viewBox.baseVal";
    browser.until(&format!("(({{ x, width }}) => {what})({shown})"));
    let shown = browser.value(&format!("(({{ x, width }}) => [x, width])({shown})"));
    (shown[0].as_f64().unwrap(), shown[1].as_f64().unwrap())
}

fn the_map_is_zoomed_and_moved_without_dragging(browser: &mut Browser, server: &str) {
    browser.go(&format!("{server}/"));
    browser.until(&format!("{FILLED} && !!document.querySelector('.map svg')"));
    let (left, width) = map_shows(browser, "width > 0");
    let is_whole = format!("Math.abs(width - {width}) < 1e-6 * width");
    browser.value("document.querySelector('.map').focus()");
    browser.key("+");
    let (closer, _) = map_shows(browser, &format!("width < 0.7 * {width} && x > {left}"));
    browser.key("ArrowRight");
    map_shows(browser, &format!("x > {closer}"));
    browser.key("0");
    map_shows(browser, &is_whole);
    for (step, what) in [
        ("closer", format!("width < 0.7 * {width}")),
        ("earlier", format!("x < {closer}")),
        ("whole", is_whole),
    ] {
        browser.click(&format!(".map [data-step={step}]"));
        map_shows(browser, &what);
    }
}

fn usage_is_zoomed_without_dragging(browser: &mut Browser, server: &str, consumer: &str) {
    browser.go(&format!("{server}/#view=consumer&consumer={consumer}"));
    browser.until("!!document.querySelector('#usage .u-over')");
    let is_whole = "document.querySelector('#usage [data-step=whole]').ariaDisabled === 'true'";
    browser.until(is_whole);
    browser.value("document.querySelector('#usage .plain-plot').focus()");
    browser.key("+");
    browser.until(&format!("!({is_whole})"));
    browser.click("#usage [data-step=whole]");
    browser.until(is_whole);
}

/// A household corrects what it said of noon.
fn corrected(product: &Product, folder: &Path) {
    let reads =
        "meter_id,interval_end,import_wh,export_wh,revision\nSD10006414,2026-04-26T12:00:00+05:30,1300,0,1\n";
    let path = folder.join("corrected");
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("reads.csv"), reads).unwrap();
    product.import(&path.join("reads.csv"));
    product.wait_applied();
    product.checkpoint();
}

#[test]
fn a_day_that_is_corrected_after_it_settled_says_why_beside_its_figure() {
    let folder = tempfile::tempdir().unwrap();
    evening::start(folder.path()).kill();
    let later = [
        ("now", "2026-05-05T10:00:00+05:30"),
        ("engine.checkpoint_seconds", "3600"),
    ];
    let product = Product::start(&folder.path().join("data"), &later);
    product.wait_applied();
    product.checkpoint();
    corrected(&product, folder.path());
    let Some(mut browser) = Browser::open() else {
        return;
    };
    let server = product.url("");
    browser.go(&format!("{server}/#node=SD-DT1&day=2026-04-26"));
    browser.until_says(
        "#subject .stands",
        "restated, version 3: inputs changed after settlement, 5 May 2026 10:00",
    );
    // The chart is of the days to the one that is asked for, not of today.
    browser.until_says("#subject .over-time .readout", "balances, ");
    browser.click("#subject .stands summary");
    for reason in ["first", "settled", "inputs changed after settlement"] {
        browser.until_says("#subject .stands tbody", reason);
    }
    browser.shot("restated");
    browser.is_sound(&server);
    browser.is_accessible();
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
    corrected(&product, folder.path());
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
    // Down to the meter: what it is known to have read in that interval, and that it said so twice.
    browser.until("[...document.querySelectorAll('#meters tbody tr')].some(({ innerText }) => innerText.includes('SD10006414') && innerText.replaceAll('\\u00a0', ' ').includes('1,300 Wh') && innerText.includes('version 2'))");
    // The day has its versions too.
    browser.until_says("#subject .stands", "provisional, version 2: more reads came");
    browser.click("#subject .stands summary");
    browser.until("document.querySelectorAll('#subject .stands tbody tr').length === 2");
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
    browser.until("[...document.querySelectorAll('#meters tbody tr')].some(({ innerText }) => innerText.includes('SD10006414') && innerText.includes('version 1'))");
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
