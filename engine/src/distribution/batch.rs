//! One question at many θ.

use ndarray::{Array2, ArrayView2, ArrayView3};
use rayon::prelude::*;

use super::error::of_row;
use super::{Distribution, DistributionError, Epochs, JumpDistribution};

/// An answer for each row, in order, each thread with a law of its own to move from θ to θ.
fn each<L, T: Send>(
    thetas: &ArrayView2<'_, f64>,
    fresh: impl Fn() -> L + Sync + Send,
    answer: impl Fn(&mut L, &[f64]) -> Result<T, DistributionError> + Sync + Send,
) -> Result<Vec<T>, DistributionError> {
    let rows: Vec<Vec<f64>> = thetas.rows().into_iter().map(|row| row.to_vec()).collect();
    let found: Vec<_> = rows.par_iter().map_init(fresh, |law, theta| answer(law, theta)).collect();
    found.into_iter().enumerate().map(|(row, found)| found.map_err(of_row(row))).collect()
}

impl JumpDistribution<'_> {
    /// The answers to a question at each row of `thetas`, in order, with this distribution's limit. As
    /// [`Distribution::at_each`]: formula, source and errors are the question's, each answer has the very bits of that θ alone,
    /// at the cost of the question for each, on the threads of the current rayon pool.
    ///
    /// # Errors
    /// [`DistributionError::Row`] around what is wrong at the first θ without an answer.
    pub fn at_each<T: Send>(
        &self,
        thetas: &ArrayView2<'_, f64>,
        ask: impl Fn(&Self) -> Result<T, DistributionError> + Sync,
    ) -> Result<Vec<T>, DistributionError> {
        let (chain, jump_limit) = (&self.chain, self.jump_limit);
        let fresh = || Self::of_chain(chain.clone(), jump_limit);
        each(thetas, fresh, |law, theta| law.set(theta).and_then(|()| ask(law)))
    }
}

impl Epochs<'_> {
    /// The answers to a question at many sets of θ, one of each epoch, with these breakpoints, treatment of the start,
    /// tolerance and limits: `thetas` are by set, epoch and parameter. As [`Distribution::at_each`]: formula, source and
    /// errors are the question's, each answer has the very bits of that set alone, at the cost of the question and of
    /// [`Plan::epochs`](crate::plan::Plan::epochs) for each, on the threads of the current rayon pool.
    ///
    /// # Errors
    /// [`DistributionError::Row`] around what is wrong at the first set without an answer.
    pub fn at_each<T: Send>(
        &self,
        thetas: &ArrayView3<'_, f64>,
        ask: impl Fn(&Self) -> Result<T, DistributionError> + Sync,
    ) -> Result<Vec<T>, DistributionError> {
        let rows = |set: ArrayView2<'_, f64>| -> Vec<Vec<f64>> {
            set.rows().into_iter().map(|theta| theta.to_vec()).collect()
        };
        let sets: Vec<Vec<Vec<f64>>> = thetas.outer_iter().map(rows).collect();
        let found: Vec<_> = sets.par_iter().map(|set| self.at(set).and_then(|law| ask(&law))).collect();
        found.into_iter().enumerate().map(|(row, found)| found.map_err(of_row(row))).collect()
    }
}

impl Distribution<'_> {
    /// The answers to a question at each row of `thetas`, in order, with this distribution's treatment of the start,
    /// tolerance and limits. Whatever the question's formula, source and error are, each answer has the very bits of that θ
    /// alone. The cost is that of the question for each θ, on the threads of the current rayon pool; the pattern is made once
    /// for each of them.
    ///
    /// ```
    /// use ndarray::array;
    /// use phasic_engine::graph::{GraphBuilder, Rate, START};
    /// use phasic_engine::plan::{Limits, Plan};
    ///
    /// let mut builder = GraphBuilder::new(1)?;
    /// let (on, off) = (builder.add_vertex(&[1])?, builder.add_vertex(&[0])?);
    /// builder.add_edge(START, on, Rate::Scalar(1.0))?;
    /// builder.add_edge(on, off, Rate::Coefficients(&[1.0]))?;
    /// let plan = Plan::analyze(&builder.finish(), &Limits::default())?;
    ///
    /// let thetas = array![[1.0], [2.0], [4.0]];
    /// let means = plan.distribution(&[1.0])?.at_each(&thetas.view(), |law| law.expectation())?;
    /// assert_eq!(means, [1.0, 0.5, 0.25]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DistributionError::Row`] around what is wrong at the first θ without an answer.
    pub fn at_each<T: Send>(
        &self,
        thetas: &ArrayView2<'_, f64>,
        ask: impl Fn(&Self) -> Result<T, DistributionError> + Sync,
    ) -> Result<Vec<T>, DistributionError> {
        let (chain, tolerance) = (&self.chain, self.tolerance_of_peak);
        let fresh = || Self::of_chain(chain.clone(), tolerance);
        each(thetas, fresh, |law, theta| law.set(theta).and_then(|()| ask(law)))
    }

    /// Densities `α e^{St} s` at each θ, a row of `thetas`, and each time: a row for each θ. Method and cost are those of
    /// [`pdf`](Self::pdf) for each θ, spread over threads as by [`at_each`](Self::at_each).
    ///
    /// # Errors
    /// As [`at_each`](Self::at_each) and [`pdf`](Self::pdf).
    pub fn pdf_batch(
        &self,
        thetas: &ArrayView2<'_, f64>,
        times: &[f64],
    ) -> Result<Array2<f64>, DistributionError> {
        self.table(thetas, times.len(), |law| law.pdf(times))
    }

    /// Distribution functions `1 − α e^{St} 1` at each θ and time, a row for each θ. Method and cost are those of
    /// [`cdf`](Self::cdf) for each θ, spread over threads as by [`at_each`](Self::at_each).
    ///
    /// # Errors
    /// As [`at_each`](Self::at_each) and [`cdf`](Self::cdf).
    pub fn cdf_batch(
        &self,
        thetas: &ArrayView2<'_, f64>,
        times: &[f64],
    ) -> Result<Array2<f64>, DistributionError> {
        self.table(thetas, times.len(), |law| law.cdf(times))
    }

    /// Quantiles, the least `t` with `F(t) ≥ q`, at each θ and probability `q`, a row for each θ. Method and cost are those of
    /// [`quantile`](Self::quantile) for each θ, spread over threads as by [`at_each`](Self::at_each).
    ///
    /// # Errors
    /// As [`at_each`](Self::at_each) and [`quantile`](Self::quantile).
    pub fn quantile_batch(
        &self,
        thetas: &ArrayView2<'_, f64>,
        probabilities: &[f64],
    ) -> Result<Array2<f64>, DistributionError> {
        self.table(thetas, probabilities.len(), |law| law.quantile(probabilities))
    }

    fn table(
        &self,
        thetas: &ArrayView2<'_, f64>,
        width: usize,
        ask: impl Fn(&Self) -> Result<Vec<f64>, DistributionError> + Sync,
    ) -> Result<Array2<f64>, DistributionError> {
        let rows = self.at_each(thetas, ask)?;
        let mut table = Array2::zeros((rows.len(), width));
        table.iter_mut().zip(rows.iter().flatten()).for_each(|(slot, &value)| *slot = value);
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::super::tests::{erlang, plan};
    use super::super::{DistributionError, Epochs, JumpDistribution, Start};
    use crate::graph::{GraphBuilder, Rate, START};

    #[test]
    fn a_batch_has_the_numbers_of_each_theta_alone() {
        let plan = plan(&erlang(5));
        let thetas = array![[1.0], [0.3], [7.0], [1.0]];
        let (times, shares) = ([0.5, 3.0, 0.0], [0.5, 0.01]);
        let law = plan.distribution(&[2.0]).unwrap().tolerance(1e-8).unwrap();
        let (pdf, cdf) =
            (law.pdf_batch(&thetas.view(), &times).unwrap(), law.cdf_batch(&thetas.view(), &times).unwrap());
        let quantile = law.quantile_batch(&thetas.view(), &shares).unwrap();
        for (row, theta) in thetas.rows().into_iter().enumerate() {
            let alone = plan.distribution(&theta.to_vec()).unwrap().tolerance(1e-8).unwrap();
            assert_eq!(pdf.row(row).to_vec(), alone.pdf(&times).unwrap());
            assert_eq!(cdf.row(row).to_vec(), alone.cdf(&times).unwrap());
            assert_eq!(quantile.row(row).to_vec(), alone.quantile(&shares).unwrap());
        }
        assert!(law.pdf_batch(&thetas.slice(ndarray::s![0..0, ..]), &times).unwrap().is_empty());
    }

    #[test]
    fn a_batch_in_discrete_time_has_the_numbers_of_each_theta_alone() {
        let plan = plan(&erlang(3).discretize(0.5).unwrap());
        let thetas = array![[1.0, 0.3], [0.2, 1.0], [5.0, 0.1]];
        let law = plan.jumps(&[1.0, 1.0]).unwrap().with_jump_limit(50);
        let found = law.at_each(&thetas.view(), |law| Ok((law.pmf(&[7, 3])?, law.variance()?))).unwrap();
        for (theta, found) in thetas.rows().into_iter().zip(found) {
            let alone = plan.jumps(&theta.to_vec()).unwrap();
            assert_eq!(found, (alone.pmf(&[7, 3]).unwrap(), alone.variance().unwrap()));
        }
        // The limit goes along, and the first θ at fault is named.
        let refused = law.at_each(&thetas.view(), |law| law.cdf(&[51])).unwrap_err();
        let limit = DistributionError::JumpLimit { index: 0, limit: 50 };
        assert_eq!(refused, DistributionError::Row { row: 0, error: Box::new(limit) });
        let refused =
            law.at_each(&array![[1.0, 1.0], [-1.0, 1.0]].view(), JumpDistribution::expectation).unwrap_err();
        assert!(matches!(refused, DistributionError::Row { row: 1, .. }), "{refused:?}");
    }

    #[test]
    fn a_batch_of_epochs_has_the_numbers_of_each_set_alone() {
        // Half of it never starts.
        let mut builder = GraphBuilder::new(1).unwrap();
        let [on, end] = [1, 0].map(|state| builder.add_vertex(&[state]).unwrap());
        builder.add_edge(START, on, Rate::Scalar(0.5)).unwrap();
        builder.add_edge(on, end, Rate::Coefficients(&[1.0])).unwrap();
        let plan = plan(&builder.finish());
        let thetas = array![[[1.0], [0.3]], [[2.0], [0.0]], [[0.5], [7.0]]];
        let law = plan.epochs(&[0.7], &[[1.0]; 2]).unwrap().tolerance(1e-8).unwrap();
        let law = law.start(Start::Conditional);
        let found = law.at_each(&thetas.view(), |law| law.cdf(&[2.0, 0.5])).unwrap();
        for (set, found) in thetas.outer_iter().zip(found) {
            let rows: Vec<Vec<f64>> = set.rows().into_iter().map(|theta| theta.to_vec()).collect();
            let alone = plan.epochs(&[0.7], &rows).unwrap().tolerance(1e-8).unwrap();
            assert_ne!(found, alone.cdf(&[2.0, 0.5]).unwrap());
            assert_eq!(found, alone.start(Start::Conditional).cdf(&[2.0, 0.5]).unwrap());
        }
        let refused = law.at_each(&thetas.view(), Epochs::expectation).unwrap_err();
        assert!(matches!(refused, DistributionError::Row { row: 1, .. }), "{refused:?}");
        let refused = law.at_each(&array![[[1.0]]].view(), |law| law.cdf(&[2.0])).unwrap_err();
        let count = DistributionError::EpochCount { breakpoints: 1, thetas: 1 };
        assert_eq!(refused, DistributionError::Row { row: 0, error: Box::new(count) });
    }

    #[test]
    fn the_first_theta_without_an_answer_is_named() {
        let plan = plan(&erlang(2));
        let law = plan.distribution(&[2.0]).unwrap().start(Start::Conditional).unwrap();
        let refused = law.cdf_batch(&array![[1.0], [-1.0], [f64::NAN]].view(), &[1.0]).unwrap_err();
        assert!(matches!(refused, DistributionError::Row { row: 1, .. }), "{refused:?}");
        assert!(refused.to_string().starts_with("at parameter vector 1 (counted from 0): "), "{refused}");
    }
}
