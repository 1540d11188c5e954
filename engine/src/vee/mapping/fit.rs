//! How well one series follows another: sums of whole numbers, so that neither order nor machine changes a figure.

/// Two series over the same times, as sums of squares and of products.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fit {
    samples: i64,
    xx: i64,
    yy: i64,
    xy: i64,
}

/// A change counts as this at most: so the sums over a month of half hours stay within 64 bits. 50 MWh in half an hour is more than any
/// DT carries.
const CHANGE_MAX: i64 = 50_000_000;

/// The whole part of a square root; 0 below 1.
fn root(square: i64) -> i128 {
    i128::from(square.max(0).isqrt())
}

impl Fit {
    /// One series against another with what is added to it, where all three are known.
    pub(super) fn of(x: &[Option<i64>], y: &[Option<i64>], added: &[Option<i64>]) -> Self {
        let mut fit = Self::default();
        for ((x, y), added) in x.iter().zip(y).zip(added) {
            if let (Some(x), Some(y), Some(added)) = (x, y, added) {
                fit.add(*x, y + added);
            }
        }
        fit
    }

    /// Adds a pair of changes.
    pub(super) fn add(&mut self, x: i64, y: i64) {
        let [x, y] = [x, y].map(|change| change.clamp(-CHANGE_MAX, CHANGE_MAX));
        self.samples += 1;
        self.xx += x * x;
        self.yy += y * y;
        self.xy += x * y;
    }

    /// The pairs of both.
    pub(super) fn with(self, other: Self) -> Self {
        Self {
            samples: self.samples + other.samples,
            xx: self.xx + other.xx,
            yy: self.yy + other.yy,
            xy: self.xy + other.xy,
        }
    }

    /// Pairs in it.
    pub(super) fn samples(&self) -> u32 {
        u32::try_from(self.samples).unwrap_or(u32::MAX)
    }

    /// Correlation of the two, per mille: sum of products over the root of the sums of squares, about zero, for changes have no level.
    /// 0 where one of them never changes.
    pub(super) fn correlation_permille(&self) -> i64 {
        let scale = root(self.xx) * root(self.yy);
        let permille = if scale == 0 {
            0
        } else {
            1_000 * i128::from(self.xy) / scale
        };
        i64::try_from(permille.clamp(-1_000, 1_000)).unwrap_or(0)
    }

    /// By how much the second changes for each unit of the first, by least squares, with its standard error; per mille. `None`: the
    /// first never changes, or there are fewer than three pairs.
    pub(super) fn slope_permille(&self) -> Option<(i64, i64)> {
        if self.xx == 0 || self.samples < 3 {
            return None;
        }
        let [xx, yy, xy] = [self.xx, self.yy, self.xy].map(i128::from);
        let slope = 1_000 * xy / xx;
        let explained = xy / root(self.xx).max(1);
        let rest = (yy - explained * explained).max(0);
        let error = (rest * 1_000_000 / i128::from(self.samples - 1) / xx).isqrt() + 1;
        Some((i64::try_from(slope).ok()?, i64::try_from(error).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::Fit;

    fn fit(pairs: &[(i64, i64)]) -> Fit {
        let mut fit = Fit::default();
        pairs.iter().for_each(|(x, y)| fit.add(*x, *y));
        fit
    }

    #[test]
    fn what_follows_to_the_unit_has_slope_one_and_no_error() {
        let pairs: Vec<(i64, i64)> = (-500..500).map(|x| (x, x)).collect();
        assert_eq!(fit(&pairs).slope_permille(), Some((1_000, 1)));
        assert!(fit(&pairs).correlation_permille() >= 999);
        let pairs: Vec<(i64, i64)> = (-500..500).map(|x| (x, -3 * x)).collect();
        assert_eq!(fit(&pairs).slope_permille().unwrap().0, -3_000);
        assert_eq!(fit(&pairs).correlation_permille(), -1_000);
    }

    #[test]
    fn what_never_changes_follows_nothing() {
        let pairs: Vec<(i64, i64)> = (0..100).map(|y| (0, y)).collect();
        assert_eq!(
            (fit(&pairs).correlation_permille(), fit(&pairs).slope_permille()),
            (0, None)
        );
    }

    #[test]
    fn the_error_of_a_slope_is_what_the_rest_leaves_open() {
        // y = 2 x with a rest of +-100 on 400 pairs of x = +-100: the error is 100 / 100 / 20 = 0.05.
        let pairs: Vec<(i64, i64)> = (0..400)
            .map(|at| {
                let x = if at % 2 == 0 { 100 } else { -100 };
                (x, 2 * x + if at % 4 < 2 { 100 } else { -100 })
            })
            .collect();
        let (slope, error) = fit(&pairs).slope_permille().unwrap();
        assert_eq!(slope, 2_000);
        assert!((50..=52).contains(&error), "{error}");
    }
}
