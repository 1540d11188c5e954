use std::path::Path;

use super::document;

/// The description is part of the contract: a change of it is a change of `tests/openapi.json`, made by running this with
/// `GRIDTALLY_BLESS=1`.
#[test]
fn the_description_is_as_recorded() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi.json");
    let now = document() + "\n";
    if std::env::var_os("GRIDTALLY_BLESS").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let recorded = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        now == recorded,
        "{} differs from what the routes say; look at it with GRIDTALLY_BLESS=1 and git diff",
        path.display()
    );
}

#[test]
fn every_route_is_described() {
    let document: serde_json::Value = serde_json::from_str(&document()).unwrap();
    let described: Vec<&str> = document["paths"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let pages = [
        "/",
        "/docs",
        "/docs/auditors-guide",
        "/docs/auditors-guide/questions.json",
        "/ui/{file}",
    ];
    for route in crate::router::templates()
        .into_iter()
        .filter(|route| !pages.contains(route))
    {
        assert!(
            described.contains(&route),
            "{route} is not in the OpenAPI document"
        );
    }
    assert_eq!(document["openapi"], "3.1.0");
}
