//! The roster of a feeder: who takes part in its balance while nothing about it changes.

use std::{ops::Range, sync::Arc};

use gridtally_schemas::{
    IntervalMinutes, Multiplier, UtcMicros,
    network::{MeterRole, NodeKind, Prosumer},
};

use super::{ConnectionIx, ConnectionSays, Meter, MeterIx, Network, NodeIx, members::Members};
use crate::state::Quarter;

/// What a member measures, as the balance sees it. The words stand in the `role` column of `member_reads`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MemberRole {
    /// LT consumer on a DT.
    Consumer,
    /// LT generation meter on a DT; only its export counts.
    Generation,
    /// The DT's own meter.
    Dt,
    /// The feeder's own meter.
    Feeder,
    /// Boundary meter of this feeder: its import comes in.
    BoundaryOwn,
    /// Boundary meter of the feeder on the other side: its import goes out from here.
    BoundaryOther,
    /// HT consumer on the feeder.
    HtConsumer,
    /// Generation meter on the feeder; only its export counts.
    HtGeneration,
    /// Unmetered load, assessed by the month.
    Unmetered,
}

impl MemberRole {
    /// Every role, in the order of their codes.
    pub const ALL: [Self; 9] = [
        Self::Consumer,
        Self::Generation,
        Self::Dt,
        Self::Feeder,
        Self::BoundaryOwn,
        Self::BoundaryOther,
        Self::HtConsumer,
        Self::HtGeneration,
        Self::Unmetered,
    ];

    /// The word in the `role` column.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Generation => "generation",
            Self::Dt => "dt",
            Self::Feeder => "feeder",
            Self::BoundaryOwn => "boundary_own",
            Self::BoundaryOther => "boundary_other",
            Self::HtConsumer => "ht_consumer",
            Self::HtGeneration => "ht_generation",
            Self::Unmetered => "unmetered",
        }
    }

    /// Its place in [`MemberRole::ALL`].
    #[must_use]
    pub const fn code(self) -> i8 {
        match self {
            Self::Consumer => 0,
            Self::Generation => 1,
            Self::Dt => 2,
            Self::Feeder => 3,
            Self::BoundaryOwn => 4,
            Self::BoundaryOther => 5,
            Self::HtConsumer => 6,
            Self::HtGeneration => 7,
            Self::Unmetered => 8,
        }
    }
}

/// One meter's part in a balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// The meter.
    pub meter: MeterIx,
    /// Its role.
    pub role: MemberRole,
    /// Its DT, as position in [`Roster::dts`]; `None`: on the feeder itself.
    pub dt: Option<u32>,
    /// Its multiplying factor.
    pub multiplier: Multiplier,
    /// Length of its intervals.
    pub minutes: IntervalMinutes,
    /// Whether a row of the meter covers the time. Without one it is expected and never present: what it counts in (multiplier,
    /// interval) is not known, so its values count in no balance until master data says.
    pub in_service: bool,
    /// The most that a consumer can draw in one balance interval, Wh; 0 of every other meter.
    pub import_bound_wh: i64,
    /// The most that a prosumer or generator can give in one balance interval, Wh; 0 of every other meter.
    pub export_bound_wh: i64,
}

/// Unmetered load of a DT or of the feeder itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unmetered {
    /// The DT; `None`: on the feeder itself.
    pub dt: Option<u32>,
    /// Assessed consumption a month, Wh, of one connection.
    pub assessed_wh_month: i64,
}

/// Who takes part in a feeder's balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    /// The feeder.
    pub feeder: NodeIx,
    /// Where this roster holds: instants at which an interval may begin.
    pub span: Range<UtcMicros>,
    /// Length of the balance interval: the longest among its meters.
    pub minutes: IntervalMinutes,
    /// Its DTs, by id.
    pub dts: Vec<NodeIx>,
    /// Its unmetered connections.
    pub unmetered: Vec<Unmetered>,
    /// The nodes above the feeder, nearest first.
    pub ancestors: Arc<[NodeIx]>,
    members: Members,
}

impl Roster {
    /// The DTs on which a meter is a member, `None` for the feeder itself; nothing when it is no member.
    pub fn places_of(&self, meter: MeterIx) -> impl Iterator<Item = Option<u32>> {
        self.members.places_of(meter)
    }

    /// Its meters, by DT and id; those of the feeder itself last.
    pub fn members(&self) -> impl Iterator<Item = Member> {
        self.members.iter()
    }

    /// Number of its meters.
    #[must_use]
    pub const fn member_count(&self) -> usize {
        self.members.len()
    }

    /// Where members may be: each DT by its position in [`Roster::dts`], and at last with `None` the feeder itself.
    pub fn places(&self) -> impl Iterator<Item = Option<u32>> + use<> {
        self.members.places()
    }

    /// The members on a DT, or on the feeder itself.
    pub fn members_on(&self, dt: Option<u32>) -> impl Iterator<Item = Member> {
        self.members.on(dt)
    }

    /// Whether it has nothing to balance.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.len() == 0 && self.unmetered.is_empty()
    }

    /// Whether balances by `other` are the same, whatever the span in which each holds.
    #[must_use]
    pub fn is_alike(&self, other: &Self) -> bool {
        (self.minutes, &self.dts, &self.members) == (other.minutes, &other.dts, &other.members)
            && (&self.unmetered, &self.ancestors) == (&other.unmetered, &other.ancestors)
    }

    /// Whether a balance interval can end with `quarter`.
    #[must_use]
    pub fn is_on_grid(&self, quarter: Quarter) -> bool {
        quarter.ceil_to(self.minutes.quarters()) == quarter
    }
}

/// Highest number of levels above a feeder that is followed.
pub(crate) const LEVELS_MAX: usize = 16;

impl Network {
    /// The roster of `feeder` for intervals that begin at `instant`.
    #[must_use]
    pub fn roster(&self, feeder: NodeIx, instant: UtcMicros) -> Roster {
        let mut building = Building {
            network: self,
            instant,
            roster: Roster {
                feeder,
                span: UtcMicros(i64::MIN)..UtcMicros(i64::MAX),
                minutes: IntervalMinutes::Fifteen,
                dts: Vec::new(),
                members: Members::default(),
                unmetered: Vec::new(),
                ancestors: Arc::default(),
            },
            members: Vec::new(),
            limits: Vec::new(),
        };
        building.collect();
        building.finish()
    }
}

impl Network {
    /// A node and those above it at an instant, nearest first. Bounded: where rows name a cycle it gives nodes again.
    pub fn at_and_above(&self, node: NodeIx, instant: UtcMicros) -> impl Iterator<Item = NodeIx> {
        let line = std::iter::successors(Some(node), move |below| self.parent_at(*below, instant));
        line.take(LEVELS_MAX)
    }

    /// Whether a node is `top` or below it at an instant.
    #[must_use]
    pub fn is_at_or_below(&self, node: NodeIx, top: NodeIx, instant: UtcMicros) -> bool {
        self.at_and_above(node, instant).any(|above| above == top)
    }

    /// The nodes above one at an instant, nearest first.
    #[must_use]
    pub fn ancestors_at(&self, node: NodeIx, instant: UtcMicros) -> Vec<NodeIx> {
        let mut above = Vec::new();
        let mut below = node;
        while let Some(parent) = self.parent_at(below, instant) {
            if above.len() == LEVELS_MAX || above.contains(&parent) {
                break;
            }
            above.push(parent);
            below = parent;
        }
        above
    }
}

struct Building<'a> {
    network: &'a Network,
    instant: UtcMicros,
    roster: Roster,
    members: Vec<Member>,
    /// What each member can carry.
    limits: Vec<Limits>,
}

impl Building<'_> {
    fn collect(&mut self) {
        let feeder = self.roster.feeder;
        let Some(node) = self.network.node(feeder) else {
            return;
        };
        node.history.narrow(self.instant, &mut self.roster.span);
        if node.kind() != Some(NodeKind::Feeder) {
            return;
        }
        let mut dts: Vec<NodeIx> = Vec::new();
        for child in &node.children {
            let Some(entry) = self.network.node(*child) else {
                continue;
            };
            entry.history.narrow(self.instant, &mut self.roster.span);
            let hangs_here = self.network.parent_at(*child, self.instant) == Some(feeder);
            if entry.kind() == Some(NodeKind::Dt) && hangs_here {
                dts.push(*child);
            }
        }
        dts.sort_by_key(|dt| self.network.node(*dt).map(|node| node.id.clone()));
        self.ancestors();
        for (at, dt) in dts.iter().enumerate() {
            self.of_node(*dt, u32::try_from(at).ok());
        }
        self.roster.dts = dts;
        self.of_node(feeder, None);
    }

    fn ancestors(&mut self) {
        self.roster.ancestors = self.network.ancestors_at(self.roster.feeder, self.instant).into();
        for above in self.roster.ancestors.iter() {
            if let Some(node) = self.network.node(*above) {
                node.history.narrow(self.instant, &mut self.roster.span);
            }
        }
    }

    /// Everything that hangs on one node: its connections, then its own meters.
    fn of_node(&mut self, node: NodeIx, dt: Option<u32>) {
        let Some(entry) = self.network.node(node) else {
            return;
        };
        let first = self.members.len();
        for connection in &entry.connections {
            self.of_connection(*connection, node, dt);
        }
        for meter in &entry.meters {
            self.of_own_meter(*meter, node, dt);
        }
        if let Some(added) = self.members.get_mut(first..) {
            let limits = self.limits.split_off(first);
            let mut paired: Vec<(Member, Limits)> = added.iter().copied().zip(limits).collect();
            paired.sort_by_key(|(member, _)| (self.network.meter(member.meter).map(Meter::id), member.role));
            for (slot, (member, limits)) in added.iter_mut().zip(paired) {
                *slot = member;
                self.limits.push(limits);
            }
        }
    }

    fn of_connection(&mut self, connection: ConnectionIx, node: NodeIx, dt: Option<u32>) {
        let Some(entry) = self.network.connection(connection) else {
            return;
        };
        entry.history().narrow(self.instant, &mut self.roster.span);
        let Some(row) = entry.history().at(self.instant) else {
            return;
        };
        if row.node != Some(node) {
            return;
        }
        match entry.meter() {
            None => {
                let assessed_wh_month = assessed_wh(&row);
                self.roster.unmetered.push(Unmetered {
                    dt,
                    assessed_wh_month,
                });
            }
            Some(meter) => self.of_connected_meter(meter, &row, dt),
        }
    }

    fn of_connected_meter(&mut self, meter: MeterIx, row: &ConnectionSays, dt: Option<u32>) {
        let Some(entry) = self.network.meter(meter) else {
            return;
        };
        entry.history().narrow(self.instant, &mut self.roster.span);
        let meter_row = entry.history().at(self.instant);
        let generation = meter_row.is_some_and(|row| row.role == MeterRole::Generation);
        let role = match (generation, dt) {
            (false, Some(_)) => MemberRole::Consumer,
            (true, Some(_)) => MemberRole::Generation,
            (false, None) => MemberRole::HtConsumer,
            (true, None) => MemberRole::HtGeneration,
        };
        let multiplier = meter_row.map_or(Multiplier::ONE, |row| row.multiplier);
        let minutes = meter_row.map_or(IntervalMinutes::Fifteen, |row| row.interval_minutes);
        let member = Member {
            meter,
            role,
            dt,
            multiplier,
            minutes,
            in_service: meter_row.is_some(),
            import_bound_wh: 0,
            export_bound_wh: 0,
        };
        self.push(member, Limits::of(row, multiplier, generation));
    }

    /// DT, feeder and boundary meters, which name their node themselves.
    fn of_own_meter(&mut self, meter: MeterIx, node: NodeIx, dt: Option<u32>) {
        let Some(entry) = self.network.meter(meter) else {
            return;
        };
        entry.history().narrow(self.instant, &mut self.roster.span);
        let Some(row) = entry.history().at(self.instant) else {
            return;
        };
        let own = row.node == Some(node);
        let role = match row.role {
            MeterRole::Dt if own && dt.is_some() => MemberRole::Dt,
            MeterRole::Feeder if own && dt.is_none() => MemberRole::Feeder,
            MeterRole::Boundary if own => MemberRole::BoundaryOwn,
            MeterRole::Boundary if row.boundary_to == Some(node) => MemberRole::BoundaryOther,
            // Consumer and generation meters hang where their connection says.
            MeterRole::Dt
            | MeterRole::Feeder
            | MeterRole::Boundary
            | MeterRole::Consumer
            | MeterRole::Generation => return,
        };
        let (multiplier, minutes) = (row.multiplier, row.interval_minutes);
        let member = Member {
            meter,
            role,
            dt,
            multiplier,
            minutes,
            in_service: true,
            import_bound_wh: 0,
            export_bound_wh: 0,
        };
        self.push(member, Limits::default());
    }

    fn push(&mut self, member: Member, limits: Limits) {
        self.roster.minutes = self.roster.minutes.max(member.minutes);
        self.members.push(member);
        self.limits.push(limits);
    }

    fn finish(self) -> Roster {
        let Self {
            mut roster,
            mut members,
            limits,
            ..
        } = self;
        let hours = match roster.minutes {
            IntervalMinutes::Fifteen => 0.25,
            IntervalMinutes::Thirty => 0.5,
        };
        for (member, limits) in members.iter_mut().zip(limits) {
            member.import_bound_wh = watt_hours(limits.import_kw * 1_000.0 * hours);
            member.export_bound_wh = watt_hours(limits.export_kw * 1_000.0 * hours);
        }
        roster.members = Members::of(&members, roster.dts.len());
        roster
    }
}

/// What a direct-connected meter carries on one phase at most, kW: 60 A at 240 V (IS 16444, largest current rating).
const METER_KW_A_PHASE: f64 = 14.4;

/// What a connection can carry, kW.
#[derive(Debug, Default, Clone, Copy)]
struct Limits {
    import_kw: f64,
    export_kw: f64,
}

impl Limits {
    /// Sanctioned load, both ways: a prosumer's plant is at most that large in most States (house choice). Where no load is said, what
    /// the meter itself can carry.
    fn of(row: &ConnectionSays, multiplier: Multiplier, generation: bool) -> Self {
        let factor = crate::balance::ratio(multiplier.thousandths(), 1_000);
        let load_kw = row
            .sanctioned_load_kw
            .unwrap_or_else(|| METER_KW_A_PHASE * f64::from(row.phases) * factor);
        let gives = generation || row.prosumer != Prosumer::None;
        Self {
            import_kw: if generation { 0.0 } else { load_kw },
            export_kw: if gives { load_kw } else { 0.0 },
        }
    }
}

/// Assessed consumption of an unmetered connection, Wh a month.
fn assessed_wh(row: &ConnectionSays) -> i64 {
    watt_hours(row.assessed_kwh_month.unwrap_or(0.0) * 1_000.0)
}

/// Rounds to whole Wh; 0 for what is not a sensible energy.
pub(super) fn watt_hours(wh: f64) -> i64 {
    if !(0.0..1e15).contains(&wh) {
        return 0;
    }
    whole(wh)
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "it is whole and below 1e15; by way of text it took a tenth of the time in which a first roster is built"
)]
fn whole(number: f64) -> i64 {
    number.round_ties_even() as i64
}
