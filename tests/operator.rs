//! What an operator sees on the page, in Debian's chromium on the real binary: an outage that appears, grows and is restored, and what is owed for
//! it; a connection that is lost and comes back.
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

use product::{
    Product,
    browser::{Browser, FILLED, SETTLED},
    publisher::publish_all,
    relay::Relay,
    town::{self, FAILED, RESTORED, all_of, draw, master_data, say},
};
use serde_json::json;

#[test]
fn an_outage_appears_grows_is_restored_and_its_compensation_explained() {
    let folder = tempfile::tempdir().unwrap();
    master_data(folder.path());
    town::is_urban(folder.path());
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
    // On paper it is one sheet.
    let paper = browser.print("explanation");
    let paper = String::from_utf8_lossy(&paper);
    let sheets: usize = ["/Type /Page\n", "/Type /Page/", "/Type /Page "]
        .into_iter()
        .map(|mark| paper.matches(mark).count())
        .sum();
    assert_eq!(sheets, 1, "sheets of paper");
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
    browser.is_accessible();
    browser.size(1_440, "dark");
    browser.is_accessible();
    browser.size(1_440, "light");

    relay.mend();
    browser.until("document.querySelector('#live').dataset.state === 'live'");
    browser.until_says("#tiles", "1 outage on");
    browser.until_says("#happening", "5 consumers without supply");
    browser.until("getComputedStyle(document.querySelector('#tiles')).backgroundImage === 'none'");
    browser.until("document.querySelector('#happening p').innerText.includes('for 1 h')");
    browser.shot("back");

    // Figures that cannot be had anew stay, and say since when.
    browser.until("!!document.querySelector('#subject .chart .u-over')");
    let failing = json!({ "type": "/docs#busy", "title": "Too much at once", "status": 503, "detail": "the server is busy" });
    browser.stub(&[("/balance", None, 503, failing)]);
    say(product.mqtt, all_of("T2"), "10:04", FAILED);
    browser.until_says("#subject .over-time", "Not refreshed since 12:");
    browser.until_says("#subject .over-time", "Too much at once: the server is busy");
    assert_eq!(
        browser.value("!!document.querySelector('#subject .chart .u-over')"),
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
