//! The middle and the end of what was measured.

/// Values in ascending order, at least one.
#[derive(Debug, Clone)]
pub(crate) struct Sample(Vec<f64>);

impl Sample {
    /// # Panics
    /// Without any value: nothing was measured.
    pub(crate) fn new(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        assert!(!values.is_empty(), "nothing was measured");
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The middle value, or the mean of the two in the middle.
    pub(crate) fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        if self.0.len().is_multiple_of(2) {
            f64::midpoint(self.0[middle - 1], self.0[middle])
        } else {
            self.0[middle]
        }
    }

    /// The smallest value that at least `percent` of a hundred do not exceed (nearest rank).
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0[rank.clamp(1, self.0.len()) - 1]
    }

    /// The smallest.
    pub(crate) fn min(&self) -> f64 {
        self.0[0]
    }

    /// The largest.
    pub(crate) fn max(&self) -> f64 {
        self.0[self.0.len() - 1]
    }
}

/// How many times the median of `base` the median of `sample` is.
pub(crate) fn ratio(sample: &Sample, base: &Sample) -> f64 {
    sample.median() / base.median()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn same(left: f64, right: f64) {
        assert!((left - right).abs() < 1e-9, "{left} is not {right}");
    }

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        same(Sample::new([3.0, -1.0, 2.0]).median(), 2.0);
        same(Sample::new([4.0, 1.0, 3.0, 2.0]).median(), 2.5);
        same(Sample::new([7.0]).median(), 7.0);
    }

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let hundred = Sample::new((1..=100).map(f64::from));
        same(hundred.percentile(99), 99.0);
        same(hundred.percentile(50), 50.0);
        same(hundred.percentile(0), 1.0);
        same(hundred.percentile(100), 100.0);
        same(Sample::new([5.0, 9.0]).percentile(99), 9.0);
        same(Sample::new([5.0]).percentile(1), 5.0);
    }

    #[test]
    fn a_ratio_is_one_of_medians() {
        let outlier = Sample::new([10.0, 20.0, 5000.0]);
        same(ratio(&outlier, &Sample::new([10.0])), 2.0);
    }

    #[test]
    #[should_panic(expected = "nothing was measured")]
    fn no_value_is_no_sample() {
        Sample::new([]);
    }
}
