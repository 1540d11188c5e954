use gridtally_schemas::{IntervalRead, quantity::INTERVAL_WH_MAX};
use proptest::prelude::*;

use super::*;

const METER: MeterIx = MeterIx(3);
const QUARTER: Quarter = Quarter(1_972_205);

fn value(revision: i32, captured_at: Option<i64>, import_wh: u32) -> Value {
    Value {
        quality: Quality::Actual,
        revision,
        captured_at: captured_at.map(UtcMicros),
        import_wh,
        export_wh: None,
        import_vah: None,
        voltage_v: None,
        current_a: None,
    }
}

const fn on_time(value: &Value) -> (&Value, Arrival) {
    (value, Arrival::WITHIN_8_HOURS)
}

fn merge(state: &mut State, value: &Value) -> Merged {
    state.merge(METER, Feeders::default(), QUARTER, on_time(value))
}

#[test]
fn the_higher_revision_stands_then_the_later_capture_then_the_larger_content() {
    let order = [
        value(0, None, 9),
        value(0, Some(1), 5),
        value(0, Some(2), 4),
        value(0, Some(2), 6),
        value(1, None, 1),
    ];
    for (at, lower) in order.iter().enumerate() {
        for higher in &order[at + 1..] {
            for pair in [[lower, higher], [higher, lower]] {
                let mut state = State::default();
                pair.iter().for_each(|value| {
                    merge(&mut state, value);
                });
                assert_eq!(state.value(METER, QUARTER), Some(*higher));
            }
        }
    }
}

#[test]
fn every_version_is_accepted_superseded_or_a_duplicate() {
    let mut state = State::default();
    assert_eq!(
        merge(&mut state, &value(1, None, 10)),
        Merged::Accepted { version: 1 }
    );
    assert_eq!(merge(&mut state, &value(1, None, 10)), Merged::Duplicate);
    assert_eq!(merge(&mut state, &value(0, None, 99)), Merged::Superseded);
    assert_eq!(merge(&mut state, &value(0, None, 99)), Merged::Duplicate);
    assert_eq!(
        merge(&mut state, &value(2, None, 7)),
        Merged::Accepted { version: 2 }
    );
    assert_eq!(merge(&mut state, &value(1, None, 10)), Merged::Duplicate);
    assert_eq!((state.cells(), state.chunks()), (1, 1));
}

#[test]
fn a_column_that_nobody_sends_takes_no_room_and_one_that_some_send_keeps_the_others_empty() {
    let mut state = State::default();
    let full = Value {
        export_wh: Some(3),
        voltage_v: Some(231.5),
        ..value(0, None, 5)
    };
    state.merge(
        MeterIx(0),
        Feeders::default(),
        QUARTER,
        on_time(&value(0, None, 1)),
    );
    state.merge(MeterIx(1), Feeders::default(), QUARTER, on_time(&full));
    state.merge(
        MeterIx(2),
        Feeders::default(),
        QUARTER,
        on_time(&value(0, None, 2)),
    );
    assert_eq!(state.value(MeterIx(0), QUARTER), Some(value(0, None, 1)));
    assert_eq!(state.value(MeterIx(1), QUARTER), Some(full));
    assert_eq!(state.value(MeterIx(2), QUARTER), Some(value(0, None, 2)));
    let chunk = state.see(0, QUARTER).unwrap();
    let rest = chunk.rest.as_deref().unwrap();
    assert_eq!(
        (
            rest.import_vah.bytes(),
            rest.revision.len(),
            rest.captured_at.len()
        ),
        (0, 0, 0)
    );
}

#[test]
fn a_block_holds_the_meters_of_one_feeder_up_to_its_bound() {
    let mut state = State::default();
    for meter in 0..=u32::try_from(BLOCK_METERS_MAX).unwrap() {
        state.merge(
            MeterIx(meter),
            [Some(NodeIx(1)), None],
            QUARTER,
            on_time(&value(0, None, 1)),
        );
    }
    state.merge(
        MeterIx(9_999),
        [Some(NodeIx(1)), Some(NodeIx(2))],
        QUARTER,
        on_time(&value(0, None, 1)),
    );
    let lengths: Vec<usize> = state.blocks.iter().map(|block| block.meters.len()).collect();
    assert_eq!(lengths, [BLOCK_METERS_MAX, 1, 1]);
    assert_eq!(state.take_dirty(usize::MAX).len(), 3);
    assert!(!state.has_dirty());
}

#[test]
fn a_chunk_tells_few_changed_meters_apart_and_many_not() {
    let mut state = State::default();
    let say = |state: &mut State, meters: std::ops::Range<u32>, revision: i32| {
        for meter in meters {
            state.merge(
                MeterIx(meter),
                [Some(NodeIx(1)), None],
                QUARTER,
                on_time(&value(revision, None, 1)),
            );
        }
    };
    let bound = u32::try_from(chunk::DIRTY_SLOTS_MAX).unwrap();
    say(&mut state, 0..bound, 1);
    let taken = state.take_dirty(usize::MAX);
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].meters, Some((0..bound).map(MeterIx).collect()));
    say(&mut state, 0..bound + 1, 2);
    assert_eq!(state.take_dirty(usize::MAX)[0].meters, None);
    say(&mut state, 3..4, 3);
    say(&mut state, 3..4, 1);
    assert_eq!(
        state.take_dirty(usize::MAX)[0].meters,
        Some(vec![MeterIx(3)]),
        "one that lost changed nothing"
    );
    assert!(!state.has_dirty());
}

#[test]
fn energies_outside_their_limits_are_refused_and_a_null_is_no_value() {
    let read = |import_wh| IntervalRead::new(UtcMicros(0), import_wh);
    assert_eq!(Value::of_read(&read(Some(-1))), Err(HardFailure::Negative));
    assert_eq!(
        Value::of_read(&read(Some(INTERVAL_WH_MAX + 1))),
        Err(HardFailure::OutOfRange)
    );
    assert!(Value::of_read(&read(Some(INTERVAL_WH_MAX))).unwrap().is_some());
    assert_eq!(Value::of_read(&read(None)), Ok(None));
    let nan = IntervalRead {
        voltage_v: Some(f32::NAN),
        ..read(Some(1))
    };
    assert_eq!(
        Value::of_read(&nan).unwrap().unwrap().voltage_v,
        None,
        "not a number is not said"
    );
}

const HOUR: i64 = 3_600_000_000;

#[test]
fn a_value_came_within_the_level_whose_last_microsecond_it_kept() {
    let levels = [-5 * HOUR, 8 * HOUR, 12 * HOUR, 24 * HOUR, 48 * HOUR, 72 * HOUR];
    let classes = levels.map(Arrival::after);
    assert!(classes.is_sorted());
    assert_eq!(
        classes[..4],
        [
            Arrival::WITHIN_8_HOURS,
            Arrival::WITHIN_8_HOURS,
            Arrival::WITHIN_12_HOURS,
            Arrival::WITHIN_24_HOURS
        ]
    );
    for (level, next) in levels[1..].iter().zip(&classes[2..]) {
        assert_eq!(Arrival::after(level + 1), *next);
    }
    assert_eq!(
        Arrival::after(i64::MAX),
        Arrival::after(400 * 24 * HOUR),
        "the last class has no end"
    );
}

#[test]
fn what_comes_again_sooner_is_kept_and_what_comes_again_later_is_a_duplicate() {
    let mut state = State::default();
    let [early, late] = [Arrival::WITHIN_12_HOURS, Arrival::WITHIN_24_HOURS];
    let said = value(0, None, 5);
    let mut merge = |arrival| state.merge(METER, Feeders::default(), QUARTER, (&said, arrival));
    assert_eq!(merge(late), Merged::Accepted { version: 1 });
    assert_eq!(merge(late), Merged::Duplicate);
    assert_eq!(merge(early), Merged::Superseded);
    assert_eq!(merge(late), Merged::Duplicate);
    let (block, slot) = state.slot_of(METER).unwrap();
    assert_eq!(
        state.window(block, QUARTER..=QUARTER).held(slot, 0),
        Held::Said(early)
    );
    assert_eq!(
        state.window(block, QUARTER..=QUARTER).held(slot + 1, 0),
        Held::Nothing
    );
    state.show_estimate(MeterIx(7), Feeders::default(), QUARTER, Some((5, None)));
    let (block, slot) = state.slot_of(MeterIx(7)).unwrap();
    assert_eq!(
        state.window(block, QUARTER..=QUARTER).held(slot, 0),
        Held::Estimate
    );
}

fn any_arrival() -> impl Strategy<Value = Arrival> {
    (0_i64..4).prop_map(|days| Arrival::after(days * 12 * HOUR))
}

pub(super) fn any_value() -> impl Strategy<Value = Value> {
    (0_i32..3, prop::option::of(0_i64..3), 0_u32..4).prop_map(|(r, c, i)| value(r, c, i))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// ORD-1 for one cell: any order with any duplicates ends in the same value, the same set of versions, and the same arrival.
    #[test]
    fn any_order_with_duplicates_ends_in_the_same_value(
        (values, shuffled) in prop::collection::vec((any_value(), any_arrival()), 1..12)
            .prop_flat_map(|values| (Just(values.clone()), Just(values).prop_shuffle())),
        repeated in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let (mut a, mut b) = (State::default(), State::default());
        let say = |state: &mut State, (value, arrival): &(Value, Arrival)| {
            state.merge(METER, Feeders::default(), QUARTER, (value, *arrival));
        };
        values.iter().for_each(|said| say(&mut a, said));
        shuffled.iter().for_each(|said| say(&mut b, said));
        repeated.iter().for_each(|index| say(&mut b, index.get(&values)));
        prop_assert_eq!(a.value(METER, QUARTER), b.value(METER, QUARTER));
        let held = |state: &State| state.window(BlockNumber(0), QUARTER..=QUARTER).held(0, 0);
        prop_assert_eq!(held(&a), held(&b));
        let soonest = values.iter().map(|(_, arrival)| *arrival).min().unwrap();
        prop_assert_eq!(held(&a), Held::Said(soonest));
        let seen = |state: &State| {
            let mut seen = state.versions.get(&(METER, QUARTER)).map(|v| v.seen.clone()).unwrap_or_default();
            seen.sort_by_key(Value::rank);
            seen
        };
        prop_assert_eq!(seen(&a), seen(&b));
    }

    /// What the tables hold of a cell, in any order, puts back a state that goes on as the first would have.
    #[test]
    fn a_restored_cell_goes_on_as_the_first(
        values in prop::collection::vec((any_value(), any_arrival()), 1..8),
        more in prop::collection::vec((any_value(), any_arrival()), 0..8),
        order in any::<prop::sample::Index>(),
    ) {
        let (mut first, mut second) = (State::default(), State::default());
        let merge = |state: &mut State, (value, arrival): &(Value, Arrival)| {
            state.merge(METER, Feeders::default(), QUARTER, (value, *arrival))
        };
        let mut rows = Vec::new();
        for said in &values {
            match merge(&mut first, said) {
                Merged::Accepted { version } => rows.push((version, *said)),
                Merged::Superseded => rows.push((0, *said)),
                Merged::Duplicate => {}
            }
        }
        let turn = order.index(rows.len());
        rows.rotate_left(turn);
        for (version, (value, arrival)) in &rows {
            second.restore(METER, Feeders::default(), QUARTER, (*version, value, *arrival));
        }
        prop_assert_eq!(first.cells(), second.cells());
        let held = |state: &State| state.window(BlockNumber(0), QUARTER..=QUARTER).held(0, 0);
        prop_assert_eq!(held(&first), held(&second));
        for said in values.iter().chain(&more) {
            prop_assert_eq!(merge(&mut first, said), merge(&mut second, said));
        }
        prop_assert_eq!(first.value(METER, QUARTER), second.value(METER, QUARTER));
        prop_assert_eq!(held(&first), held(&second));
    }
}
