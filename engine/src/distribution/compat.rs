//! phasic's densities: a first-order scheme of fixed steps, for numbers equal to its own.
//!
//! Written from the numerics specification, section 2. The exact method is better in every way but this one; its value
//! at `t` differs from the scheme's by about `(λ²t/2 + λ)/g` for the rates λ that matter at `t`.

use super::DistributionError;
use super::chain::DEFECT;
use super::curve::{Curve, ascending, check_times};
use crate::graph::{Graph, START};

/// Most steps one evaluation may take, as in phasic.
const STEP_LIMIT: u64 = 1_000_000_000;
/// A step may move slightly more than all there is.
const SLACK: f64 = 1.0001;

/// phasic's step scheme on a graph with given weights, in continuous time.
///
/// Time goes in steps of `1/g`; a step moves `w/g` of a vertex's mass along each edge. Mass that returns to the start is
/// lost, and initial probabilities count as given, both as in phasic. Sums are in f64 where phasic has 80 bits.
///
/// ```
/// use phasic_engine::distribution::StepScheme;
/// use phasic_engine::graph::{GraphBuilder, Rate, START};
///
/// let mut builder = GraphBuilder::new(1)?;
/// let (on, off) = (builder.add_vertex(&[1])?, builder.add_vertex(&[0])?);
/// builder.add_edge(START, on, Rate::Scalar(1.0))?;
/// builder.add_edge(on, off, Rate::Coefficients(&[1.0]))?;
/// let graph = builder.finish();
///
/// let scheme = StepScheme::new(&graph, &graph.weights(&[2.0])?, 0)?;
/// assert_eq!(scheme.granularity(), 1024);
/// let cdf = scheme.cdf(&[1.0])?;
/// assert!((cdf[0] - (1.0 - (1.0 - 2.0 / 1024.0_f64).powi(1024))).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct StepScheme<'g> {
    graph: &'g Graph,
    weights: Vec<f64>,
    granularity: u64,
    step_limit: u64,
    /// Whether steps are jumps of a process in discrete time.
    jumps: bool,
}

/// Mass on the graph's vertices, and what became of it.
struct Walk<'a> {
    scheme: &'a StepScheme<'a>,
    p: Vec<f64>,
    old: Vec<f64>,
    visits: Vec<f64>,
    absorbed: f64,
    /// What never started, and what came back to the start: lost, and not absorbed.
    lost: f64,
    steps: u64,
}

impl<'g> StepScheme<'g> {
    /// The scheme at weights such as [`Graph::weights`] gives; granularity 0 stands for `⌊2·max(512, largest rate)⌋` (numerics
    /// specification, section 2). One pass over the edges, which copies the weights.
    ///
    /// # Errors
    /// [`DistributionError::WeightCount`]; [`DistributionError::Weight`] for one that is negative, infinite or not a number;
    /// [`DistributionError::Granularity`] when a step would move more than 1.0001 of a
    /// vertex's mass.
    pub fn new(graph: &'g Graph, weights: &[f64], granularity: u32) -> Result<Self, DistributionError> {
        check_weights(graph, weights)?;
        let rates = graph.rates(weights);
        let granularity = match granularity {
            0 => (2.0 * rates.iter().fold(512.0_f64, |top, &rate| top.max(rate))) as u64,
            chosen => u64::from(chosen),
        };
        Self::with_steps(graph, weights, &rates, granularity, false)
    }

    /// phasic's scheme in discrete time, where each step is a jump and times are whole numbers of them (of another, the whole
    /// number below it counts): the density is the
    /// probability of so many jumps, at 0 of being absorbed on leaving the start: `p ← p T`, what a row lacks to 1 staying
    /// where it is (numerics specification, section 3). One pass over the edges.
    ///
    /// Exact but for mass that returns to the start, which phasic loses;
    /// [`JumpDistribution`](super::JumpDistribution) leads it on.
    ///
    /// # Errors
    /// As [`new`](Self::new), where weights of a vertex sum to more than 1.0001.
    pub fn of_jumps(graph: &'g Graph, weights: &[f64]) -> Result<Self, DistributionError> {
        check_weights(graph, weights)?;
        Self::with_steps(graph, weights, &graph.rates(weights), 1, true)
    }

    fn with_steps(
        graph: &'g Graph,
        weights: &[f64],
        rates: &[f64],
        granularity: u64,
        jumps: bool,
    ) -> Result<Self, DistributionError> {
        let too_fast = |rate: &f64| rate / granularity as f64 > SLACK;
        if let Some(vertex) = rates.iter().position(too_fast) {
            let rate = rates[vertex];
            return Err(DistributionError::Granularity { granularity, vertex: vertex as u32, rate });
        }
        Ok(Self { graph, weights: weights.to_vec(), granularity, step_limit: STEP_LIMIT, jumps })
    }

    /// This scheme with another bound on the steps of a question; phasic's, 10⁹, if never set.
    ///
    /// A step costs a multiply-add per edge, so this bounds the time a question can take.
    #[must_use]
    pub fn with_step_limit(mut self, step_limit: u64) -> Self {
        self.step_limit = step_limit;
        self
    }

    /// Steps per unit of time.
    pub fn granularity(&self) -> u64 {
        self.granularity
    }

    /// The density at each time: of the step `⌊g·t⌋`, a step function. What that step absorbs, times `g`; before the first one,
    /// that of the first (numerics specification, section 2).
    ///
    /// Linear in steps times edges.
    ///
    /// # Errors
    /// [`DistributionError::Time`]; [`DistributionError::Steps`] when a time takes more steps than
    /// [allowed](Self::with_step_limit).
    pub fn pdf(&self, times: &[f64]) -> Result<Vec<f64>, DistributionError> {
        Ok(self.curve(times)?.pdf)
    }

    /// The distribution function at each time: what is absorbed after the step `⌊g·t⌋` (numerics specification, section 2).
    /// Linear in steps times edges.
    ///
    /// # Errors
    /// As [`pdf`](Self::pdf).
    pub fn cdf(&self, times: &[f64]) -> Result<Vec<f64>, DistributionError> {
        Ok(self.curve(times)?.cdf)
    }

    /// Density, distribution function, and what is not absorbed: the mass still there, what never started and what was lost
    /// on coming back to the start. Sums, so that survival keeps its digits where it is small. The first two are
    /// [`pdf`](Self::pdf) and [`cdf`](Self::cdf); one walk for all, linear in steps times edges.
    ///
    /// # Errors
    /// As [`pdf`](Self::pdf).
    pub fn curve(&self, times: &[f64]) -> Result<Curve, DistributionError> {
        self.check(times)?;
        let zeros = || vec![0.0; times.len()];
        let mut curve = Curve { pdf: zeros(), cdf: zeros(), survival: zeros() };
        let g = self.granularity as f64;
        let mut walk = Walk::new(self);
        let mut density = if self.jumps {
            walk.absorbed
        } else {
            let mut ahead = Walk::new(self);
            ahead.step(1.0 / g);
            (ahead.absorbed - walk.absorbed) * g
        };
        for at in ascending(times) {
            let at = at as usize;
            while walk.steps < (g * times[at]) as u64 {
                density = walk.step(1.0 / g) * g;
            }
            (curve.pdf[at], curve.cdf[at]) = (density, walk.absorbed);
            curve.survival[at] = walk.p.iter().fold(walk.lost, |sum, mass| sum + mass);
        }
        Ok(curve)
    }

    /// Probability of being in each vertex after the first step that ends at `time` or later: `α (I + S/g)^⌈g·t⌉` but for
    /// what comes back to the start (numerics specification, section 2). Linear in steps times edges.
    ///
    /// # Errors
    /// As [`pdf`](Self::pdf).
    pub fn stop_probability(&self, time: f64) -> Result<Vec<f64>, DistributionError> {
        Ok(self.walk_to(time)?.p)
    }

    /// Expected time in each vertex until then: the sum of the probabilities to be there after each step, over `g`. As in
    /// phasic it includes one step too many: the one at time 0 (numerics specification, section 2). Linear in steps times
    /// edges.
    ///
    /// # Errors
    /// As [`pdf`](Self::pdf).
    pub fn accumulated_visiting_time(&self, time: f64) -> Result<Vec<f64>, DistributionError> {
        let g = self.granularity as f64;
        Ok(self.walk_to(time)?.visits.into_iter().map(|visits| visits / g).collect())
    }

    fn walk_to(&self, time: f64) -> Result<Walk<'_>, DistributionError> {
        self.check(&[time])?;
        let g = self.granularity as f64;
        let mut walk = Walk::new(self);
        while walk.steps as f64 / g < time {
            walk.step(1.0 / g);
        }
        Ok(walk)
    }

    /// Refuses times that are none, or so late that they take too many steps.
    pub(crate) fn check(&self, times: &[f64]) -> Result<(), DistributionError> {
        check_times(times)?;
        let (granularity, limit) = (self.granularity, self.step_limit);
        let steps = |&time: &f64| granularity as f64 * time;
        match times.iter().position(|time| steps(time) > limit as f64) {
            Some(index) => {
                let time = times[index];
                Err(DistributionError::Steps { index, time, granularity, steps: steps(&time), limit })
            }
            None => Ok(()),
        }
    }
}

/// Refuses weights that are not one number from 0 on for each edge.
fn check_weights(graph: &Graph, weights: &[f64]) -> Result<(), DistributionError> {
    let expected = graph.edge_count() as usize;
    if weights.len() != expected {
        return Err(DistributionError::WeightCount { expected, found: weights.len() });
    }
    match weights.iter().position(|weight| !(0.0..f64::INFINITY).contains(weight)) {
        Some(edge) => Err(DistributionError::Weight { edge, value: weights[edge] }),
        None => Ok(()),
    }
}

impl<'a> Walk<'a> {
    /// Just after leaving the start.
    fn new(scheme: &'a StepScheme<'a>) -> Self {
        let vertices = scheme.graph.vertex_count() as usize;
        let (mut p, old, visits) = (vec![0.0; vertices], vec![0.0; vertices], vec![0.0; vertices]);
        p[START as usize] = 1.0;
        let mut walk = Self { scheme, p, old, visits, absorbed: 0.0, lost: 0.0, steps: 0 };
        walk.step(1.0);
        walk.steps = 0;
        // What is left at the start never leaves it; less than that is rounding, or masses that sum to more than 1.
        if walk.lost < DEFECT {
            walk.lost = 0.0;
        }
        walk
    }

    /// One step of length `f`; returns what it absorbed.
    fn step(&mut self, f: f64) -> f64 {
        let graph = self.scheme.graph;
        self.old.copy_from_slice(&self.p);
        for vertex in 0..graph.vertex_count() {
            let mass = self.old[vertex as usize];
            if mass == 0.0 {
                continue;
            }
            let edges = graph.targets(vertex).iter().zip(&self.scheme.weights[graph.edge_range(vertex)]);
            for (&target, &weight) in edges {
                let moved = mass * weight * f;
                self.p[target as usize] += moved;
                self.p[vertex as usize] -= moved;
            }
        }
        let mut absorbed = 0.0;
        for vertex in 1..graph.vertex_count() {
            let mass = &mut self.p[vertex as usize];
            if graph.is_absorbing(vertex) {
                absorbed += std::mem::take(mass);
            } else {
                self.visits[vertex as usize] += *mass;
            }
        }
        self.lost += std::mem::take(&mut self.p[START as usize]);
        self.absorbed += absorbed;
        self.steps += 1;
        absorbed
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{erlang, plan};
    use super::*;
    use crate::graph::{GraphBuilder, Rate};

    #[test]
    fn steps_that_would_move_more_than_there_is_are_refused_with_the_vertex() {
        let graph = erlang(2);
        let at = |rate: f64, granularity: u32| {
            StepScheme::new(&graph, &graph.weights(&[rate]).unwrap(), granularity)
        };
        let refused = at(3.0, 2).unwrap_err();
        assert_eq!(refused, DistributionError::Granularity { granularity: 2, vertex: 1, rate: 3.0 });
        // phasic lets a ten-thousandth more pass.
        assert!(at(3.0, 3).is_ok() && at(3.0002, 3).is_ok());
        assert!(matches!(at(3.0004, 3), Err(DistributionError::Granularity { vertex: 1, .. })));
        // Without one, twice the largest rate, and never less than 1024.
        assert_eq!((at(3.0, 0).unwrap().granularity(), at(700.5, 0).unwrap().granularity()), (1024, 1401));
        for value in [-1.0, f64::INFINITY] {
            let refused = StepScheme::new(&graph, &[1.0, 2.0, value], 0).unwrap_err();
            assert_eq!(refused, DistributionError::Weight { edge: 2, value });
        }
        let refused = StepScheme::of_jumps(&graph, &[1.0, f64::NAN, 0.0]).unwrap_err();
        assert!(matches!(refused, DistributionError::Weight { edge: 1, .. }), "{refused:?}");
        assert!(matches!(
            StepScheme::new(&graph, &[1.0], 0),
            Err(DistributionError::WeightCount { expected: 3, found: 1 })
        ));
    }

    #[test]
    fn more_steps_than_phasic_takes_are_refused_with_the_time() {
        let graph = erlang(1);
        let scheme = StepScheme::new(&graph, &graph.weights(&[1.0]).unwrap(), 1000).unwrap();
        let wanted = |index: usize, time: f64| DistributionError::Steps {
            index,
            time,
            granularity: 1000,
            steps: 1000.0 * time,
            limit: 1_000_000_000,
        };
        assert_eq!(scheme.pdf(&[0.5, 1_000_000.5]).unwrap_err(), wanted(1, 1_000_000.5));
        assert_eq!(scheme.stop_probability(f64::INFINITY).unwrap_err(), wanted(0, f64::INFINITY));
        assert_eq!(scheme.accumulated_visiting_time(1e300).unwrap_err(), wanted(0, 1e300));
        assert!(matches!(scheme.cdf(&[f64::NAN]), Err(DistributionError::Time { index: 0, .. })));
        assert!(scheme.cdf(&[0.5]).is_ok());
        let short = scheme.with_step_limit(500);
        assert!(short.cdf(&[0.5]).is_ok());
        let refused = short.stop_probability(0.501).unwrap_err();
        assert!(matches!(refused, DistributionError::Steps { index: 0, limit: 500, .. }), "{refused:?}");
    }

    /// Of two ways out of the only vertex one loses all: P(T ≤ t) = (1 − e^{−2t})/2 but for the scheme's steps.
    #[test]
    fn what_comes_back_to_the_start_or_never_left_it_survives() {
        let mut builder = GraphBuilder::new(1).unwrap();
        let (on, off) = (builder.add_vertex(&[1]).unwrap(), builder.add_vertex(&[0]).unwrap());
        builder.add_edge(START, on, Rate::Scalar(1.0)).unwrap();
        builder.add_edge(on, START, Rate::Scalar(1.0)).unwrap();
        builder.add_edge(on, off, Rate::Scalar(1.0)).unwrap();
        let graph = builder.finish();
        for share in [1.0, 0.25] {
            let curve = StepScheme::new(&graph, &[share, 1.0, 1.0], 0)
                .unwrap()
                .curve(&[0.0, 0.5, 5.0, 40.0])
                .unwrap();
            for (below, above) in curve.cdf.iter().zip(&curve.survival) {
                // Each of 40,960 steps rounds once.
                assert!((below + above - 1.0).abs() < 40_960.0 * f64::EPSILON, "{share}: {below} {above}");
            }
            assert!((curve.cdf[3] - share / 2.0).abs() < 1e-12, "{share}: {}", curve.cdf[3]);
        }
        // With nothing lost it is a sum still, and keeps its digits: (1 − 2/1024)^40960.
        let whole = erlang(1);
        let survival = StepScheme::new(&whole, &[1.0, 2.0], 0).unwrap().curve(&[40.0]).unwrap().survival[0];
        let wanted = (40_960.0 * (-2.0 / 1024.0_f64).ln_1p()).exp();
        assert!((survival / wanted - 1.0).abs() < 1e-10, "{survival:e} {wanted:e}");
    }

    #[test]
    fn what_jumps_back_to_the_start_is_lost_as_in_phasic() {
        let mut builder = GraphBuilder::new(1).unwrap();
        builder.set_was_dph(true);
        let (on, off) = (builder.add_vertex(&[1]).unwrap(), builder.add_vertex(&[0]).unwrap());
        builder.add_edge(START, on, Rate::Scalar(0.75)).unwrap();
        builder.add_edge(START, off, Rate::Scalar(0.25)).unwrap();
        builder.add_edge(on, START, Rate::Scalar(0.5)).unwrap();
        builder.add_edge(on, off, Rate::Scalar(0.25)).unwrap();
        let graph = builder.finish();
        let weights = [0.75, 0.25, 0.5, 0.25];
        let scheme = StepScheme::of_jumps(&graph, &weights).unwrap();
        let jumps = [0.0, 1.0, 2.0, 3.0];
        let curve = scheme.curve(&jumps).unwrap();
        // A quarter stays, having no edge; a half is lost; a quarter is absorbed.
        assert_eq!(curve.pdf, [0.25, 0.75 * 0.25, 0.75 * 0.0625, 0.75 * 0.015_625]);
        assert_eq!(curve.cdf, [0.25, 0.4375, 0.484_375, 0.496_093_75]);
        let survival: Vec<f64> = curve.cdf.iter().map(|below| 1.0 - below).collect();
        assert_eq!(curve.survival, survival);
        assert_eq!(scheme.stop_probability(2.0).unwrap()[on as usize], 0.75 * 0.0625);
        assert_eq!(scheme.accumulated_visiting_time(1.0).unwrap()[on as usize], 0.75 * 1.25);
        // Ours goes on from the start.
        let ours = plan(&graph)
            .jumps(&vec![1.0; graph.param_length()])
            .unwrap()
            .probabilities(&[0, 1, 200])
            .unwrap();
        assert_eq!(ours[0].cdf, 0.25);
        assert!((ours[2].cdf - 1.0).abs() < 1e-12, "{:?}", ours[2]);
        let heavy = [0.75, 0.25, 0.9, 0.25];
        let refused = StepScheme::of_jumps(&graph, &heavy).unwrap_err();
        assert!(
            matches!(refused, DistributionError::Granularity { granularity: 1, vertex: 1, .. }),
            "{refused:?}"
        );
    }
}
