//! What the tables of a town give: the regulation in force as the ledger has it, and another.

use gridtally_schemas::{Zone, network::MasterRows};

use super::*;
use crate::{
    compensation::{document::Document, regulation::Regulation},
    rig::{block_on, master_record, node},
    tables::Tables,
    world::{
        CompensationRules, Settings,
        outage::tests::{POWER_FAILED, POWER_RESTORED, Town, minute},
        tests::NOW,
    },
};

fn in_force(text: &str) -> InForce {
    let document: Document = toml::from_str(text).unwrap();
    let regulation = Regulation::check(&document).unwrap();
    InForce::new(&Zone::kolkata(), Vec::new(), Some(regulation)).unwrap()
}

#[test]
fn another_regulation_is_compared_by_the_published_tables_and_the_ledger_agrees_with_the_one_in_force() {
    let settings = Settings {
        compensation: CompensationRules {
            in_force: in_force(include_str!("../../../deploy/presets/IN-DL-DERC-2018.toml")),
            needs_approval: false,
        },
        ..Settings::default()
    };
    let mut town = Town::with(settings.clone());
    let mut zone = node("Z", gridtally_schemas::network::NodeKind::Zone, Some("D"));
    zone.area_class = Some(gridtally_schemas::network::AreaClass::Urban);
    town.log.push(master_record(NOW, &MasterRows::Nodes(vec![zone])));
    town.draws(1..=40)
        .dt_says("T1", minute(0), POWER_FAILED)
        .dt_says("T1", minute(20 * 60), POWER_RESTORED)
        .dt_says("T3", minute(0), POWER_FAILED)
        .dt_says("T3", minute(2), POWER_RESTORED)
        .apply()
        .checkpoint();
    let folder = tempfile::tempdir().unwrap();
    let answer = block_on(async {
        let tables = Tables::open(folder.path()).await.unwrap();
        for table in [
            &table::NODES,
            &table::METERS,
            &table::CONNECTIONS,
            &table::OUTAGES,
            &table::INTERRUPTIONS,
            &table::COMPENSATION_ENTRIES,
        ] {
            for (at, batch) in town.store.batches(table).into_iter().enumerate() {
                let position = Position(u64::try_from(at).unwrap() + 1);
                tables.append(table, batch, position).await.unwrap();
            }
        }
        let reader = Tables::open_read_only(folder.path()).unwrap();
        let question = Question {
            other: in_force(include_str!("../../../deploy/presets/IN-MH-MERC-2021.toml")),
            from: Day::parse("2026-04-01").unwrap(),
            to: Day::parse("2026-04-30").unwrap(),
            as_of: NOW,
        };
        what_if(&reader, &settings, &question).await.unwrap()
    });
    let april = answer.months[&Day::parse("2026-04-01").unwrap()];
    // DERC: 19 h beyond the exempt first one, 2 x 50 + 17 x 100; MERC: a DT, 18 h in town, 2 h begun at 50. Two minutes cost nothing.
    let cost = |inr: i128| Cost {
        consumers: 4,
        defaults: 4,
        paise: 4 * inr * 100,
    };
    assert_eq!((april.in_force, april.other), (cost(1_800), cost(100)));
    assert_eq!(april.ledger_paise, april.in_force.paise);
    assert_eq!((answer.months.len(), answer.consumers), (1, 8));
}
