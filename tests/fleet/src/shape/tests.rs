//! Tests of the load shapes.

use super::*;

#[test]
fn homes_peak_in_the_evening_and_shops_by_day() {
    let evening = levels(20 * 4, 100, false);
    let night = levels(3 * 4, 100, false);
    let noon = levels(12 * 4, 100, false);
    assert!(Category::DomesticUrban.row(&evening) > Category::DomesticUrban.row(&noon));
    assert!(Category::DomesticUrban.row(&noon) > Category::DomesticUrban.row(&night));
    assert!(Category::Commercial.row(&noon) > Category::Commercial.row(&night));
}

#[test]
fn homes_draw_more_in_summer_than_in_winter() {
    let (may, january) = (levels(80, 135, false), levels(80, 15, false));
    assert!(Category::DomesticUrban.row(&may) > Category::DomesticUrban.row(&january));
}

#[test]
fn every_shape_averages_to_its_consumers_average() {
    for (number, shape) in SHAPES.iter().enumerate() {
        for (name, table, tolerance) in [
            ("working day", &shape.working_day[..], 120),
            ("season", &shape.season[..], 60),
        ] {
            let mean = table.iter().sum::<i64>() / i64::try_from(table.len()).unwrap();
            assert!(
                (mean - 1_000).abs() <= tolerance,
                "shape {number}, {name}: {mean} per mille"
            );
        }
    }
}

#[test]
fn pumps_have_eight_hours_of_supply_a_day() {
    for group in 0..3 {
        for day in [0, 6, 7, 20_000, 20_010] {
            let quarters = (0..96)
                .filter(|of_day| has_pump_supply(group, day, *of_day))
                .count();
            assert_eq!(quarters, 32, "group {group} day {day}");
        }
    }
}

#[test]
fn days_are_longer_in_summer() {
    let light = |day: i64| (0..96).filter(|of_day| clear_sky(*of_day, day) > 0).count();
    assert!(light(172) > light(355));
    assert!((40..=46).contains(&light(355)), "{}", light(355));
}
