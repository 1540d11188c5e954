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

fn merge(state: &mut State, value: &Value) -> Merged {
    state.merge(METER, Feeders::default(), QUARTER, value)
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
    state.merge(MeterIx(0), Feeders::default(), QUARTER, &value(0, None, 1));
    state.merge(MeterIx(1), Feeders::default(), QUARTER, &full);
    state.merge(MeterIx(2), Feeders::default(), QUARTER, &value(0, None, 2));
    assert_eq!(state.value(MeterIx(0), QUARTER), Some(value(0, None, 1)));
    assert_eq!(state.value(MeterIx(1), QUARTER), Some(full));
    assert_eq!(state.value(MeterIx(2), QUARTER), Some(value(0, None, 2)));
    let chunk = &state.blocks[0].chunks[&QUARTER];
    assert_eq!(
        (
            chunk.import_vah.len(),
            chunk.revision.len(),
            chunk.captured_at.len()
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
            &value(0, None, 1),
        );
    }
    state.merge(
        MeterIx(9_999),
        [Some(NodeIx(1)), Some(NodeIx(2))],
        QUARTER,
        &value(0, None, 1),
    );
    let lengths: Vec<usize> = state.blocks.iter().map(|block| block.meters.len()).collect();
    assert_eq!(lengths, [BLOCK_METERS_MAX, 1, 1]);
    assert_eq!(state.take_dirty().len(), 3);
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
                &value(revision, None, 1),
            );
        }
    };
    let bound = u32::try_from(chunk::DIRTY_SLOTS_MAX).unwrap();
    say(&mut state, 0..bound, 1);
    let taken = state.take_dirty();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].meters, Some((0..bound).map(MeterIx).collect()));
    say(&mut state, 0..bound + 1, 2);
    assert_eq!(state.take_dirty()[0].meters, None);
    say(&mut state, 3..4, 3);
    say(&mut state, 3..4, 1);
    assert_eq!(
        state.take_dirty()[0].meters,
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

fn any_value() -> impl Strategy<Value = Value> {
    (0_i32..3, prop::option::of(0_i64..3), 0_u32..4).prop_map(|(r, c, i)| value(r, c, i))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// ORD-1 for one cell: any order with any duplicates ends in the same value and the same set of versions.
    #[test]
    fn any_order_with_duplicates_ends_in_the_same_value(
        (values, shuffled) in prop::collection::vec(any_value(), 1..12)
            .prop_flat_map(|values| (Just(values.clone()), Just(values).prop_shuffle())),
        repeated in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let (mut a, mut b) = (State::default(), State::default());
        values.iter().for_each(|value| { merge(&mut a, value); });
        shuffled.iter().for_each(|value| { merge(&mut b, value); });
        repeated.iter().for_each(|index| { merge(&mut b, index.get(&values)); });
        prop_assert_eq!(a.value(METER, QUARTER), b.value(METER, QUARTER));
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
        values in prop::collection::vec(any_value(), 1..8),
        more in prop::collection::vec(any_value(), 0..8),
        order in any::<prop::sample::Index>(),
    ) {
        let (mut first, mut second) = (State::default(), State::default());
        let mut rows = Vec::new();
        for value in &values {
            match merge(&mut first, value) {
                Merged::Accepted { version } => rows.push((version, *value)),
                Merged::Superseded => rows.push((0, *value)),
                Merged::Duplicate => {}
            }
        }
        let turn = order.index(rows.len());
        rows.rotate_left(turn);
        for (version, value) in &rows {
            second.restore(METER, Feeders::default(), QUARTER, (*version, value));
        }
        prop_assert_eq!(first.cells(), second.cells());
        for value in values.iter().chain(&more) {
            prop_assert_eq!(merge(&mut first, value), merge(&mut second, value));
        }
        prop_assert_eq!(first.value(METER, QUARTER), second.value(METER, QUARTER));
    }
}
