//! Who gets in, and what part of it is theirs.

use std::time::Duration;

use gridtally_api::access::{Access, AccessKey, AccessSettings, Caller, KeyHash, Role};
use gridtally_schemas::{Clock, NodeId, UtcMicros};
use serde_json::{Value, json};

use crate::{
    client::{Answer, Events, ask},
    instance::{CONNECTIONS, Instance, METERS, NODES, NOW, READS},
};

/// A second feeder F2 with DT T2, its consumer U3 (meter C3) and an outage announced on T2.
const MORE_NODES: &str = "node_id,kind,parent_id,name,area_class,capacity_kva,valid_from\n\
    F2,feeder,D1,Harbour,urban,,2026-01-01T00:00:00+05:30\n\
    T2,dt,F2,Jetty,urban,100,2026-01-01T00:00:00+05:30\n";
const MORE_METERS: &str = "meter_id,role,node_id,interval_minutes,multiplier,valid_from\n\
    MF2,feeder,F2,15,1,2026-01-01T00:00:00+05:30\n\
    MT2,dt,T2,15,1,2026-01-01T00:00:00+05:30\n\
    C3,consumer,,15,1,2026-01-01T00:00:00+05:30\n";
const MORE_CONNECTIONS: &str = "consumer_id,meter_id,node_id,category,supply,phases,sanctioned_load_kw,metering,prosumer,valid_from\n\
    U3,C3,T2,LT-domestic,LT,1,2,prepaid,none,2026-01-01T00:00:00+05:30\n";
const MORE_READS: &str = "meter_id,interval_end,import_wh\n\
    MF2,2026-04-01T00:15:00+05:30,700\n\
    MT2,2026-04-01T00:15:00+05:30,690\n\
    C3,2026-04-01T00:15:00+05:30,600\n";
const PLANNED: &str = "node_id,start,end,class,reason,notice_at\n\
    T2,2026-04-02T10:00:00+05:30,2026-04-02T12:00:00+05:30,PLANNED,line work,2026-03-30T10:00:00+05:30\n\
    T1,2026-04-03T10:00:00+05:30,2026-04-03T12:00:00+05:30,PLANNED,line work,2026-03-30T10:00:00+05:30\n";

/// A key for each role, called as it is, and some with an area: `F1`, `T2`, `X` (which is no node).
fn access() -> Access {
    let roles = Role::ALL.map(|role| (role.to_string(), Caller::new(role.as_str(), [role], None)));
    let areas = ["F1", "T2", "X"].map(|node| {
        let area = NodeId::parse(node).unwrap();
        let roles = [
            Role::Viewer,
            Role::Auditor,
            Role::Operator,
            Role::Billing,
            Role::Admin,
        ];
        (
            node.to_owned(),
            Caller::new(&format!("of-{node}"), roles, Some(area)),
        )
    });
    Access::new(AccessSettings {
        keys: roles
            .into_iter()
            .chain(areas)
            .map(|(key, caller)| AccessKey {
                hash: KeyHash::of(&key),
                caller,
            })
            .collect(),
        oidc: None,
        metrics_open: false,
        session: Duration::from_secs(600),
        clock: Clock::fixed(UtcMicros::parse(NOW).unwrap()),
    })
    .unwrap()
}

async fn with_key(instance: &Instance, key: &str, method: &str, path: &str, body: &str) -> Answer {
    let authorization = format!("Bearer {key}");
    let mut headers = vec![("authorization", authorization.as_str())];
    if !body.is_empty() {
        let is_csv = path.starts_with("/api/v1/import");
        headers.push((
            "content-type",
            if is_csv { "text/csv" } else { "application/json" },
        ));
    }
    ask(instance.http, method, path, &headers, body.as_bytes()).await
}

/// Two feeders, with their reads.
async fn guarded() -> Instance {
    let instance = Instance::with(|settings| settings.access = access()).await;
    for (kind, file) in [
        ("nodes", NODES),
        ("nodes", MORE_NODES),
        ("meters", METERS),
        ("meters", MORE_METERS),
        ("connections", CONNECTIONS),
        ("connections", MORE_CONNECTIONS),
        ("reads", READS),
        ("reads", MORE_READS),
        ("planned_outages", PLANNED),
    ] {
        let path = format!("/api/v1/import/{kind}?name={kind}.csv");
        let answer = with_key(&instance, "operator", "POST", &path, file).await;
        assert_eq!(answer.status, 200, "{kind}: {}", answer.text());
    }
    instance
}

/// Every route that needs a caller: method, path, and the roles that are enough.
const GUARDED: &[(&str, &str, &[&str])] = &[
    ("GET", "/api/v1/summary", &["viewer", "auditor", "operator"]),
    ("GET", "/api/v1/nodes", &["viewer", "auditor", "operator"]),
    ("GET", "/api/v1/nodes/ranking", &["viewer", "auditor", "operator"]),
    ("GET", "/api/v1/nodes/F1", &["viewer", "auditor", "operator"]),
    (
        "GET",
        "/api/v1/nodes/F1/children",
        &["viewer", "auditor", "operator"],
    ),
    (
        "GET",
        "/api/v1/nodes/F1/balance",
        &["viewer", "auditor", "operator"],
    ),
    (
        "GET",
        "/api/v1/nodes/F1/reliability",
        &["viewer", "auditor", "operator"],
    ),
    (
        "GET",
        "/api/v1/nodes/F1/revenue",
        &["viewer", "auditor", "operator"],
    ),
    (
        "GET",
        "/api/v1/feeders/F1/revenue",
        &["viewer", "auditor", "operator"],
    ),
    ("GET", "/api/v1/places", &["viewer", "auditor", "operator"]),
    (
        "GET",
        "/api/v1/reports/mis-monthly?period=2026-04",
        &["viewer", "auditor", "operator"],
    ),
    (
        "GET",
        "/api/v1/nodes/F1/audit/technical",
        &["viewer", "auditor", "operator"],
    ),
    (
        "GET",
        "/api/v1/nodes/F1/accounting",
        &["viewer", "auditor", "operator"],
    ),
    (
        "GET",
        "/api/v1/nodes/F1/consumption-bands",
        &["viewer", "auditor", "operator"],
    ),
    (
        "GET",
        "/api/v1/nodes/F1/prosumers",
        &["viewer", "auditor", "operator"],
    ),
    (
        "GET",
        "/api/v1/nodes/F1/accountability",
        &["viewer", "auditor", "operator"],
    ),
    (
        "GET",
        "/api/v1/feeders/F1/accountability",
        &["viewer", "auditor", "operator"],
    ),
    (
        "GET",
        "/api/v1/nodes/F1/audit/commercial",
        &["viewer", "auditor", "operator", "billing"],
    ),
    (
        "GET",
        "/api/v1/consumers/U1/usage",
        &["viewer", "auditor", "operator", "billing"],
    ),
    ("POST", "/api/v1/feeders/F1/manager", &["operator"]),
    ("POST", "/api/v1/feeders/F1/actions", &["operator"]),
    (
        "GET",
        "/api/v1/consumers?q=U",
        &["viewer", "auditor", "operator", "billing"],
    ),
    ("GET", "/api/v1/data-quality", &["viewer", "auditor", "operator"]),
    ("GET", "/api/v1/outages", &["viewer", "auditor", "operator"]),
    ("GET", "/api/v1/outages/X", &["viewer", "auditor", "operator"]),
    (
        "GET",
        "/api/v1/consumers/U1/interruptions",
        &["viewer", "auditor", "operator", "billing"],
    ),
    (
        "GET",
        "/api/v1/consumers/U1/compensation",
        &["viewer", "auditor", "operator", "billing"],
    ),
    (
        "GET",
        "/api/v1/compensation/entries",
        &["viewer", "auditor", "operator", "billing"],
    ),
    (
        "GET",
        "/api/v1/compensation/entries/X/explanation",
        &["viewer", "auditor", "operator", "billing"],
    ),
    ("POST", "/api/v1/outages/X/cause", &["operator"]),
    ("POST", "/api/v1/compensation/acknowledgements", &["billing"]),
    ("POST", "/api/v1/compensation/approvals", &["billing"]),
    ("POST", "/api/v1/sql", &["auditor"]),
    ("POST", "/api/v1/import/nodes", &["operator"]),
    ("GET", "/api/v1/quarantine", &["viewer", "auditor", "operator"]),
    ("POST", "/api/v1/quarantine/replay", &["operator"]),
    ("POST", "/api/v1/edits", &["operator"]),
    ("GET", "/api/v1/webhooks", &["operator"]),
    ("GET", "/api/v1/webhooks/x/dead-letters", &["operator"]),
    ("POST", "/api/v1/webhooks/x/dead-letters/resend", &["operator"]),
    ("POST", "/api/v1/webhooks/x/enable", &["operator"]),
    ("POST", "/api/v1/checkpoint", &[]),
    ("GET", "/metrics", &["viewer", "auditor", "operator"]),
];

#[tokio::test]
async fn nobody_gets_in_without_a_key_and_each_role_where_it_may() {
    let instance = guarded().await;
    for (method, path, roles) in GUARDED {
        let answer = ask(instance.http, method, path, &[], b"").await;
        answer.problem(401, "no-credentials");
        assert_eq!(
            answer.header("www-authenticate"),
            "Bearer realm=\"gridtally\"",
            "{path}"
        );
        let answer = with_key(&instance, "guess", method, path, "").await;
        assert_eq!(answer.problem(401, "bad-credentials"), "the key is not known");
        assert!(
            answer.header("www-authenticate").contains("invalid_token"),
            "{path}"
        );
        for role in Role::ALL.map(Role::as_str) {
            let answer = with_key(&instance, role, method, path, "").await;
            if roles.contains(&role) || role == "admin" {
                assert!(
                    ![401, 403].contains(&answer.status),
                    "{role} {path}: {}",
                    answer.text()
                );
            } else {
                let detail = answer.problem(403, "role-needed");
                assert!(
                    detail.contains("needed is ") && detail.contains("admin"),
                    "{detail}"
                );
            }
        }
    }
    for path in [
        "/livez",
        "/readyz",
        "/api/v1/public/outages",
        "/openapi.json",
        "/docs",
        "/",
        "/api/v1/session",
    ] {
        assert_eq!(instance.get(path).await.status, 200, "{path}");
    }
    assert_eq!(instance.get("/nowhere").await.status, 404);
}

#[tokio::test]
async fn every_guarded_route_of_the_description_is_tried_above() {
    let instance = Instance::empty().await;
    let document = instance.get("/openapi.json").await.json();
    let open = [
        "/livez",
        "/readyz",
        "/api/v1/public/outages",
        "/openapi.json",
        // Tried by a test of its own.
        "/api/v1/stream",
        "/api/v1/session",
    ];
    for (path, methods) in document["paths"].as_object().unwrap() {
        if open.contains(&path.as_str()) {
            continue;
        }
        for method in methods.as_object().unwrap().keys() {
            let fits = |tried: &str| {
                let tried = tried.split('?').next().unwrap().split('/');
                let parts: Vec<(&str, &str)> = path.split('/').zip(tried.clone()).collect();
                let same = |(template, part): &(&str, &str)| template.starts_with('{') || template == part;
                tried.count() == path.split('/').count() && parts.iter().all(same)
            };
            let tried = GUARDED
                .iter()
                .any(|(known, tried, _)| known.eq_ignore_ascii_case(method) && fits(tried));
            assert!(tried, "{method} {path} is not tried");
        }
    }
}

#[tokio::test]
async fn metrics_may_be_open_and_nothing_else_with_them() {
    let open = Access::new(AccessSettings {
        keys: vec![AccessKey {
            hash: KeyHash::of("k"),
            caller: Caller::new("k", [Role::Viewer], None),
        }],
        oidc: None,
        metrics_open: true,
        session: Duration::from_secs(600),
        clock: Clock::fixed(UtcMicros::parse(NOW).unwrap()),
    });
    let instance = Instance::with(|settings| settings.access = open.unwrap()).await;
    assert_eq!(instance.get("/metrics").await.status, 200);
    instance
        .get("/api/v1/summary")
        .await
        .problem(401, "no-credentials");
}

async fn json_of(instance: &Instance, key: &str, path: &str) -> Value {
    let answer = with_key(instance, key, "GET", path, "").await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

fn texts(list: &Value, field: &str) -> Vec<String> {
    let rows = list.as_array().unwrap().iter();
    rows.map(|row| row[field].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn lists_hold_what_lies_in_the_area() {
    let instance = guarded().await;
    let check = |key: &'static str,
                 path: &'static str,
                 (list, field): (&'static str, &'static str),
                 expected: &'static [&'static str]| {
        let instance = &instance;
        async move {
            let answer = json_of(instance, key, path).await;
            assert_eq!(texts(&answer[list], field), expected, "{key} {path}");
        }
    };
    let nodes = ("nodes", "node_id");
    check("viewer", "/api/v1/nodes", nodes, &["D1", "F1", "F2", "T1", "T2"]).await;
    check("F1", "/api/v1/nodes", nodes, &["F1", "T1"]).await;
    check("F1", "/api/v1/nodes?limit=1&cursor=F1", nodes, &["T1"]).await;
    check("T2", "/api/v1/nodes", nodes, &["T2"]).await;
    check("X", "/api/v1/nodes", nodes, &[]).await;
    check("F1", "/api/v1/nodes/-/children", nodes, &["F1"]).await;
    check("X", "/api/v1/nodes/-/children", nodes, &[]).await;
    check("F1", "/api/v1/nodes/F1/children", nodes, &["T1"]).await;
    check("F1", "/api/v1/nodes/T1", ("ancestors", "node_id"), &["F1"]).await;
    check(
        "viewer",
        "/api/v1/consumers?q=U",
        ("consumers", "consumer_id"),
        &["U1", "U2", "U3"],
    )
    .await;
    check(
        "F1",
        "/api/v1/consumers?q=U",
        ("consumers", "consumer_id"),
        &["U1", "U2"],
    )
    .await;
    check("F1", "/api/v1/consumers?q=C3", ("consumers", "consumer_id"), &[]).await;
    check("viewer", "/api/v1/outages", ("outages", "node_id"), &["T1", "T2"]).await;
    check("F1", "/api/v1/outages", ("outages", "node_id"), &["T1"]).await;
    check("T2", "/api/v1/outages", ("outages", "node_id"), &["T2"]).await;
    let ranking = json_of(&instance, "F1", "/api/v1/nodes/ranking?kind=dt").await;
    let ranked = ranking["nodes"].as_array().unwrap().len()
        + usize::try_from(ranking["not_ranked"].as_u64().unwrap()).unwrap();
    assert_eq!(ranked, 1, "{ranking}");
}

#[tokio::test]
async fn the_tiles_are_those_of_the_area() {
    let instance = guarded().await;
    let all = json_of(&instance, "viewer", "/api/v1/summary").await;
    let f1 = json_of(&instance, "F1", "/api/v1/summary").await;
    let t2 = json_of(&instance, "T2", "/api/v1/summary").await;
    let nowhere = json_of(&instance, "X", "/api/v1/summary").await;
    let size = |nodes: u64, feeders: u64, dts: u64, meters: u64, connections: u64| json!({ "nodes": nodes, "feeders": feeders, "dts": dts, "meters": meters, "connections": connections });
    assert_eq!(all["network"], size(5, 2, 2, 7, 3));
    assert_eq!(f1["network"], size(2, 1, 1, 4, 2));
    assert_eq!(t2["network"], size(1, 0, 1, 2, 1));
    assert_eq!(nowhere["network"], size(0, 0, 0, 0, 0));
    assert_eq!(texts(&f1["roots"], "node_id"), ["F1"]);
    assert_eq!(nowhere["roots"], json!([]));
    let input = |summary: &Value| summary["loss_today"]["input_wh"].clone();
    let (whole, part) = (input(&all).as_i64().unwrap(), input(&f1).as_i64().unwrap());
    assert_eq!(whole - part, 700, "what flowed into F2");
    assert_eq!(all["log_position"], f1["log_position"]);
}

/// What is outside answers word for word as what does not exist.
#[tokio::test]
async fn what_lies_outside_is_answered_as_what_is_not_there() {
    let instance = guarded().await;
    let outages = json_of(&instance, "viewer", "/api/v1/outages?node=T2").await;
    let outage = outages["outages"][0]["outage_id"].as_str().unwrap().to_owned();
    let cause = json!({ "person": "A", "cause": "tree" }).to_string();
    let edit = |meter: &str| {
        let edit = json!({ "meter_id": meter, "interval_end": "2026-04-01T00:15:00+05:30", "import_wh": 5 });
        json!({ "person": "A", "reason": "B", "edits": [edit] }).to_string()
    };
    let edits = (edit("C3"), edit("ZZ"));
    let outage_path = format!("/api/v1/outages/{outage}");
    let cause_path = format!("/api/v1/outages/{outage}/cause");
    let empty = String::new();
    let pairs = [
        ("GET", "/api/v1/nodes/F2", "/api/v1/nodes/ZZ", &empty, &empty),
        ("GET", "/api/v1/nodes/D1", "/api/v1/nodes/ZZ", &empty, &empty),
        (
            "GET",
            "/api/v1/nodes/F2/children",
            "/api/v1/nodes/ZZ/children",
            &empty,
            &empty,
        ),
        (
            "GET",
            "/api/v1/nodes/F2/balance",
            "/api/v1/nodes/ZZ/balance",
            &empty,
            &empty,
        ),
        (
            "GET",
            "/api/v1/nodes/D1/balance?resolution=day",
            "/api/v1/nodes/ZZ/balance?resolution=day",
            &empty,
            &empty,
        ),
        (
            "GET",
            "/api/v1/nodes/F2/reliability",
            "/api/v1/nodes/ZZ/reliability",
            &empty,
            &empty,
        ),
        (
            "GET",
            "/api/v1/nodes/F2/revenue",
            "/api/v1/nodes/ZZ/revenue",
            &empty,
            &empty,
        ),
        (
            "GET",
            "/api/v1/feeders/F2/revenue",
            "/api/v1/feeders/ZZ/revenue",
            &empty,
            &empty,
        ),
        (
            "GET",
            "/api/v1/places?under=F2",
            "/api/v1/places?under=ZZ",
            &empty,
            &empty,
        ),
        (
            "GET",
            "/api/v1/nodes/ranking?under=F2",
            "/api/v1/nodes/ranking?under=ZZ",
            &empty,
            &empty,
        ),
        (
            "GET",
            "/api/v1/data-quality?node=F2",
            "/api/v1/data-quality?node=ZZ",
            &empty,
            &empty,
        ),
        (
            "GET",
            "/api/v1/outages?node=F2",
            "/api/v1/outages?node=ZZ",
            &empty,
            &empty,
        ),
        ("GET", &outage_path, "/api/v1/outages/ZZ", &empty, &empty),
        ("POST", &cause_path, "/api/v1/outages/ZZ/cause", &cause, &cause),
        (
            "GET",
            "/api/v1/consumers/U3/interruptions",
            "/api/v1/consumers/ZZ/interruptions",
            &empty,
            &empty,
        ),
        (
            "GET",
            "/api/v1/consumers/U3/compensation",
            "/api/v1/consumers/ZZ/compensation",
            &empty,
            &empty,
        ),
        ("POST", "/api/v1/edits", "/api/v1/edits", &edits.0, &edits.1),
    ];
    for (method, outside, unknown, body, other) in pairs {
        let one = with_key(&instance, "F1", method, outside, body).await;
        let two = with_key(&instance, "F1", method, unknown, other).await;
        assert!([400, 404].contains(&one.status), "{outside}: {}", one.text());
        let words = |answer: &Answer, id: &str| answer.text().replace(id, "?");
        let id = |path: &str, body: &str| {
            if body.contains("C3") {
                "C3".to_owned()
            } else if path.contains(&outage) {
                outage.clone()
            } else {
                ["F2", "D1", "U3"]
                    .iter()
                    .find(|id| path.contains(*id))
                    .unwrap_or(&"ZZ")
                    .to_string()
            }
        };
        assert_eq!(
            (one.status, words(&one, &id(outside, body))),
            (two.status, words(&two, "ZZ")),
            "{outside}"
        );
        // It is there for whom it is not outside.
        let all = with_key(&instance, "admin", method, outside, body).await;
        assert_eq!(all.status, 200, "{outside}: {}", all.text());
    }
}

#[tokio::test]
async fn what_is_of_no_node_is_for_callers_without_area() {
    let instance = guarded().await;
    for (method, path) in [
        ("POST", "/api/v1/import/nodes"),
        ("GET", "/api/v1/quarantine"),
        ("POST", "/api/v1/quarantine/replay"),
        ("GET", "/api/v1/webhooks"),
        ("POST", "/api/v1/checkpoint"),
    ] {
        let detail = with_key(&instance, "F1", method, path, "")
            .await
            .problem(403, "whole-only");
        assert!(detail.contains("`of-F1` is limited to `F1`"), "{detail}");
    }
    let quality = json_of(&instance, "F1", "/api/v1/data-quality").await;
    assert_eq!(
        (quality["quarantined"].clone(), quality["reads"].clone()),
        (json!({}), json!({}))
    );
    let revenue = json_of(&instance, "F1", "/api/v1/nodes/F1/revenue").await;
    assert_eq!(revenue["accounts"], json!([]));
}

#[tokio::test]
async fn an_edit_and_a_cause_carry_the_name_that_was_authenticated() {
    let instance = guarded().await;
    let outages = json_of(&instance, "viewer", "/api/v1/outages?node=T1").await;
    let outage = outages["outages"][0]["outage_id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/outages/{outage}/cause");
    let body = json!({ "person": "A. Kulkarni (admin)", "cause": "tree" }).to_string();
    assert_eq!(with_key(&instance, "F1", "POST", &path, &body).await.status, 200);
    let detail = json_of(&instance, "F1", &format!("/api/v1/outages/{outage}")).await;
    assert_eq!(detail["causes"][0]["person"], "A. Kulkarni (admin) (of-F1)");
}

#[tokio::test]
async fn a_stream_tells_what_lies_in_the_area() {
    let instance = guarded().await;
    let authorization = |key: &str| format!("Bearer {key}");
    let (f1, t2) = (authorization("F1"), authorization("T2"));
    let mut of_f1 = Events::open_with(instance.http, &[("authorization", &f1)]).await;
    let mut of_t2 = Events::open_with(instance.http, &[("authorization", &t2)]).await;
    assert_eq!(of_f1.named("summary").await.data["roots"][0]["node_id"], "F1");
    assert_eq!(of_t2.named("summary").await.data["roots"][0]["node_id"], "T2");
    // Reads of both feeders, and then of F1 alone: an event of F2 would come before what F1 is told last.
    for file in [
        "meter_id,interval_end,import_wh\nMF2,2026-04-01T00:30:00+05:30,710\nMF,2026-04-01T00:30:00+05:30,1010\n",
        "meter_id,interval_end,import_wh\nC2,2026-04-01T00:30:00+05:30,420\n",
    ] {
        let path = "/api/v1/import/reads?name=reads.csv";
        let answer = with_key(&instance, "operator", "POST", path, file).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let mut last = Value::Null;
    while last["feeders"][0]["coverage_pct"] != json!(100.0) {
        let event = of_f1.next().await.unwrap();
        if event.name == "balances" {
            assert_eq!(texts(&event.data["feeders"], "node_id"), ["F1"], "{}", event.data);
            last = event.data;
        }
    }
    // Who sees T2 alone sees no feeder: summaries and checkpoints are all that it was told.
    instance.engine.checkpoint().await.unwrap();
    loop {
        let event = of_t2.next().await.unwrap();
        assert_ne!(event.name, "balances", "{}", event.data);
        if event.name == "checkpoint" {
            break;
        }
    }
    let nobody = ask(instance.http, "GET", "/api/v1/stream", &[], b"").await;
    nobody.problem(401, "no-credentials");
}

#[tokio::test]
async fn the_page_signs_in_with_a_cookie_and_out_again() {
    let instance = guarded().await;
    let who = instance.get("/api/v1/session").await.json();
    assert_eq!(
        who,
        json!({ "open": false, "name": null, "roles": [], "area": null })
    );
    let sign_in = |key: &str, origin: &str| {
        let body = json!({ "key": key }).to_string();
        let origin = origin.to_owned();
        let http = instance.http;
        async move {
            let headers = [("content-type", "application/json"), ("origin", origin.as_str())];
            ask(http, "POST", "/api/v1/session", &headers, body.as_bytes()).await
        }
    };
    let own = format!("http://{}", instance.http);
    sign_in("guess", &own).await.problem(401, "bad-credentials");
    sign_in("F1", "https://elsewhere.example")
        .await
        .problem(403, "foreign-origin");
    let answer = sign_in("F1", &own).await;
    assert_eq!(answer.json()["area"], "F1");
    let cookie = answer.header("set-cookie").to_owned();
    assert!(
        cookie.contains("; HttpOnly; SameSite=Strict") && !cookie.contains("Secure"),
        "{cookie}"
    );
    let pair = cookie.split(';').next().unwrap();
    let with_cookie = |method: &'static str, path: &'static str| {
        let (http, pair) = (instance.http, pair.to_owned());
        async move { ask(http, method, path, &[("cookie", &pair)], b"").await }
    };
    let nodes = with_cookie("GET", "/api/v1/nodes").await.json();
    assert_eq!(texts(&nodes["nodes"], "node_id"), ["F1", "T1"]);
    assert_eq!(
        with_cookie("GET", "/api/v1/session").await.json()["name"],
        "of-F1"
    );
    let out = with_cookie("DELETE", "/api/v1/session").await;
    assert!(
        out.header("set-cookie").contains("Max-Age=0"),
        "{}",
        out.header("set-cookie")
    );
    with_cookie("GET", "/api/v1/nodes")
        .await
        .problem(401, "bad-credentials");
}

#[tokio::test]
async fn without_keys_everybody_is_let_in_and_told_so() {
    let instance = Instance::empty().await;
    let who = instance.get("/api/v1/session").await.json();
    assert_eq!(
        who,
        json!({ "open": true, "name": null, "roles": ["admin"], "area": null })
    );
    assert_eq!(instance.get("/api/v1/summary").await.status, 200);
}
