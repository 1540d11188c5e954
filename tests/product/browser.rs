//! A page in Debian's chromium, led step by step by Playwright (`tests/clients/page.py`).

use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Stdio},
};

use serde_json::{Value, json};

use super::{have, python_command};

/// The overview, or a node, has everything that it asks for at the start.
pub const FILLED: &str = "document.querySelectorAll('.skeleton, .ghost').length === 0 && !!document.querySelector('#subject h1') \
                      && !!document.querySelector('#tree [role=treeitem]') && document.querySelector('#live').dataset.state === 'live'";
/// Any view has.
pub const SETTLED: &str = "document.querySelectorAll('.skeleton, .ghost').length === 0 && !!document.querySelector('#subject h1, #subject .query')";
/// The names of the nodes of a ranking.
pub const ROWS: &str = "#subject table.nodes tbody td.node a span";
/// The link of the first of them.
pub const FIRST_ROW: &str = "#subject table.nodes tbody tr:first-child td.node a";

/// Pictures of a run are here.
fn pictures() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("page");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// axe-core, which `tests/run` installs; `None` where a machine cannot have it.
pub fn axe() -> Option<PathBuf> {
    let default = format!(
        "{}/.cache/gridtally/page/node_modules/axe-core/axe.min.js",
        std::env::var("HOME").unwrap_or_default()
    );
    let file = PathBuf::from(std::env::var("GRIDTALLY_TEST_AXE").unwrap_or(default));
    if file.exists() {
        return Some(file);
    }
    let skipped = std::env::var("GRIDTALLY_TEST_SKIP").unwrap_or_default();
    assert!(
        skipped.contains("npm"),
        "axe-core is missing; ./tests/run installs it"
    );
    eprintln!("left out: this machine cannot have npm");
    None
}

pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Browser {
    /// An empty page of a desk's size; `None` where this machine cannot have it.
    pub fn open() -> Option<Self> {
        if !have("chromium") {
            return None;
        }
        let mut child = python_command("page.py", &["chromium"])?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut browser = Self {
            to: child.stdin.take().unwrap(),
            from: BufReader::new(child.stdout.take().unwrap()),
            child,
        };
        browser.size(1_440, "light");
        Some(browser)
    }

    /// One step of `page.py`, and its answer.
    pub fn step(&mut self, name: &str, argument: Value) -> Value {
        writeln!(self.to, "{}", json!({ name: argument })).unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        let answer: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{name}: {error}: `{line}`"));
        answer["answer"].clone()
    }

    pub fn size(&mut self, width: u32, scheme: &str) {
        let height = match width {
            ..600 => 800,
            600..3_000 => 1_000,
            3_000.. => 2_160,
        };
        self.step("size", json!([width, height, scheme]));
    }

    /// Opens an address anew.
    pub fn go(&mut self, url: &str) {
        self.step("go", json!("about:blank"));
        self.step("go", json!(url));
    }

    /// Waits until an expression is true, or says what the page shows instead.
    #[track_caller]
    pub fn until(&mut self, expression: &str) {
        if self.step("until", json!(expression)) != Value::Bool(true) {
            let shows = self.value("document.body.innerText");
            self.shot("failed");
            panic!("never true: {expression}\nthe page shows:\n{shows}");
        }
    }

    /// Waits until the text of an element holds some words.
    #[track_caller]
    pub fn until_says(&mut self, css: &str, text: &str) {
        let text = json!(text);
        let spaces = "replaceAll('\\u00a0', ' ')";
        self.until(&format!(
            "(document.querySelector({})?.innerText ?? '').{spaces}.includes({text})",
            json!(css)
        ));
    }

    pub fn value(&mut self, expression: &str) -> Value {
        self.step("value", json!(expression))
    }

    /// The text of an element.
    #[track_caller]
    pub fn text(&mut self, css: &str) -> String {
        let text = self.value(&format!("document.querySelector({}).innerText", json!(css)));
        text.as_str()
            .unwrap_or_else(|| panic!("{css}: {text}"))
            .replace('\u{a0}', " ")
    }

    #[track_caller]
    pub fn click(&mut self, css: &str) {
        assert_eq!(self.step("click", json!([css, null])), Value::Null);
    }

    /// Clicks the element that has exactly this text, wherever it stands by now.
    #[track_caller]
    pub fn click_on(&mut self, css: &str, text: &str) {
        assert_eq!(self.step("click", json!([css, text])), Value::Null);
    }

    pub fn key(&mut self, name: &str) {
        self.step("key", json!(name));
    }

    pub fn type_in(&mut self, text: &str) {
        self.step("type", json!(text));
    }

    /// Cumulative layout shift since the page was opened, input aside (web.dev: good is below 0.1).
    pub fn shifted(&mut self) -> f64 {
        let sum = self.value("jumps.reduce((sum, { value }) => sum + value, 0)");
        sum.as_f64().unwrap()
    }

    /// Requests whose address has `part` are answered with a status and a body, by no server.
    pub fn stub(&mut self, stubs: &[(&str, Option<&str>, u16, Value)]) {
        let stubs: Vec<Value> = stubs
            .iter()
            .map(|(part, method, status, body)| {
                json!({ "part": part, "method": method, "status": status, "body": body })
            })
            .collect();
        self.step("stub", json!(stubs));
    }

    /// A picture of the page, kept in the target folder.
    pub fn shot(&mut self, name: &str) {
        let file = pictures().join(format!("{name}.png"));
        self.step("shot", json!(file));
    }

    /// The page on paper, kept in the target folder.
    pub fn print(&mut self, name: &str) -> Vec<u8> {
        let file = pictures().join(format!("{name}.pdf"));
        self.step("pdf", json!(file));
        std::fs::read(file).unwrap()
    }

    /// What console and network complained of since the last time, and the hosts that were asked.
    pub fn complaints(&mut self) -> (Value, Value) {
        let said = self.step("complaints", Value::Null);
        (said["found"].clone(), said["hosts"].clone())
    }

    /// Nothing failed, nothing was asked of others, nothing is wider than the page.
    #[track_caller]
    pub fn is_sound(&mut self, server: &str) {
        let (found, hosts) = self.complaints();
        let address = self.value("location.href");
        assert_eq!(found, json!([]), "{address}");
        assert_eq!(hosts, json!([server.trim_start_matches("http://")]), "{address}");
        let failed = self
            .value("[...document.querySelectorAll('.notice.failed')].map((notice) => notice.textContent)");
        assert_eq!(failed, json!([]), "{address}");
        let wide = self.value("document.documentElement.scrollWidth - document.documentElement.clientWidth");
        assert_eq!(wide, 0, "{address} scrolls sideways");
    }

    /// axe-core finds nothing serious.
    #[track_caller]
    pub fn is_accessible(&mut self) {
        if let Some(axe) = axe() {
            let found = self.step("axe", json!(axe));
            let address = self.value("location.href");
            assert_eq!(found, json!([]), "{address}");
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
