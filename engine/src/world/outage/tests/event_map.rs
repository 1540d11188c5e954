//! A restart with another event map comes to what a run comes to that had it from the beginning, as new versions.

use super::*;
use crate::{outage::EventMap, world::tests::compared::current_rows};

/// A vendor's own codes.
const VENDOR_FAILED: i32 = 9_101;
const VENDOR_RESTORED: i32 = 9_102;

fn settings(codes: &[(i32, &str)]) -> Settings {
    Settings {
        event_map: EventMap::default().with(codes.iter().copied()).unwrap(),
        ..Settings::default()
    }
}

fn vendors() -> Settings {
    settings(&[
        (VENDOR_FAILED, "power failure"),
        (VENDOR_RESTORED, "power restoration"),
        (251, "none"),
    ])
}

impl Town {
    fn start_with(&mut self, settings: Settings) -> &mut Self {
        self.process = Process::start(&self.store, settings, NOW);
        self.apply()
    }

    /// T1 fails in a vendor's words, T2 in the usual ones; T3-0 was opened.
    fn tells_in_two_tongues(&mut self) -> &mut Self {
        self.draws(1..=40)
            .dt_says("T1", minute(0), VENDOR_FAILED)
            .dt_says("T1", minute(40), VENDOR_RESTORED)
            .dt_says("T2", minute(120), POWER_FAILED)
            .dt_says("T2", minute(160), POWER_RESTORED)
            .says("T3-0", minute(5), 251)
    }

    fn stands(&self) -> Vec<String> {
        let tables = [
            &table::OUTAGES,
            &table::INTERRUPTIONS,
            &table::RELIABILITY_MONTHLY,
            &table::METER_EVENTS,
        ];
        let rows = tables
            .into_iter()
            .flat_map(|table| current_rows(&self.store, table));
        // What was published and is none any more has an empty row; a run that never had it has none.
        let rows = rows.filter(|(_, row)| !row.is_empty());
        rows.map(|(key, row)| format!("{key}: {row}")).collect()
    }

    fn meanings(&self, code: i32) -> Vec<String> {
        let columns = ["code", "version", "meaning", "reason"];
        let mut rows = self.published(&table::METER_EVENTS, &columns);
        rows.retain(|row| row.starts_with(&format!("{code} ")));
        rows.dedup();
        rows
    }
}

#[test]
fn a_changed_map_leads_to_what_a_run_has_that_had_it_from_the_beginning() {
    let run = |settings: Settings| {
        let mut town = Town::new();
        town.start_with(settings)
            .tells_in_two_tongues()
            .apply()
            .checkpoint();
        town
    };
    let (usual, vendor) = (run(Settings::default()), run(vendors()));
    assert_eq!(usual.outages().len(), 1, "{:?}", usual.outages());
    assert_eq!(vendor.outages().len(), 2, "{:?}", vendor.outages());
    assert_ne!(usual.stands(), vendor.stands());

    // From the one to the other and back, each published in between.
    let mut town = run(Settings::default());
    town.start_with(vendors()).checkpoint();
    assert_eq!(town.stands(), vendor.stands());
    assert_eq!(
        town.meanings(VENDOR_FAILED),
        ["9101 1  ", "9101 2 power failure the event map was changed"]
    );
    assert_eq!(
        town.meanings(251),
        ["251 1 meter cover opened ", "251 2  the event map was changed"]
    );
    assert_eq!(town.meanings(POWER_FAILED), ["101 1 power failure "]);
    let rows = |town: &Town| town.published(&table::METER_EVENTS, &["meter_id"]).len();
    let written = rows(&town);
    town.start_with(vendors()).checkpoint();
    assert_eq!(
        rows(&town),
        written,
        "a start with the same map publishes nothing"
    );

    town.start_with(Settings::default()).checkpoint();
    assert_eq!(town.stands(), usual.stands());
    let ended = town.published(&table::OUTAGES, &["outage_id", "version", "status"]);
    assert!(
        ended.contains(&"F1.20260401T0430 2 CANCELLED".to_owned()),
        "{ended:?}"
    );
}

#[test]
fn a_crash_between_the_commits_of_that_checkpoint_loses_no_new_meaning_and_doubles_none() {
    let mut whole = Town::new();
    whole
        .start_with(vendors())
        .tells_in_two_tongues()
        .apply()
        .checkpoint();
    for commits in 0..8 {
        let mut town = Town::new();
        // Events of which the table has rows that no checkpoint has seen.
        town.tells_in_two_tongues().apply();
        town.store.fail_after(Some(commits));
        let _ = town.process.checkpoint(Scope::Everything);
        town.start_with(vendors());
        town.store.fail_after(Some(commits / 2));
        let _ = town.process.checkpoint(Scope::Everything);
        town.start_with(vendors()).checkpoint();
        town.start_with(vendors()).checkpoint();
        assert_eq!(town.stands(), whole.stands(), "{commits} commits");
        let versions = town.published(&table::METER_EVENTS, &["meter_id", "code", "at", "version"]);
        let mut once = versions.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), versions.len(), "{commits} commits: {versions:?}");
    }
}
