//! The rules by name.

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $kind:ident);+ $(;)?) => {
        /// A rule of validation (DOMAIN section 3). What each objects to, and where it comes from, stands at each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Rule { $($(#[$doc])* $name),+ }

        impl Rule {
            /// Every rule, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The word in the `rule` column of `vee_exceptions` and the `reason` column of `quarantine`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }

            /// What becomes of a read that it objects to.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind),+ }
            }
        }
    };
}

/// What becomes of a read that a rule objects to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It goes to `quarantine` and counts in nothing.
    Hard,
    /// It counts, and `vee_exceptions` has a row.
    Soft,
}

rules! {
    /// No master data names the meter. Source: DOMAIN section 3.
    UnknownMeter = "unknown_meter", Hard;
    /// The interval ends at no quarter hour. Source: IS 15959 block load profile of 15 or 30 minutes.
    OffIntervalGrid = "off_interval_grid", Hard;
    /// The interval ends later than the read came, by more than `future_micros`. Source: DOMAIN section 3; a day is house choice.
    Future = "future", Hard;
    /// The interval ended longer before the read came than `too_old_micros`. Source: DOMAIN section 3; off by default, for a
    /// backfill of years is normal use (house choice).
    TooOld = "too_old", Hard;
    /// An energy below zero. Source: DOMAIN section 3.
    Negative = "negative", Hard;
    /// An energy above `INTERVAL_WH_MAX`. Source: house choice, 2 GW for half an hour.
    OutOfRange = "out_of_range", Hard;
    /// The source itself reports that it has no value. Source: CONTRACT section 2.
    ReportedMissing = "reported_missing", Soft;
    /// Intervals without value, save those for which the meter is known to have had no supply ([`Rule::yields_to_outages`]). Value: how many
    /// follow one another. Source: DOMAIN section 3.
    Gap = "gap", Soft;
    /// Values where no interval of the meter ends (its half hours end at the full and half hour), or a day of a quarter-hour meter
    /// with values at the half hours alone. Value: how many. Source: DOMAIN section 3.
    WrongLength = "wrong_length", Soft;
    /// More energy than the sanctioned load (of a DT or feeder its rating) carries in the interval, times `capacity_factor`. Value:
    /// the highest, Wh on the network. Source: DOMAIN section 3; the factor is house choice.
    AboveCapacity = "above_capacity", Soft;
    /// An interval above `spike_factor` times the fourth highest of this day and the one before, and above `spike_floor_w` and half the
    /// capacity. The fourth, so that three spikes do not hide one another; with fewer than 24 intervals that had supply nothing is usual. Value: Wh as the meter counts. Source: the spike check
    /// against the third highest peak of the California direct-access VEE rules (the CPUC attachment), made robust; the numbers
    /// are house choice.
    Spike = "spike", Soft;
    /// The same import, not zero, in every interval for `stuck_quarters` or longer; raised for each day that the run touches once
    /// it is that long at the end of that day. Value: that import, Wh as the meter counts. Source: DOMAIN section 3.
    Stuck = "stuck", Soft;
    /// No import and no export of a consumer for `zero_quarters` of known supply or longer while the meter of its DT counts in at least half of these
    /// intervals of the day. Value: intervals of the day. Source: DOMAIN section 3.
    LongZero = "long_zero", Soft;
    /// A day whose intervals do not sum up to the difference of its midnight registers (or whose known intervals exceed it already),
    /// by more than the tolerance. Value: sum less difference, Wh as the meter counts. Source: the sum check of DOMAIN section 3.
    RegisterMismatch = "register_mismatch", Soft;
    /// The register passed its last digit in the day. Value: the number of Wh at which it begins again. Source: DOMAIN section 3.
    RegisterRollover = "register_rollover", Soft;
    /// The register stands lower than the midnight before and did not roll over. Value: by how much, Wh. Source: DOMAIN section 3
    /// (meter change).
    RegisterReset = "register_reset", Soft;
    /// Less apparent energy than active energy, by more than the tolerance. Value: the largest shortfall, VAh. Source: |S| >= |P|.
    KvahBelowKwh = "kvah_below_kwh", Soft;
    /// A voltage of an LT connection that is not zero and lies outside the plausible range. Value: the voltage that lies farthest out,
    /// V. Source: DOMAIN section 3; the range is house choice, wider than the +-6 % of supply codes, for a low voltage
    /// is a complaint and no fault of the read.
    VoltageOutOfRange = "voltage_out_of_range", Soft;
    /// A read made before its interval ended by `clock_drift_seconds` or more. Value: the largest lead, s. Source: DOMAIN section 3.
    ClockDrift = "clock_drift", Soft;
    /// Export of a consumer or generator between `night_from_minute` and `night_until_minute`, civil time. Value: the most in an
    /// interval, Wh as the meter counts. Source: DOMAIN section 3; the hours are house choice.
    ExportAtNight = "export_at_night", Soft;
    /// A DT that delivered more than was injected in a day, by more than `negative_balance_pct` of it, with the coverage that a loss
    /// needs. At the DT's meter, in the last interval of the day. Value: the loss, per cent. Source: DOMAIN section 2: negative
    /// beyond -3 % means a wrong mapping, a wrong multiplying factor or a missing meter.
    NegativeBalance = "negative_balance", Soft;
    /// A consumer's or generator's meter that hangs on another DT than master data says, judged by whole windows of days once their
    /// gaps are due; one that moved within the window is not judged in it. At the last interval of the window. Value: how its voltage
    /// moves with that of its own DT's other meters, -1 to 1; where voltages cannot tell, by how much the DT's residual changes for
    /// each Wh of it. Source: DOMAIN section 9; the definition stands in [`crate::vee::mapping`].
    WrongMapping = "wrong_mapping", Soft;
}

impl Rule {
    /// Whether time without supply, by an interruption of the consumer or of the node, is no evidence for it: a storm is not a hundred
    /// thousand faults of meters. House choice. What is known of an outage can only take its exceptions away, never add one.
    #[must_use]
    pub const fn yields_to_outages(self) -> bool {
        matches!(self, Self::Gap | Self::Spike | Self::LongZero)
    }

    /// The rule that a word names.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|rule| rule.as_str() == word)
    }
}
