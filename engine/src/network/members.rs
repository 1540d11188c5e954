//! The meters of a roster, eight bytes each and four to find them by.
//!
//! They stand by DT, so that where each DT's begin says on which a meter is, and what meters are alike in (role, factor, length of interval,
//! bounds) is kept once. A member on its own took 52 bytes, of which every consumer has one for as long as the process lives.

use gridtally_schemas::{IntervalMinutes, Multiplier};
use hashbrown::HashMap;

use super::{Member, MemberRole, MeterIx};

/// What members are alike in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Alike {
    role: MemberRole,
    multiplier: Multiplier,
    minutes: IntervalMinutes,
    in_service: bool,
    import_bound_wh: i64,
    export_bound_wh: i64,
}

impl Alike {
    const fn of(member: &Member) -> Self {
        Self {
            role: member.role,
            multiplier: member.multiplier,
            minutes: member.minutes,
            in_service: member.in_service,
            import_bound_wh: member.import_bound_wh,
            export_bound_wh: member.export_bound_wh,
        }
    }
}

/// Members in the order of their DTs, those of the feeder itself last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Members {
    /// Each meter, with the number of what it has alike with others.
    members: Box<[(MeterIx, u32)]>,
    alike: Box<[Alike]>,
    /// Where the members of each DT begin, and at last those of the feeder itself.
    begins: Box<[u32]>,
    /// Places in `members`, by meter.
    by_meter: Box<[u32]>,
}

fn position(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn number(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

impl Members {
    /// Of members that stand in the order of their DTs, of which there are so many.
    pub(super) fn of(given: &[Member], dts: usize) -> Self {
        let mut numbers: HashMap<Alike, u32> = HashMap::new();
        let mut alike = Vec::new();
        let mut members = Vec::with_capacity(given.len());
        for member in given {
            let says = Alike::of(member);
            let of_alike = *numbers.entry(says).or_insert_with(|| {
                alike.push(says);
                number(alike.len() - 1)
            });
            members.push((member.meter, of_alike));
        }
        let rank = |member: &Member| member.dt.map_or(dts, position);
        let begins = (0..=dts).map(|dt| number(given.partition_point(|member| rank(member) < dt)));
        let mut by_meter: Vec<u32> = (0..number(given.len())).collect();
        by_meter.sort_by_key(|at| members.get(position(*at)).map(|(meter, _)| *meter));
        Self {
            begins: begins.collect(),
            by_meter: by_meter.into(),
            members: members.into(),
            alike: alike.into(),
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.members.len()
    }

    fn member(&self, at: usize, dt: Option<u32>) -> Option<Member> {
        let (meter, of_alike) = *self.members.get(at)?;
        let alike = self.alike.get(position(of_alike))?;
        Some(Member {
            meter,
            dt,
            role: alike.role,
            multiplier: alike.multiplier,
            minutes: alike.minutes,
            in_service: alike.in_service,
            import_bound_wh: alike.import_bound_wh,
            export_bound_wh: alike.export_bound_wh,
        })
    }

    /// The DTs by number, and with `None` the feeder itself.
    pub(super) fn places(&self) -> impl Iterator<Item = Option<u32>> + use<> {
        let dts = number(self.begins.len().saturating_sub(1));
        (0..dts).map(Some).chain([None])
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = Member> {
        self.places().flat_map(|dt| self.on(dt))
    }

    /// Those on a DT, or on the feeder itself.
    pub(super) fn on(&self, dt: Option<u32>) -> impl Iterator<Item = Member> {
        let rank = dt.map_or(self.begins.len().saturating_sub(1), position);
        let begin = |rank: usize| self.begins.get(rank).map(|begin| position(*begin));
        let end = begin(rank + 1).unwrap_or(self.members.len());
        (begin(rank).unwrap_or(end)..end).filter_map(move |at| self.member(at, dt))
    }

    /// The DTs on which a meter is a member, `None` for the feeder itself.
    pub(super) fn places_of(&self, meter: MeterIx) -> impl Iterator<Item = Option<u32>> {
        let meter_at = |at: u32| self.members.get(position(at)).map(|(meter, _)| *meter);
        let first = self
            .by_meter
            .partition_point(|at| meter_at(*at).is_some_and(|of| of < meter));
        let from = self.by_meter.get(first..).unwrap_or_default();
        from.iter()
            .copied()
            .take_while(move |at| meter_at(*at) == Some(meter))
            .map(|at| {
                let after = self.begins.partition_point(|begin| *begin <= at);
                let dt = after.saturating_sub(1);
                (dt + 1 < self.begins.len()).then(|| number(dt))
            })
    }
}
