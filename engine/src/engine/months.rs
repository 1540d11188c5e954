//! Bringing the reliability indices up to the interruptions that stand.

use gridtally_schemas::UtcMicros;

use super::paging::Access;

/// Tallies the months that something changed since they were tallied, as of `now`. That goes through all interruptions and feeders, but only
/// reads: whoever looks at the picture does not wait for it.
pub(crate) fn tally_months(mut world: impl Access, now: UtcMicros) {
    let Some(dirty) = world.change(|world| world.take_months_to_tally(now)) else {
        return;
    };
    let tallied = world.look(|world| world.tallied(dirty));
    // To drop what stood before may take a while, too: not while the picture is held.
    drop(world.change(|world| world.stand_months(tallied)));
}
