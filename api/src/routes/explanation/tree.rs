//! From a case to the tree of statements.

use gridtally_engine::{
    compensation::{
        Paise,
        ledger::{EntryKind, Status},
        rule::{FaultBy, Nothing, Owed, Unit},
    },
    outage::{Interruption, Moment},
    world::compensation::{Case, FeedEntry},
};
use gridtally_schemas::{UtcMicros, Zone};

use super::{
    Statement,
    arrivals::{Arrivals, Cells},
};

/// What the parts of a tree share.
struct Teller<'a> {
    zone: &'a Zone,
    case: &'a Case,
    arrivals: &'a Arrivals,
}

/// The whole explanation.
pub(super) fn explanation(zone: &Zone, now: UtcMicros, case: &Case, arrivals: &Arrivals) -> Statement {
    let teller = Teller { zone, case, arrivals };
    let says = heading(case);
    entry_facts(Statement::new("entry", says), zone, &case.entry)
        .fact("explained_at", now.to_rfc3339(zone))
        .because([teller.sum(), teller.rule(), teller.default(), teller.connection()])
}

/// What is owed for the default in all: one entry alone is only a part of it as soon as another corrects it.
fn heading(case: &Case) -> String {
    let content = &case.entry.entry.content;
    let owed = total(&case.chain);
    let consumer = &content.consumer_id;
    let default = content.default.to_string().replacen(':', " ", 1);
    let whole = if owed == Paise::ZERO {
        format!("Nothing is owed to {consumer} for {default} any more")
    } else {
        format!("Rs {owed} is owed to {consumer} for {default}")
    };
    if case.chain.len() < 2 {
        return whole;
    }
    let amount = Paise(content.amount.0.saturating_abs());
    let part = match content.kind {
        EntryKind::Accrual => format!("this one is of Rs {amount}"),
        EntryKind::Adjustment if content.amount < Paise::ZERO => format!("this one takes Rs {amount} off"),
        EntryKind::Adjustment => format!("this one adds Rs {amount}"),
        EntryKind::Reversal => format!("this one takes Rs {amount} back"),
    };
    format!("{whole}, the sum of {}: {part}", entries(case.chain.len()))
}

fn total<'a>(entries: impl IntoIterator<Item = &'a FeedEntry>) -> Paise {
    let amounts = entries.into_iter().map(|held| held.entry.content.amount.0);
    Paise(amounts.fold(0, i64::saturating_add))
}

fn entry_facts(statement: Statement, zone: &Zone, held: &FeedEntry) -> Statement {
    let content = &held.entry.content;
    statement
        .fact("entry_id", &held.entry.entry_id)
        .fact("consumer_id", &content.consumer_id)
        .fact("kind", content.kind)
        .fact("amount_inr", content.amount)
        .fact("status", held.standing.status)
        .fact_if("due_by", held.standing.due_by)
        .fact_if("proposed_by", held.hands.made_by.as_ref())
        .fact_if("approved_by", held.hands.checked_by.as_ref())
        .fact("made_at", held.entry.created_at.to_rfc3339(zone))
        .fact_if("adjusts", content.explains.as_ref())
}

impl Teller<'_> {
    fn at(&self, instant: UtcMicros) -> String {
        instant.to_rfc3339(self.zone)
    }

    /// What all entries for this default add up to, against what the rule says now.
    fn sum(&self) -> Statement {
        let mut sum = 0_i64;
        let parts: Vec<Statement> = self
            .case
            .chain
            .iter()
            .map(|held| {
                let content = &held.entry.content;
                sum = sum.saturating_add(content.amount.0);
                let says = format!(
                    "{}: Rs {}, so far Rs {}",
                    content.kind,
                    content.amount,
                    Paise(sum)
                );
                entry_facts(Statement::new("entry", says), self.zone, held)
            })
            .collect();
        let says = format!(
            "the sum of {} for this default is Rs {}",
            entries(parts.len()),
            Paise(sum)
        );
        let credited = self
            .case
            .chain
            .iter()
            .filter(|held| held.standing.status == Status::Credited);
        let decided = self.case.decision.as_ref().map(|decision| decision.amount());
        Statement::new("sum", says)
            .fact("sum_inr", Paise(sum))
            .fact("credited_inr", total(credited))
            .fact("by_rule_now_inr", decided.unwrap_or(Paise::ZERO))
            .because(parts)
    }

    /// Regulation, clause and edition.
    fn rule(&self) -> Statement {
        let grounds = &self.case.entry.entry.content.grounds;
        let regulation = self.case.regulation.as_ref();
        let title = regulation.map_or(grounds.regulation.as_str(), |held| held.title.as_str());
        let standard = regulation.and_then(|held| {
            let mut standards = held.standards.iter();
            standards.find(|standard| standard.id == grounds.standard)
        });
        let about = standard.map_or("", |standard| standard.about.as_str());
        let unconfirmed = regulation.into_iter().flat_map(|held| &held.unconfirmed);
        let unconfirmed = unconfirmed
            .map(|entry| Statement::new("rule", format!("not confirmed: {}: {}", entry.key, entry.reason)));
        Statement::new("rule", format!("by {title}, {}: {about}", grounds.clause))
            .fact("regulation", &grounds.regulation)
            .fact("edition", grounds.revision)
            .fact("standard", &grounds.standard)
            .fact("clause", &grounds.clause)
            .fact_if("commission", regulation.map(|held| &held.commission))
            .fact_if("status_of_preset", regulation.map(|held| held.status))
            .fact_if("limit_minutes", grounds.limit_minutes)
            .fact_if("beyond_minutes_when_made", grounds.default_minutes)
            .because(unconfirmed)
    }

    /// The default as it stands now, and what it rests on.
    fn default(&self) -> Statement {
        let says = match self.case.decision.as_ref().map(|decision| &decision.outcome) {
            None => "what it was for is none any more: all that stood was taken back".to_owned(),
            Some(Ok(owed)) => owed_in_words(owed),
            Some(Err(nothing)) => format!("nothing is owed for it now: {}", nothing_in_words(nothing)),
        };
        let mut statement = Statement::new("default", says).fact("began_at", self.at(self.case.at));
        if let Some(Ok(owed)) = self.case.decision.as_ref().map(|decision| &decision.outcome) {
            statement = working(statement, owed);
        }
        statement.because(
            self.outage()
                .into_iter()
                .chain(self.request())
                .chain(self.claims()),
        )
    }

    fn outage(&self) -> Option<Statement> {
        let view = self.case.outage.as_ref()?;
        let (outage, known) = (&view.outage, &view.known);
        let says = format!("outage {} of {} ({})", outage.id, outage.node, outage.class);
        let crew = Statement::new(
            "cause",
            match &known.cause {
                Some(cause) => format!("the crew found: {cause}"),
                None => "no cause was recorded: the scope decides".to_owned(),
            },
        )
        .fact_if("fault_type", known.fault_type.as_ref())
        .fact("force_majeure", known.force_majeure);
        let notice = self.case.loss.as_ref().map(|loss| loss.notice);
        Some(
            Statement::new("outage", says)
                .fact("outage_id", &outage.id)
                .fact("node_id", &outage.node)
                .fact("scope", outage.scope)
                .fact("status", outage.status)
                .fact("started_at", self.at(outage.started_at))
                .fact_if("ended_at", outage.ended_at.map(|at| self.at(at)))
                .fact("consumers_affected", outage.consumers_affected)
                .fact_if("notice", notice)
                .because([crew])
                .because(self.case.interruptions.iter().map(|held| self.interruption(held)))
                .because([self.events(), self.reads()].into_iter().flatten()),
        )
    }

    fn interruption(&self, held: &Interruption) -> Statement {
        let ended = held
            .ended_at
            .map_or_else(|| "not over".to_owned(), |at| format!("to {}", self.at(at)));
        let says = format!("no supply from {} {ended}", self.at(held.started_at));
        let moment = |moment: Moment| {
            let source = serde_json::to_value(moment.from).ok();
            let source = source
                .as_ref()
                .and_then(|source| source.as_str())
                .unwrap_or_default();
            let source = source.replace('_', " ");
            let between = if moment.earliest == moment.latest {
                String::new()
            } else {
                let (earliest, latest) = (self.at(moment.earliest), self.at(moment.latest));
                format!(", between {earliest} and {latest}")
            };
            format!("{}, known from {source}{between}", self.at(moment.at))
        };
        Statement::new("interruption", says)
            .fact("failed", moment(held.evidence.failed))
            .fact_if("restored", held.evidence.restored.map(moment))
            .fact_if(
                "counted_minutes",
                held.counted_micros.map(|micros| micros.div_euclid(60_000_000)),
            )
            .fact("no_energy_by_its_own_reads", held.evidence.no_energy)
    }

    fn events(&self) -> Option<Statement> {
        let said = |cells: &Cells| {
            let [meter, at, code, meaning, received, source, position] = cells.as_slice() else {
                return None;
            };
            Some(
                Statement::new("events", format!("{meter} at {at}: {code} {meaning}"))
                    .fact("received_at", received)
                    .fact("source", source)
                    .fact("log_record", position),
            )
        };
        let events: Vec<Statement> = self.arrivals.events.iter().filter_map(said).collect();
        (!events.is_empty()).then(|| {
            let says = format!("{} events of the consumer's meters about that time", events.len());
            Statement::new("events", says).because(events)
        })
    }

    fn reads(&self) -> Option<Statement> {
        let said = |cells: &Cells| {
            let [
                meter,
                end,
                wh,
                volts,
                quality,
                version,
                received,
                source,
                position,
            ] = cells.as_slice()
            else {
                return None;
            };
            let volts = if volts.is_empty() {
                String::new()
            } else {
                format!(", {volts} V")
            };
            let says = format!("{meter}, interval to {end}: {wh} Wh{volts}, {quality}, version {version}");
            Some(
                Statement::new("reads", says)
                    .fact("received_at", received)
                    .fact("source", source)
                    .fact("log_record", position),
            )
        };
        let reads: Vec<Statement> = self.arrivals.reads.iter().filter_map(said).collect();
        (!reads.is_empty()).then(|| {
            let says = format!("{} reads of the consumer's meters about that time", reads.len());
            Statement::new("reads", says).because(reads)
        })
    }

    fn claims(&self) -> impl Iterator<Item = Statement> {
        self.case.claims.iter().map(|claim| {
            let upheld = claim.upheld_at.map(|at| self.at(at));
            let ruling = upheld
                .as_ref()
                .map_or("not upheld by a forum".to_owned(), |at| format!("upheld {at}"));
            let says = format!(
                "claim {}, filed {}, {ruling}",
                claim.claim_id,
                self.at(claim.filed_at)
            );
            Statement::new("claim", says)
                .fact("claim_id", &claim.claim_id)
                .fact("filed_at", self.at(claim.filed_at))
                .fact_if("upheld_at", upheld)
        })
    }

    fn request(&self) -> Option<Statement> {
        let request = self.case.request.as_ref()?;
        let closed = request.closed_at.map(|at| self.at(at));
        let until = closed.clone().unwrap_or_else(|| "still open".to_owned());
        let says = format!(
            "request {} ({}), made {}, {until}",
            request.request_id,
            request.kind,
            self.at(request.opened_at)
        );
        Some(
            Statement::new("request", says)
                .fact("request_id", &request.request_id)
                .fact("kind", &request.kind)
                .fact("opened_at", self.at(request.opened_at))
                .fact_if("closed_at", closed),
        )
    }

    /// Connection and network as they stood then, with when that was recorded.
    fn connection(&self) -> Statement {
        let Some(held) = &self.case.connection else {
            return Statement::new("connection", "the consumer had no connection then");
        };
        let row = &held.row;
        let nodes = self.case.nodes.iter().map(|held| {
            let row = &held.row;
            Statement::new("node", format!("{} {} ({})", row.kind, row.node_id, row.name))
                .fact("node_id", &row.node_id)
                .fact_if("area_class", row.area_class)
                .fact_if("parent_id", row.parent_id.as_ref())
                .fact("valid_from", self.at(row.valid_from))
                .fact("recorded_at", self.at(held.recorded_at))
                .fact("source", &held.source)
        });
        let meter = row.meter_id.as_ref().map_or("unmetered", |meter| meter.as_str());
        let says = format!(
            "{} hung on {} ({}, {meter})",
            row.consumer_id, row.node_id, row.supply
        );
        Statement::new("connection", says)
            .fact("meter_id", meter)
            .fact("node_id", &row.node_id)
            .fact("supply", row.supply)
            .fact("category", &row.category)
            .fact("valid_from", self.at(row.valid_from))
            .fact("recorded_at", self.at(held.recorded_at))
            .fact("source", &held.source)
            .because(nodes)
    }
}

fn entries(count: usize) -> String {
    if count == 1 {
        "one entry".to_owned()
    } else {
        format!("{count} entries")
    }
}

fn owed_in_words(owed: &Owed) -> String {
    let working = &owed.working;
    let unit = match working.unit {
        Unit::Minutes => "minutes",
        Unit::Interruptions => "interruptions",
        Unit::Days => "days",
    };
    let cap = match working.event_cap {
        Some(cap) if working.by_rate > cap => format!(", capped at Rs {cap}"),
        Some(_) | None => String::new(),
    };
    format!(
        "{} {unit} of {} allowed, {} beyond: Rs {} by the rate{cap}",
        working.measured, working.allowed, working.beyond, working.by_rate
    )
}

fn working(statement: Statement, owed: &Owed) -> Statement {
    let working = &owed.working;
    let fault = working.fault_type.as_ref();
    let by = fault.map(|fault| match fault.by {
        FaultBy::Crew => "the crew's word",
        FaultBy::Scope => "the scope, for the crew has not said",
        FaultBy::ScopeForUnknownWord => "the scope, for the regulation does not know the crew's word",
    });
    let is_over = if owed.over { "over" } else { "still running" };
    statement
        .fact("amount_now_inr", owed.amount)
        .fact("is", is_over)
        .fact("measured", working.measured)
        .fact("allowed", working.allowed)
        .fact("beyond", working.beyond)
        .fact("unit", working.unit)
        .fact("grace_minutes", working.grace_minutes)
        .fact_if("fault_type", fault.map(|fault| &fault.word))
        .fact_if("fault_type_by", by)
        .fact("by_rate_inr", working.by_rate)
        .fact_if("cap_of_event_inr", working.event_cap)
        .fact_if("left_of_year_cap_inr", working.year_cap_left)
        .fact_if("credit_due_by", owed.due_by)
}

fn nothing_in_words(nothing: &Nothing) -> String {
    match nothing {
        Nothing::NoRegulation => "no regulation was in force".to_owned(),
        Nothing::NotCovered => "no standard covers it".to_owned(),
        Nothing::Exempt { exemption } => format!("it is exempt: {exemption}"),
        Nothing::NoFaultType => "limits differ by fault type, and nobody has said it".to_owned(),
        Nothing::AreaUnknown => "limits differ by area class, and master data does not say it".to_owned(),
        Nothing::NoLimit => "the regulation sets no limit for this case".to_owned(),
        Nothing::NoAmount => "the regulation sets no amount for this case".to_owned(),
        Nothing::WithinLimit {
            measured,
            allowed,
            unit,
        } => format!("{measured} of {allowed} {unit} allowed"),
        Nothing::NotClaimed { claimable } => {
            format!("it is owed on claim, and none was filed; a claim would bring Rs {claimable}")
        }
        Nothing::ClaimedTooLate { last_day } => format!("it was claimed after {last_day}"),
        Nothing::YearCapReached => "the cap of the year was used up before".to_owned(),
    }
}
