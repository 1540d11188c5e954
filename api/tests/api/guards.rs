//! Headers, hosts, origins, problems, entity tags.

use crate::{
    client::{ask, get},
    instance::Instance,
};

#[tokio::test]
async fn every_answer_carries_the_headers_that_guard_the_page() {
    let instance = Instance::empty().await;
    for path in [
        "/",
        "/docs",
        "/ui/icon.svg",
        "/api/v1/summary",
        "/metrics",
        "/nowhere",
        "/openapi.json",
    ] {
        let answer = instance.get(path).await;
        let policy = answer.header("content-security-policy");
        assert!(
            policy.contains("default-src 'none'") && !policy.contains("unsafe"),
            "{path}: {policy}"
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
    }
}

#[tokio::test]
async fn the_pages_ask_nothing_of_other_hosts_and_hold_nothing_inline() {
    let instance = Instance::empty().await;
    for path in ["/", "/docs"] {
        let page = instance.get(path).await;
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        let text = page.text();
        assert!(!text.contains("http://") && !text.contains("https://"), "{path}");
        assert!(!text.contains("style=") && !text.contains("onclick="), "{path}");
        let files = text.split(['"']).filter(|part| part.starts_with("/ui/"));
        for file in files {
            let answer = instance.get(file).await;
            assert_eq!(answer.status, 200, "{path}: {file}");
            let text = answer.text();
            // A namespace names a host and asks nothing of it.
            let hosts = text
                .split("://")
                .skip(1)
                .filter(|rest| !rest.starts_with("www.w3.org/"));
            assert_eq!(hosts.count(), 0, "{file} names a host");
        }
    }
    assert_eq!(instance.get("/ui/explanation.css").await.status, 200);
    assert_eq!(instance.get("/ui/nothing.js").await.status, 404);
}

#[tokio::test]
async fn parameters_that_cannot_be_used_are_named() {
    let instance = Instance::full().await;
    for (path, words) in [
        ("/api/v1/nodes?kind=village", "parameter `kind`: `village`"),
        (
            "/api/v1/nodes?limit=0",
            "parameter `limit`: 0 is not between 1 and 1000",
        ),
        ("/api/v1/nodes?limit=x", "parameter `limit`: `x`"),
        ("/api/v1/nodes?color=red", "parameter `color` is not known here"),
        ("/api/v1/nodes?q=a&q=b", "parameter `q`: given twice"),
        (
            "/api/v1/nodes/T1?day=2026-13-01",
            "parameter `day`: `2026-13-01` is not a day",
        ),
        (
            "/api/v1/nodes/T1/balance?from=yesterday",
            "parameter `from`: `yesterday` is not a time",
        ),
        (
            "/api/v1/nodes/T1/balance?resolution=hour",
            "parameter `resolution`: `hour` is none of",
        ),
        (
            "/api/v1/nodes/T1/balance?from=2026-04-02&to=2026-04-01",
            "parameter `from`: 2026-04-02T00:00:00+05:30 is not before",
        ),
        (
            "/api/v1/nodes/T1/balance?from=2020-01-01&to=2026-04-01",
            "a span is at most 62 days",
        ),
        ("/api/v1/nodes/ranking?by=colour", "parameter `by`: `colour`"),
        ("/api/v1/nodes/ranking?order=up", "parameter `order`: `up`"),
        ("/api/v1/nodes/a%20b", "parameter `id`: `a b`"),
    ] {
        let detail = instance.get(path).await.problem(400, "bad-parameter");
        assert!(detail.contains(words), "{path}: {detail}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_said_to_be_not_there() {
    let instance = Instance::full().await;
    let detail = instance
        .get("/api/v1/nodes/F999")
        .await
        .problem(404, "unknown-node");
    assert!(detail.contains("F999"), "{detail}");
    instance
        .get("/api/v1/nodes/F999/balance")
        .await
        .problem(404, "unknown-node");
    instance
        .get("/api/v1/data-quality?node=F999")
        .await
        .problem(404, "unknown-node");
    let detail = instance
        .get("/api/v2/summary")
        .await
        .problem(404, "unknown-route");
    assert!(detail.contains("/api/v2/summary"), "{detail}");
    let answer = ask(instance.http, "DELETE", "/api/v1/summary", &[], b"").await;
    answer.problem(405, "wrong-method");
    assert!(answer.header("allow").contains("GET"), "{:?}", answer.headers);
    let image = [("accept", "image/png")];
    ask(instance.http, "GET", "/api/v1/nodes", &image, b"")
        .await
        .problem(406, "not-acceptable");
}

#[tokio::test]
async fn ids_with_odd_characters_come_back_as_they_are() {
    let instance = Instance::empty().await;
    let odd = "T<&'%;=?[]{}";
    let file = format!(
        "node_id,kind,parent_id,name,valid_from\n{odd},discom,,\"a \"\"b\"\" <script>\",2026-01-01T00:00:00+05:30\n"
    );
    let imported = instance.import("nodes", &file).await;
    assert_eq!(imported.status, 200, "{}", imported.text());
    let escaped: String = odd.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let node = instance.get(&format!("/api/v1/nodes/{escaped}")).await.json();
    assert_eq!(
        (node["node_id"].as_str(), node["name"].as_str()),
        (Some(odd), Some("a \"b\" <script>"))
    );
    let headers = [("accept", "text/csv")];
    let balance = ask(
        instance.http,
        "GET",
        &format!("/api/v1/nodes/{escaped}/balance"),
        &headers,
        b"",
    )
    .await;
    assert_eq!(
        balance.header("content-disposition"),
        "inline; filename=\"T___________-interval.csv\""
    );
}

#[tokio::test]
async fn a_caller_that_has_the_answer_gets_304() {
    let instance = Instance::full().await;
    let first = instance.get("/api/v1/nodes/F1").await;
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with("W/\""), "{tag}");
    let again = ask(
        instance.http,
        "GET",
        "/api/v1/nodes/F1",
        &[("if-none-match", &tag)],
        b"",
    )
    .await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    let late = "meter_id,interval_end,import_wh\nC2,2026-04-01T00:30:00+05:30,400\n";
    assert_eq!(instance.import("reads", late).await.status, 200);
    let changed = ask(
        instance.http,
        "GET",
        "/api/v1/nodes/F1",
        &[("if-none-match", &tag)],
        b"",
    )
    .await;
    assert_eq!(changed.status, 200);
}

#[tokio::test]
async fn answers_are_compressed_for_who_accepts_it() {
    let instance = Instance::empty().await;
    let answer = ask(
        instance.http,
        "GET",
        "/openapi.json",
        &[("accept-encoding", "gzip")],
        b"",
    )
    .await;
    assert_eq!(answer.header("content-encoding"), "gzip");
    assert!(answer.body.starts_with(&[0x1f, 0x8b]), "gzip's magic");
}

#[tokio::test]
async fn other_host_names_and_origins_are_refused() {
    let instance = Instance::with(|settings| settings.hosts = vec!["ami.example".to_owned()]).await;
    let detail = ask(instance.http, "GET", "/", &[("host", "rebound.example:80")], b"")
        .await
        .problem(421, "unknown-host");
    assert!(detail.contains("rebound.example"), "{detail}");
    for host in ["ami.example", "localhost:8080", "127.0.0.1:8080", "[::1]:8080"] {
        assert_eq!(
            ask(instance.http, "GET", "/livez", &[("host", host)], b"")
                .await
                .status,
            200,
            "{host}"
        );
    }
    let foreign = [("origin", "https://elsewhere.example")];
    ask(instance.http, "POST", "/api/v1/checkpoint", &foreign, b"")
        .await
        .problem(403, "foreign-origin");
    let own = format!("http://{}", instance.http);
    assert_eq!(
        ask(
            instance.http,
            "POST",
            "/api/v1/checkpoint",
            &[("origin", &own)],
            b""
        )
        .await
        .status,
        200
    );
}

#[tokio::test]
async fn a_query_too_large_to_be_one_is_refused() {
    let instance = Instance::empty().await;
    let body = format!("{{\"query\":\"{}\"}}", "x".repeat(2 << 20));
    let headers = [("content-type", "application/json")];
    ask(instance.http, "POST", "/api/v1/sql", &headers, body.as_bytes())
        .await
        .problem(413, "too-large");
    assert_eq!(get(instance.http, "/livez").await.status, 200);
}
