use std::collections::BTreeSet;

use super::*;

/// Every parameter of every query is bound, and every column that is shown has one name in its section.
#[test]
fn every_query_is_complete() {
    let zone = Zone::kolkata();
    for report in Report::ALL {
        assert_eq!(Report::named(report.name()), Some(report));
        let text = match report.every() {
            Every::Month => "2026-04",
            Every::Quarter => "2026-Q1",
        };
        let period = Period::parse(report.every(), text).unwrap();
        let sources = Sources {
            sql: Sql::new(crate::sql::SqlConfig {
                worker_exe: std::path::PathBuf::new(),
                worker_args: Vec::new(),
                tables_root: std::path::PathBuf::new(),
                memory_bytes: 0,
                rows_max: 0,
                deadline: std::time::Duration::ZERO,
                workers_max: 1,
                workers_per_caller: 256,
                workers_warm: 0,
                zone: zone.clone(),
            }),
            zone: zone.clone(),
            now: UtcMicros(0),
            coverage_pct: 95.0,
        };
        let asked = Asked {
            report,
            period: period.clone(),
            node: None,
            as_of: None,
            section: None,
        };
        let mut ids = BTreeSet::new();
        for section in report.sections() {
            assert!(ids.insert(section.id), "{} twice", section.id);
            let mut parameters = Parameters::default();
            parameters.instant("as_of", UtcMicros(0), &zone);
            parameters.instant("then", UtcMicros(0), &zone);
            parameters.text("node", Some("D"));
            bind_period(&mut parameters, &asked, &sources);
            bind_months(&mut parameters, section.months, (&period, &zone));
            section.bind(&mut parameters);
            let query = section.query.bound(&parameters).text();
            let said = query.lines().filter(|line| !line.starts_with("--"));
            assert!(!said.collect::<String>().contains('$'), "{}: {query}", section.id);
            assert!(query.starts_with("--") || query.starts_with("WITH RECURSIVE\n--"));
            let names: BTreeSet<&str> = section.columns().map(|column| column.name).collect();
            assert_eq!(names.len(), section.columns().count(), "{}", section.id);
            assert!(!names.is_empty(), "{}", section.id);
        }
    }
}

#[test]
fn a_page_becomes_a_file_of_its_own() {
    let page = "<head>\n<link rel=\"icon\" href=\"/ui/icon.svg\">\n<link rel=\"stylesheet\" href=\"/ui/report.css\">\n</head><a href=\"/#view=sql&amp;q=x\">";
    let file = standalone(page, "http://127.0.0.1:8080/");
    assert!(file.contains("<style>") && !file.contains("<link"), "{file}");
    assert!(file.contains("href=\"http://127.0.0.1:8080/#view=sql&amp;q=x\""));
    assert!(!STYLESHEET.contains("</") && !STYLESHEET.contains("@import") && !STYLESHEET.contains("url("));
}
