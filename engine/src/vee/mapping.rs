//! The rule `wrong_mapping`: a meter that hangs on another DT than master data says. A pure function of the meters' own values over a
//! window of days; whole numbers alone, so that neither order nor machine changes a figure.
//!
//! Two things give a wrong mapping away (DOMAIN section 9, and section 2 for the residual):
//!
//! - **voltage**: meters of one DT share its drop, so from half hour to half hour the voltage of each moves with that of the others, and
//!   more than with that of any other DT. A meter that moves more with another DT hangs there. Voltage correlation is the standard check
//!   of consumer indexing (W. Luan and others, "Smart Meter Data Analytics for Distribution Network Connectivity Verification", IEEE
//!   Transactions on Smart Grid 6(4), 2015). How it is taken, below, is house choice;
//! - **residual**: where a meter is counted but does not hang, the DT's residual (its own meter less all that it delivers) falls by one
//!   Wh for each Wh of that meter; where it hangs but is not counted the residual rises by one.
//!
//! ```text
//!                                        residual: falls with it   stays    cannot tell
//! voltage: moves more with another DT    wrong mapping             right    wrong mapping
//!          cannot tell                   wrong mapping             right    right
//!          moves more with its own DT    right (a factor is wrong) right    right
//! ```
//!
//! What all DTs of the feeder do together (the substation, the line) says nothing of a meter's place and would drown what does: the mean
//! of the DTs' means is taken off first, always that of the feeder on which the meter is recorded. The mean of a DT is that of its
//! loudest phase where one load there drowns all others; so a meter is held against the mean of the quarter of a DT's meters with which
//! it moves most, for a third hang on its phase. What moves with the whole of its own DT more than with that of any other is right
//! without that look at single meters, which costs more.
//!
//! Of two correlations the one says more whose odds `(1 + r) / (1 - r)` are greater by `better_by_pct`: that is a difference of R. A.
//! Fisher's z = ln(odds) / 2, which has the same error whatever r is. Between the two voltage cannot tell, nor where too few half hours
//! are known, nor on a feeder where fewer than two DTs say their voltage. The residual cannot tell where the DT has no meter of its own, where it falls or rises with most of its meters (then the
//! factor of the DT's meter is wrong), where it falls on every other day alone (one wrong day of the meter does that), or where the meter
//! draws too little to be seen in it. Days on which a DT is not covered count for neither.

use super::limits::MappingLimits;
use crate::network::MeterIx;

mod fit;
#[cfg(test)]
mod tests;

use fit::Fit;

const HALF_HOURS_OF_DAY: usize = 48;
/// Fewest other meters whose mean movement is that of a DT.
const NEIGHBOURS_MIN: usize = 3;
/// A meter is held against one of so many of a DT's meters, those with which it moves most.
const NEAREST_OF: usize = 4;
/// DTs of a feeder whose single meters are looked at for one meter: those with whose whole it moves most.
const DTS_LOOKED_AT: usize = 6;
/// Fewest DTs of a feeder whose mean is what all of it does.
const DTS_MIN: usize = 2;
/// Residuals that follow most meters of their DT by more than this are of a wrong factor, per mille.
const USUAL_SLOPE_MAX: i64 = 300;
/// A slope counts where it is this many times its standard error.
const ERRORS_MIN: i64 = 4;
/// A residual that does not fall with a meter says so only where its slope is known this well, standard error per mille.
const STAYS_ERROR_MAX: i64 = 125;

/// A meter over a window, by half hour.
#[derive(Debug, Clone)]
pub struct Member {
    /// Which.
    pub meter: MeterIx,
    /// Import less export on the network, Wh; `None`: some of it was not said.
    pub net_wh: Vec<Option<i64>>,
    /// Voltage, 1/1024 V; `None`: not said, or none that can be.
    pub voltage: Vec<Option<i32>>,
}

/// A DT over a window, by half hour.
#[derive(Debug, Clone, Default)]
pub struct DtWindow {
    /// Its id.
    pub id: String,
    /// Whether its day has the coverage that a loss needs.
    pub covered: Vec<bool>,
    /// What its own meter took in less what it gave back, Wh on the network; `None`: not known, or it has none.
    pub input_wh: Vec<Option<i64>>,
    /// The consumers' and generators' meters that master data has on it throughout.
    pub members: Vec<Member>,
}

/// A feeder over a window.
#[derive(Debug, Clone, Default)]
pub struct FeederWindow {
    /// Its id.
    pub id: String,
    /// Its DTs.
    pub dts: Vec<DtWindow>,
}

/// An objection to a meter's place.
#[derive(Debug, Clone, PartialEq)]
pub struct Misplaced {
    /// Which meter.
    pub meter: MeterIx,
    /// Correlation of its voltage, less what the whole feeder does, with that of its own DT's other meters, -1 to 1; where no voltage is
    /// known, by how much its DT's residual changes for each Wh of it.
    pub value: f64,
    /// Where it fits better, with figures.
    pub detail: String,
}

/// Changes from half hour to half hour, each `None` where one of the two is not known or not covered.
type Changes = Vec<Option<i64>>;

/// How a DT moves.
#[derive(Debug)]
struct Shape<'a> {
    dt: &'a DtWindow,
    /// Of each member: changes of its voltage, less those of the whole feeder, and of what it draws.
    voltage: Vec<Changes>,
    net: Vec<Changes>,
    moved: Moved,
    residual: Changes,
}

/// Sum of changes of voltage, and their number, by half hour.
#[derive(Debug)]
struct Moved(Vec<(i64, usize)>);

impl Moved {
    fn of<'a>(length: usize, all: impl Iterator<Item = &'a Changes>) -> Self {
        let mut moved = vec![(0, 0); length];
        for of_member in all {
            for ((sum, count), change) in moved.iter_mut().zip(of_member) {
                if let Some(change) = change {
                    *sum += change;
                    *count += 1;
                }
            }
        }
        Self(moved)
    }

    /// The mean in each half hour, save what one of them did (`None`: it is not among them), where at least so many are left.
    fn mean(&self, but: Option<&Changes>, fewest: usize) -> Changes {
        let of_half_hour = |(at, (sum, count)): (usize, &(i64, usize))| {
            let own = but.and_then(|but| but.get(at).copied().flatten());
            let count = count - usize::from(own.is_some());
            let number = i64::try_from(count).ok().filter(|_| count >= fewest.max(1))?;
            Some((sum - own.unwrap_or(0)) / number)
        };
        self.0.iter().enumerate().map(of_half_hour).collect()
    }
}

/// One series less the other, where both are known.
fn less(one: &Changes, other: &Changes) -> Changes {
    let both = one.iter().zip(other);
    both.map(|(one, other)| one.zip(*other).map(|(one, other)| one - other))
        .collect()
}

/// How a feeder moves.
#[derive(Debug)]
pub struct Pictured<'a> {
    feeder: &'a str,
    /// Changes of voltage of the whole feeder; nothing where that is not known.
    common: Changes,
    /// Whether that is known, so that voltage tells where its meters hang.
    is_told: bool,
    shapes: Vec<Shape<'a>>,
}

/// A DT with which a meter moves, or whose residual rises with it.
#[derive(Debug, Clone, Copy)]
struct Better<'a> {
    feeder: &'a str,
    dt: &'a str,
    /// Correlation, per mille: of voltages, or of the residual.
    fit: i64,
    slope: Option<i64>,
}

/// A meter that may hang elsewhere.
#[derive(Debug)]
pub struct Suspect<'a> {
    member: &'a Member,
    dt: &'a DtWindow,
    shape: &'a Shape<'a>,
    /// Changes of voltage of its whole feeder, its own less those, and changes of what it draws.
    common: &'a Changes,
    voltage: &'a Changes,
    net: &'a Changes,
    /// Correlation with the nearest of the other meters of its own DT, per mille; `None`: too little is known of its voltage.
    own: Option<i64>,
    residual: Residual,
    slope: Option<i64>,
    /// The DT with which its voltage moves most.
    best: Option<Better<'a>>,
    /// The DT whose residual rises with it most clearly.
    rises: Option<Better<'a>>,
}

fn changes<T: Copy + Into<i64>>(series: &[Option<T>], covered: &[bool]) -> Changes {
    let mut before: Option<i64> = None;
    let each = series.iter().zip(covered).map(|(now, covered)| {
        let now = now.filter(|_| *covered).map(Into::into);
        let change = now.zip(before).map(|(now, before)| now - before);
        before = now;
        change
    });
    each.collect()
}

/// The middle of these; of two the lesser. `None`: there are none.
fn median(mut figures: Vec<i64>) -> Option<i64> {
    figures.sort_unstable();
    figures.get(figures.len().checked_sub(1)? / 2).copied()
}

/// The least of so many of the greatest; taking all that are no less, the order of those that are alike changes nothing. `None`: there are
/// fewer.
fn least_of_best(figures: impl Iterator<Item = i64>, best: usize) -> Option<i64> {
    let mut ranked: Vec<i64> = figures.collect();
    ranked.sort_unstable_by(|one, other| other.cmp(one));
    ranked.get(best.checked_sub(1)?).copied()
}

impl<'a> Shape<'a> {
    fn of(dt: &'a DtWindow) -> Self {
        let voltage: Vec<Changes> = dt
            .members
            .iter()
            .map(|member| changes(&member.voltage, &dt.covered))
            .collect();
        let net = dt.members.iter();
        let net = net.map(|member| changes(&member.net_wh, &dt.covered)).collect();
        let mut residual = dt.input_wh.clone();
        for member in &dt.members {
            for (rest, net) in residual.iter_mut().zip(&member.net_wh) {
                *rest = rest.zip(*net).map(|(rest, net)| rest - net);
            }
        }
        Self {
            dt,
            moved: Moved::of(dt.covered.len(), voltage.iter()),
            voltage,
            net,
            residual: changes(&residual, &dt.covered),
        }
    }

    /// What a meter draws against what is left here, change by change; of every other day.
    fn residual_fits(&self, net: &Changes) -> [Fit; 2] {
        let [mut even, mut odd] = [Fit::default(); 2];
        for (at, (net, residual)) in net.iter().zip(&self.residual).enumerate() {
            if let (Some(net), Some(residual)) = (net, residual) {
                let is_odd = at / HALF_HOURS_OF_DAY % 2 == 1;
                let half = if is_odd { &mut odd } else { &mut even };
                half.add(*net, *residual);
            }
        }
        [even, odd]
    }

    /// The slope of a residual on what a meter draws with its error, and by how much it changes at least on every other day; per mille.
    fn slope(&self, net: &Changes, limits: &MappingLimits) -> Option<Slope> {
        let [even, odd] = self.residual_fits(net);
        let fit = even.with(odd);
        let (permille, error) = fit
            .slope_permille()
            .filter(|_| fit.samples() >= limits.half_hours_min)?;
        let halves = [even, odd].map(|half| half.slope_permille().map_or(0, |(slope, _)| slope));
        Some(Slope {
            permille,
            error,
            halves,
            correlation: fit.correlation_permille(),
        })
    }

    /// A meter's voltage against the mean of the nearest meters here, both less what one feeder does: `beyond` is what the feeder of these
    /// does more than that. `None`: too little is known.
    fn nearest_fit(&self, of_meter: &Changes, beyond: &Changes, limits: &MappingLimits) -> Option<i64> {
        let enough = |fit: &Fit| fit.samples() >= limits.half_hours_min;
        let others = self
            .voltage
            .iter()
            .filter(|other| !std::ptr::eq(*other, of_meter));
        let fits = others.filter_map(|other| {
            let fit = Fit::of(of_meter, other, beyond);
            enough(&fit).then(|| (fit.correlation_permille(), other))
        });
        let fits: Vec<(i64, &Changes)> = fits.collect();
        let nearest = fits.len().div_ceil(NEAREST_OF).max(NEIGHBOURS_MIN);
        let least = least_of_best(fits.iter().map(|(fit, _)| *fit), nearest)?;
        let near = fits.iter().filter(|(fit, _)| *fit >= least);
        let moved = Moved::of(of_meter.len(), near.map(|(_, other)| *other));
        let fit = Fit::of(of_meter, &moved.mean(None, 1), beyond);
        enough(&fit).then(|| fit.correlation_permille())
    }

    /// A meter's voltage against the mean of all meters here but itself.
    fn mean_fit(&self, of_meter: &Changes, place: Place, nothing: &Changes) -> Fit {
        let but = match place {
            Place::Here => Some(of_meter),
            Place::Elsewhere => None,
        };
        Fit::of(of_meter, &self.moved.mean(but, NEIGHBOURS_MIN), nothing)
    }
}

/// How a residual changes with what a meter draws, per mille.
#[derive(Debug, Clone, Copy)]
struct Slope {
    permille: i64,
    error: i64,
    /// On every other day.
    halves: [i64; 2],
    correlation: i64,
}

/// Whether the meter whose movement is compared is one of those that it is compared with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Here,
    Elsewhere,
}

impl<'a> Pictured<'a> {
    /// How the DTs of a feeder move.
    #[must_use]
    pub fn of(window: &'a FeederWindow) -> Self {
        let mut shapes: Vec<Shape<'a>> = window.dts.iter().map(Shape::of).collect();
        let means: Vec<Changes> = shapes
            .iter()
            .map(|shape| shape.moved.mean(None, NEIGHBOURS_MIN))
            .collect();
        let length = means.iter().map(Vec::len).max().unwrap_or(0);
        let mut common = Moved::of(length, means.iter()).mean(None, DTS_MIN);
        let is_told = common.iter().any(Option::is_some);
        if !is_told {
            common.fill(Some(0));
        }
        for shape in &mut shapes {
            for of_member in &mut shape.voltage {
                *of_member = less(of_member, &common);
            }
            shape.moved = Moved::of(length, shape.voltage.iter());
        }
        Self {
            feeder: &window.id,
            common,
            is_told,
            shapes,
        }
    }

    /// The meters of the feeder that may hang elsewhere, as far as the feeder itself can tell.
    #[must_use]
    pub fn suspects(&self, limits: &MappingLimits) -> Vec<Suspect<'_>> {
        let mut suspects = Vec::new();
        for shape in &self.shapes {
            shape.add_suspects(&self.common, limits, &mut suspects);
        }
        let nothing = less(&self.common, &self.common);
        if self.is_told {
            suspects.retain(|suspect| !suspect.moves_with_its_own(self, &nothing, limits));
            for suspect in &mut suspects {
                suspect.own = suspect.shape.nearest_fit(suspect.voltage, &nothing, limits);
            }
        }
        for suspect in &mut suspects {
            suspect.look_at(self, limits);
        }
        suspects.retain(|suspect| suspect.hangs(limits) != Hangs::Here);
        suspects
    }
}

impl<'a> Shape<'a> {
    /// Adds the meters here whose residual does not say that they are right.
    fn add_suspects<'b>(
        &'b self,
        common: &'b Changes,
        limits: &MappingLimits,
        suspects: &mut Vec<Suspect<'b>>,
    ) {
        let slopes: Vec<Option<Slope>> = self.net.iter().map(|net| self.slope(net, limits)).collect();
        let usual = median(slopes.iter().flatten().map(|slope| slope.permille).collect());
        let has_sense = usual.is_some_and(|slope| slope.abs() <= USUAL_SLOPE_MAX);
        let of_members = self
            .dt
            .members
            .iter()
            .zip(&self.voltage)
            .zip(&self.net)
            .zip(slopes);
        for (((member, voltage), net), slope) in of_members {
            let slope = slope.filter(|_| has_sense);
            let residual = Residual::of(slope, limits);
            if residual == Residual::Stays {
                continue;
            }
            suspects.push(Suspect {
                member,
                dt: self.dt,
                shape: self,
                common,
                voltage,
                net,
                own: None,
                residual,
                slope: slope.map(|slope| slope.permille),
                best: None,
                rises: None,
            });
        }
    }
}

fn count(changes: &Changes) -> usize {
    changes.iter().flatten().count()
}

/// Whether the odds of one correlation exceed those of another, or of none at all, by so much, per cent; both per mille. Where a feeder has
/// few DTs, what moves less than its whole seems to move against those that move more.
fn exceeds(one: i64, other: i64, by_pct: i64) -> bool {
    let (one, other) = (one.clamp(-999, 999), other.clamp(0, 999));
    (1_000 + one) * (1_000 - other) * 100 >= (1_000 - one) * (1_000 + other) * (100 + by_pct)
}

fn keep_best<'a>(best: &mut Option<Better<'a>>, other: Better<'a>) {
    if best.is_none_or(|best| (other.fit, best.dt) > (best.fit, other.dt)) {
        *best = Some(other);
    }
}

/// Where a meter hangs by its voltage.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hangs {
    Here,
    Elsewhere,
    CannotTell,
}

/// What a DT's residual says of a meter that is counted there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Residual {
    Falls,
    Stays,
    CannotTell,
}

impl Residual {
    fn of(slope: Option<Slope>, limits: &MappingLimits) -> Self {
        let Some(slope) = slope else {
            return Self::CannotTell;
        };
        let falls = |permille: i64| permille <= -10 * limits.follows_min_pct;
        let is_seen = slope.permille <= -ERRORS_MIN * slope.error;
        if falls(slope.permille) && slope.halves.into_iter().all(falls) && is_seen {
            Self::Falls
        } else if !falls(slope.permille) && slope.error <= STAYS_ERROR_MAX {
            Self::Stays
        } else {
            Self::CannotTell
        }
    }
}

impl<'a> Suspect<'a> {
    /// Whether it moves with the whole of its own DT, and with that of any other of its feeder twice as clearly less as would do.
    fn moves_with_its_own(&self, feeder: &Pictured<'_>, nothing: &Changes, limits: &MappingLimits) -> bool {
        let own = self.shape.mean_fit(self.voltage, Place::Here, nothing);
        let is_less = |shape: &Shape<'_>| {
            let other = shape.mean_fit(self.voltage, Place::Elsewhere, nothing);
            let [own, other] = [own, other].map(|fit| fit.correlation_permille());
            exceeds(own, other, 2 * limits.better_by_pct)
        };
        let mut others = feeder.shapes.iter().filter(|shape| shape.dt.id != self.dt.id);
        own.samples() >= limits.half_hours_min && others.all(is_less)
    }

    /// Compares it with the DTs of a feeder. Of two that fit as well the one with the lesser id counts.
    pub fn look_at(&mut self, feeder: &'a Pictured<'_>, limits: &MappingLimits) {
        let beyond = less(&feeder.common, self.common);
        let others = feeder.shapes.iter().filter(|shape| shape.dt.id != self.dt.id);
        let others = others.map(|shape| {
            let fit = shape.mean_fit(self.voltage, Place::Elsewhere, &beyond);
            (fit.correlation_permille(), shape)
        });
        let others: Vec<(i64, &Shape<'_>)> = others.collect();
        let least = least_of_best(others.iter().map(|(fit, _)| *fit), DTS_LOOKED_AT);
        for (by_mean, shape) in others {
            let slope = shape.slope(self.net, limits);
            let better = |fit: i64| Better {
                feeder: feeder.feeder,
                dt: &shape.dt.id,
                fit,
                slope: slope.map(|slope| slope.permille),
            };
            let is_near = least.is_none_or(|least| by_mean >= least);
            let fit = is_near.then(|| shape.nearest_fit(self.voltage, &beyond, limits));
            if let Some(fit) = fit.flatten() {
                keep_best(&mut self.best, better(fit));
            }
            let rises = |slope: &Slope| {
                slope.permille >= 10 * limits.follows_min_pct && slope.permille >= ERRORS_MIN * slope.error
            };
            if let Some(slope) = slope.filter(rises) {
                keep_best(&mut self.rises, better(slope.correlation));
            }
        }
    }

    /// Where it hangs by its voltage, as far as was looked.
    fn hangs(&self, limits: &MappingLimits) -> Hangs {
        let Some((own, best)) = self.own.zip(self.best) else {
            return Hangs::CannotTell;
        };
        if exceeds(best.fit, own, limits.better_by_pct) {
            Hangs::Elsewhere
        } else if exceeds(own, best.fit, limits.better_by_pct) {
            Hangs::Here
        } else {
            Hangs::CannotTell
        }
    }

    /// Whether no other feeder can tell more.
    #[must_use]
    pub fn is_placed(&self, limits: &MappingLimits) -> bool {
        match (self.hangs(limits), self.residual) {
            (Hangs::Here, _) | (Hangs::CannotTell, Residual::Stays) => true,
            (Hangs::Elsewhere, _) => false,
            (Hangs::CannotTell, Residual::Falls) => self.own.is_none() && self.rises.is_some(),
            (Hangs::CannotTell, Residual::CannotTell) => self.own.is_none(),
        }
    }

    /// What is objected to, once every feeder that may tell was looked at.
    #[must_use]
    pub fn finding(&self, limits: &MappingLimits) -> Option<Misplaced> {
        let is_misplaced = match self.hangs(limits) {
            Hangs::Here => false,
            Hangs::Elsewhere => true,
            Hangs::CannotTell => self.residual == Residual::Falls,
        };
        is_misplaced.then(|| Misplaced {
            meter: self.member.meter,
            value: crate::balance::ratio(self.own.or(self.slope).unwrap_or(0), 1_000),
            detail: self.detail(limits),
        })
    }

    fn detail(&self, limits: &MappingLimits) -> String {
        let by_voltage = self.best.filter(|_| self.hangs(limits) == Hangs::Elsewhere);
        let better = by_voltage.or(self.rises);
        let place = match better {
            Some(better) => format!("fits DT {} of feeder {} better", better.dt, better.feeder),
            None => "fits no DT of its feeder or of the feeders beside it".to_owned(),
        };
        let mut figures = Vec::new();
        if let Some(own) = self.own {
            let there = by_voltage.map_or(String::new(), |better| {
                format!("{} there, ", hundredths(better.fit))
            });
            figures.push(format!(
                "its voltage moves {there}{} with its own DT {} (1: as one)",
                hundredths(own),
                self.dt.id
            ));
        }
        if let Some(slope) = self.slope {
            let there = better.and_then(|better| better.slope);
            let there = there.map_or(String::new(), |slope| format!(", there by {}", hundredths(slope)));
            figures.push(format!(
                "for each Wh of it the residual of DT {} changes by {}{there}",
                self.dt.id,
                hundredths(slope)
            ));
        }
        let half_hours = count(self.voltage).max(count(self.net));
        format!("{place}: {}; {half_hours} half hours", figures.join("; "))
    }
}

/// A figure in thousandths with two decimals, cut.
fn hundredths(permille: i64) -> String {
    let sign = if permille <= -10 { "-" } else { "" };
    let size = permille.unsigned_abs();
    format!("{sign}{}.{:02}", size / 1_000, size % 1_000 / 10)
}
