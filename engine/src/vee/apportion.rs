//! Whole energies in proportion to weights, exact in sum.

/// Shares `total` in proportion to `weights`: each share is rounded down, and what remains goes by one to those that lost most in
/// rounding, of equals to the first (largest remainder). The shares sum up to `total` exactly. Weights that are all 0 count as equal;
/// without weights there are no shares.
#[must_use]
pub fn apportion(total: u64, weights: &[u64]) -> Vec<u64> {
    let equal: Vec<u64>;
    let weights = if weights.iter().all(|weight| *weight == 0) {
        equal = vec![1; weights.len()];
        equal.as_slice()
    } else {
        weights
    };
    let whole: u128 = weights.iter().copied().map(u128::from).sum();
    if whole == 0 {
        return Vec::new();
    }
    let mut shares = Vec::with_capacity(weights.len());
    let mut remainders = Vec::with_capacity(weights.len());
    let mut given = 0_u64;
    for (at, weight) in weights.iter().enumerate() {
        let product = u128::from(total) * u128::from(*weight);
        // At most `total`, for no weight is above the sum of all.
        let share = u64::try_from(product / whole).unwrap_or(total);
        given = given.saturating_add(share);
        shares.push(share);
        remainders.push((product % whole, at));
    }
    remainders.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let left = usize::try_from(total.saturating_sub(given)).unwrap_or(usize::MAX);
    for (_, at) in remainders.into_iter().take(left) {
        if let Some(share) = shares.get_mut(at) {
            *share += 1;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::apportion;

    #[test]
    fn what_rounding_leaves_goes_to_the_largest_remainders_and_of_equals_to_the_first() {
        assert_eq!(apportion(10, &[1, 1, 1]), [4, 3, 3]);
        assert_eq!(apportion(10, &[6, 3, 2]), [5, 3, 2]);
        assert_eq!(apportion(5, &[0, 0]), [3, 2]);
        assert_eq!(apportion(0, &[7, 9]), [0, 0]);
        assert_eq!(apportion(9, &[]), [0_u64; 0]);
    }

    proptest! {
        /// The shares sum up to the total, and none is a whole unit away from its proportion.
        #[test]
        fn shares_sum_up_and_keep_to_their_proportion(
            total in 0_u64..1 << 40,
            weights in prop::collection::vec(0_u64..1 << 20, 1..200),
        ) {
            let shares = apportion(total, &weights);
            prop_assert_eq!(shares.iter().sum::<u64>(), total);
            let whole: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
            for (share, weight) in shares.iter().zip(&weights).filter(|_| whole > 0) {
                let exact = u128::from(total) * u128::from(*weight);
                prop_assert!((u128::from(*share) * whole).abs_diff(exact) < whole);
            }
        }
    }
}
