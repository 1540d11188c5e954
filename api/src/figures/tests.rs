use gridtally_engine::{balance::Coverage, world::Sums};

use super::{Attention, Figures};

fn sums(total_loss_wh: i64, injected_wh: i64, reported: i64) -> Sums {
    Sums {
        input_wh: injected_wh,
        injected_wh,
        delivered_wh: injected_wh - total_loss_wh,
        total_loss_wh,
        injected_where_known_wh: injected_wh,
        loss_bound_wh: 30,
        loss_bound_above_wh: 20,
        intervals_expected: 2,
        intervals_computed: 2,
        coverage: Coverage {
            expected: 100,
            reported,
            estimated: 0,
        },
        ..Sums::default()
    }
}

#[test]
fn the_loss_is_shown_from_the_threshold_on() {
    let shown = Figures::of_sums(&sums(100, 1_000, 95), 95.0);
    assert_eq!(
        (shown.loss_wh, shown.loss_pct, shown.loss_shown),
        (Some(100), Some(10.0), true)
    );
    assert_eq!((shown.loss_low_pct, shown.loss_high_pct), (Some(7.0), Some(12.0)));
    let hidden = Figures::of_sums(&sums(100, 1_000, 94), 95.0);
    assert_eq!(
        (hidden.loss_wh, hidden.loss_pct, hidden.loss_shown),
        (None, None, false)
    );
    assert_eq!(
        (hidden.loss_low_pct, hidden.loss_high_pct),
        (Some(7.0), Some(12.0)),
        "the band is given all the same"
    );
    assert_eq!(
        hidden.not_shown_because.as_deref(),
        Some("coverage of 94.0 % is below 95 %")
    );
}

#[test]
fn the_loss_is_not_shown_when_a_meter_at_the_head_is_missing() {
    let sums = Sums {
        intervals_computed: 1,
        ..sums(100, 1_000, 100)
    };
    let figures = Figures::of_sums(&sums, 95.0);
    assert_eq!(figures.loss_wh, None);
    assert_eq!(
        figures.not_shown_because.as_deref(),
        Some("a meter at the head did not report in 1 of 2 balances")
    );
}

#[test]
fn attention_follows_the_bands_of_the_house() {
    let of = |loss_wh| Figures::of_sums(&sums(loss_wh, 1_000, 100), 95.0).attention;
    assert_eq!(
        [of(-31), of(-30), of(59), of(60), of(150), of(151)],
        [
            Attention::Negative,
            Attention::Normal,
            Attention::Normal,
            Attention::Watch,
            Attention::Watch,
            Attention::Investigate
        ]
    );
    assert_eq!(Figures::none("nothing").attention, Attention::Unknown);
}
