use std::sync::Arc;

use gridtally_schemas::network::{MasterRows, MeterRole};
use proptest::prelude::*;

use super::*;
use crate::{
    rig::{LONG_AGO, MIDNIGHT, connection, hierarchy, meter, node, node_id, quarter_end},
    state::Quarter,
};

fn source() -> Arc<str> {
    Arc::from("file:x")
}

fn learn(network: &mut Network, recorded_at: i64, rows: MasterRows) -> Touched {
    network.merge(UtcMicros(recorded_at), &source(), rows)
}

fn named(network: &Network) -> impl Fn(&[NodeIx]) -> Vec<String> {
    |nodes| {
        nodes
            .iter()
            .map(|node| network.node(*node).unwrap().id.to_string())
            .collect()
    }
}

fn members(network: &Network, feeder: &str, quarter: i64) -> Vec<(String, MemberRole, Option<u32>, bool)> {
    let quarter = Quarter::ending(quarter_end(quarter)).unwrap();
    let roster = network.roster(network.find_node(feeder).unwrap(), quarter.begin());
    let of = |member: Member| {
        (
            network.meter(member.meter).unwrap().id().to_owned(),
            member.role,
            member.dt,
            member.in_service,
        )
    };
    roster.members().map(of).collect()
}

#[test]
fn the_census_is_what_a_walk_through_all_nodes_says() {
    let mut network = Network::default();
    learn(&mut network, 1, MasterRows::Nodes(hierarchy()));
    // A root that only others name, and then has a row; a DT that becomes a feeder; one that loses its parent.
    let mut orphan = node("T9", NodeKind::Dt, Some("F9"));
    learn(&mut network, 2, MasterRows::Nodes(vec![orphan.clone()]));
    let roots =
        |network: &Network| named(network)(&network.census().roots.iter().copied().collect::<Vec<_>>());
    assert_eq!(roots(&network), ["D"], "what nobody describes is no root");
    learn(
        &mut network,
        3,
        MasterRows::Nodes(vec![node("F9", NodeKind::Feeder, None)]),
    );
    assert_eq!(roots(&network), ["D", "F9"]);
    orphan.kind = NodeKind::Feeder;
    orphan.parent_id = None;
    learn(&mut network, 4, MasterRows::Nodes(vec![orphan]));
    learn(
        &mut network,
        5,
        MasterRows::Nodes(vec![node("F9", NodeKind::Feeder, Some("D"))]),
    );
    let mut walked = Census::default();
    for (at, node) in network.nodes() {
        walked.name();
        walked.change(at, (None, false), node.standing());
    }
    assert_eq!(*network.census(), walked);
    assert!(walked.feeders >= 4 && walked.dts > 0, "{walked:?}");
    assert!(roots(&network).contains(&"T9".to_owned()));
}

#[test]
fn a_meter_that_moves_counts_where_its_connection_says_at_the_time() {
    let mut network = Network::default();
    learn(&mut network, 1, MasterRows::Nodes(hierarchy()));
    learn(
        &mut network,
        1,
        MasterRows::Meters(vec![meter("A", MeterRole::Consumer, None)]),
    );
    let mut before = connection("CA", Some("A"), "T1");
    before.valid_to = Some(quarter_end(4));
    let mut after = connection("CA", Some("A"), "T3");
    after.valid_from = quarter_end(4);
    let touched = learn(&mut network, 2, MasterRows::Connections(vec![before, after]));
    assert_eq!(named(&network)(&touched.feeders), ["F1", "F2"]);
    let consumer = |dt| vec![("A".to_owned(), MemberRole::Consumer, Some(dt), true)];
    assert_eq!(members(&network, "F1", 4), consumer(0));
    assert_eq!(
        (members(&network, "F1", 5), members(&network, "F2", 5)),
        (vec![], consumer(0))
    );
    let roster = network.roster(network.find_node("F1").unwrap(), MIDNIGHT);
    assert_eq!(roster.span, LONG_AGO..quarter_end(4));
    assert_eq!(named(&network)(&roster.ancestors), ["Z", "D"]);
}

#[test]
fn a_row_that_replaces_another_touches_the_feeder_that_the_other_named() {
    let mut network = Network::default();
    learn(&mut network, 1, MasterRows::Nodes(hierarchy()));
    learn(
        &mut network,
        1,
        MasterRows::Meters(vec![meter("A", MeterRole::Consumer, None)]),
    );
    learn(
        &mut network,
        1,
        MasterRows::Connections(vec![connection("CA", Some("A"), "T1")]),
    );
    let touched = learn(
        &mut network,
        2,
        MasterRows::Connections(vec![connection("CA", Some("A"), "T3")]),
    );
    assert_eq!(named(&network)(&touched.feeders), ["F1", "F2"]);
    let touched = learn(
        &mut network,
        2,
        MasterRows::Nodes(vec![node("T1", NodeKind::Dt, Some("F2"))]),
    );
    assert_eq!(named(&network)(&touched.feeders), ["F1", "F2"]);
    learn(
        &mut network,
        2,
        MasterRows::Meters(vec![meter("MF", MeterRole::Feeder, Some("F1"))]),
    );
    let touched = learn(
        &mut network,
        3,
        MasterRows::Meters(vec![meter("MF", MeterRole::Feeder, Some("F2"))]),
    );
    assert_eq!(named(&network)(&touched.feeders), ["F1", "F2"]);
}

#[test]
fn a_connected_meter_without_a_row_in_force_is_expected_and_out_of_service() {
    let mut network = Network::default();
    learn(&mut network, 1, MasterRows::Nodes(hierarchy()));
    learn(
        &mut network,
        1,
        MasterRows::Connections(vec![connection("CA", Some("A"), "T1")]),
    );
    let out = |in_service| vec![("A".to_owned(), MemberRole::Consumer, Some(0), in_service)];
    assert_eq!(members(&network, "F1", 1), out(false));
    let mut row = meter("A", MeterRole::Consumer, None);
    row.valid_from = quarter_end(1);
    let touched = learn(&mut network, 2, MasterRows::Meters(vec![row]));
    assert_eq!(touched.meters_now_known.len(), 1);
    assert_eq!(
        (members(&network, "F1", 1), members(&network, "F1", 2)),
        (out(false), out(true))
    );
}

#[test]
fn a_loop_in_the_hierarchy_ends_the_walk() {
    let mut network = Network::default();
    learn(
        &mut network,
        1,
        MasterRows::Nodes(vec![
            node("A", NodeKind::Zone, Some("B")),
            node("B", NodeKind::Circle, Some("A")),
            node("F", NodeKind::Feeder, Some("A")),
        ]),
    );
    learn(
        &mut network,
        1,
        MasterRows::Meters(vec![meter("MF", MeterRole::Feeder, Some("F"))]),
    );
    let roster = network.roster(network.find_node("F").unwrap(), MIDNIGHT);
    assert_eq!(named(&network)(&roster.ancestors), ["A", "B"]);
}

fn any_rows() -> impl Strategy<Value = (i64, MasterRows)> {
    let node_row = (0_usize..3, 0_usize..2, 0_i64..2).prop_map(|(dt, feeder, from)| {
        let mut row = node(["T1", "T2", "T3"][dt], NodeKind::Dt, Some(["F1", "F2"][feeder]));
        row.valid_from = LONG_AGO.plus(from);
        MasterRows::Nodes(vec![row])
    });
    let meter_row = (0_usize..3, 0_usize..2, 0_i64..2).prop_map(|(id, feeder, from)| {
        let mut row = meter(
            ["A", "B", "X"][id],
            [MeterRole::Consumer, MeterRole::Consumer, MeterRole::Boundary][id],
            None,
        );
        if id == 2 {
            row.node_id = Some(node_id(["F1", "F2"][feeder]));
            row.boundary_to = Some(node_id(["F2", "F1"][feeder]));
        }
        row.valid_from = LONG_AGO.plus(from);
        MasterRows::Meters(vec![row])
    });
    let connection_row = (0_usize..2, 0_usize..5, 0_i64..2).prop_map(|(id, place, from)| {
        let mut row = connection(
            ["CA", "CB"][id],
            Some(["A", "B"][id]),
            ["T1", "T2", "T3", "F1", "F2"][place],
        );
        row.valid_from = LONG_AGO.plus(from);
        MasterRows::Connections(vec![row])
    });
    (0_i64..1_000_000, prop_oneof![node_row, meter_row, connection_row])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// ORD-1 for master data; and a roster changes only when its feeder is touched.
    #[test]
    fn any_order_of_rows_gives_the_same_rosters_and_touches_what_changes(
        (rows, shuffled) in prop::collection::vec(any_rows(), 1..16)
            .prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
    ) {
        let picture = |network: &Network, feeder: &str| format!("{:?}", members(network, feeder, 1));
        let build = |rows: &[(i64, MasterRows)]| {
            let mut network = Network::default();
            learn(&mut network, 0, MasterRows::Nodes(hierarchy()));
            for (recorded_at, rows) in rows {
                let before = ["F1", "F2"].map(|feeder| picture(&network, feeder));
                let touched = learn(&mut network, *recorded_at + 1, rows.clone());
                for (feeder, before) in ["F1", "F2"].iter().zip(before) {
                    let is_touched = touched.feeders.contains(&network.find_node(feeder).unwrap());
                    prop_assert!(is_touched || picture(&network, feeder) == before, "{} changed untouched", feeder);
                }
            }
            Ok(network)
        };
        let (a, b) = (build(&rows)?, build(&shuffled)?);
        for feeder in ["F1", "F2"] {
            prop_assert_eq!(picture(&a, feeder), picture(&b, feeder));
        }
    }
}
