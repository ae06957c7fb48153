//! The process of a plan at one θ, as sparse rows of numbers.

use std::sync::Arc;

use super::pattern::{NO_FORM, Pattern};
use super::slices::SliceRates;
use crate::double_double::Dd;
use crate::plan::{EvaluationError, Plan};

/// What to make of initial probabilities that do not sum to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// As they were given: what is missing never starts and is never absorbed, so the distribution function ends at
    /// their sum. phasic's densities and distribution functions do this.
    ///
    /// Where they sum to more than one they are masses and no probabilities: densities, distribution functions and states
    /// are the conditional ones times the sum, as in phasic. What comes back to the start goes on conditionally, so that no
    /// mass is added on the way.
    #[default]
    AsGiven,
    /// Divided by their sum: everything is conditional on starting. phasic's moments do this.
    Conditional,
}

/// The sparse process of a plan at one θ: rates (in discrete time, probabilities of a jump) between transient positions.
///
/// The start is not among them; edges back to it lead on by the initial probabilities at once. Parallel edges are
/// summed. In discrete time rows are divided by their sum, and what a row lacks to one is the probability to stay.
#[derive(Debug, Clone)]
pub(crate) struct Chain<'p> {
    plan: &'p Plan,
    pattern: Arc<Pattern>,
    choice: Start,
    /// θ, padded to at least one number.
    theta: Vec<f64>,
    /// Values of the plan's forms.
    values: Vec<f64>,
    /// By entry of `pattern.out`.
    rates: Vec<f64>,
    /// By slot of `pattern.slices`.
    slice_rates: SliceRates,
    /// Rate into absorption by position.
    exits: Vec<f64>,
    /// Rate of leaving by position: rates and exit summed.
    totals: Vec<f64>,
    /// Sum of each row's weights as given, in discrete time; what rows were divided by.
    divisors: Vec<f64>,
    /// Initial probabilities above 0 by position.
    start: Vec<(u32, f64)>,
    atom: f64,
    /// Most jumps of a sweep through time.
    jump_limit: u64,
}

/// Initial probabilities that lack less than this to one sum to one, but for rounding.
pub(super) const DEFECT: f64 = 1e-14;

/// Derivatives of a chain's rates with respect to a parameter.
#[derive(Debug, Clone)]
pub(super) struct ChainSlope {
    /// By entry of the pattern's `out`.
    pub(super) rates: Vec<f64>,
    /// By position.
    pub(super) exits: Vec<f64>,
    pub(super) totals: Vec<f64>,
}

/// Jumps that a sweep may take unless stated otherwise.
const JUMP_LIMIT: u64 = 1_000_000_000;

impl Plan {
    /// The process at θ. One pass over the edges.
    ///
    /// # Errors
    /// [`EvaluationError`] when θ does not fit, a weight is negative or infinite, the weights of a vertex sum to more than f64
    /// holds, or no initial probability is positive.
    pub(crate) fn chain(&self, theta: &[f64]) -> Result<Chain<'_>, EvaluationError> {
        let mut padded = vec![0.0; self.param_length().max(1)];
        let mut values = vec![0.0; self.form_count()];
        self.weigh(theta, &mut padded, &mut values)?;
        let pattern = Pattern::new(self, &values);
        let positions = pattern.vertices.len();
        let mut chain = Chain {
            plan: self,
            choice: Start::default(),
            theta: padded,
            values,
            rates: vec![0.0; pattern.out.items.len()],
            slice_rates: SliceRates::default(),
            exits: vec![0.0; positions],
            totals: vec![0.0; positions],
            divisors: vec![1.0; if self.is_discrete() { positions } else { 0 }],
            start: Vec::with_capacity(pattern.start_forms.len()),
            atom: 0.0,
            jump_limit: JUMP_LIMIT,
            pattern: Arc::new(pattern),
        };
        chain.fill()?;
        Ok(chain)
    }
}

/// Rates and exits of forms with these values, those on the way back through the start times `scale`.
fn fill_rates(pattern: &Pattern, values: &[f64], scale: f64, [rates, exits]: [&mut [f64]; 2]) {
    let value = |form: u32| if form == NO_FORM { 0.0 } else { values[form as usize] };
    let own = rates.iter_mut().zip(&pattern.forms).chain(exits.iter_mut().zip(&pattern.exit_forms));
    for (rate, &form) in own {
        *rate = value(form);
    }
    for (returns, rates) in [(&pattern.returns, rates), (&pattern.exit_returns, exits)] {
        for back in returns {
            rates[back.at as usize] += scale * back.probability * value(back.form);
        }
    }
}

impl<'p> Chain<'p> {
    /// Moves to another θ without allocating. After an error the numbers are those of no θ.
    ///
    /// # Errors
    /// As [`Plan::chain`].
    pub(crate) fn set(&mut self, theta: &[f64]) -> Result<(), EvaluationError> {
        self.plan.weigh(theta, &mut self.theta, &mut self.values)?;
        self.fill()
    }

    /// Decides about initial probabilities that do not sum to one.
    ///
    /// # Errors
    /// As [`Plan::chain`].
    pub(crate) fn set_start(&mut self, choice: Start) -> Result<(), EvaluationError> {
        self.choice = choice;
        self.fill()
    }

    /// Bounds the jumps of sweeps through time.
    pub(crate) fn set_jump_limit(&mut self, jump_limit: u64) {
        self.jump_limit = jump_limit;
    }

    /// Most jumps of a sweep through time.
    pub(crate) fn jump_limit(&self) -> u64 {
        self.jump_limit
    }

    fn fill(&mut self) -> Result<(), EvaluationError> {
        let pattern = Arc::clone(&self.pattern);
        let scale = self.fill_start(&pattern)?;
        fill_rates(&pattern, &self.values, scale, [&mut self.rates, &mut self.exits]);
        self.sum_rows(&pattern, scale)?;
        pattern.slices.fill(&self.rates, &self.totals, &self.exits, &mut self.slice_rates);
        Ok(())
    }

    /// Derivatives of all rates with respect to a parameter, in continuous time, where nothing is lost on a way back through
    /// the start.
    pub(super) fn slope(&self, parameter: usize) -> ChainSlope {
        let mut values = vec![0.0; self.values.len()];
        self.plan.form_slopes(parameter, &mut values);
        let mut rates = vec![0.0; self.rates.len()];
        let mut exits = vec![0.0; self.exits.len()];
        fill_rates(&self.pattern, &values, self.return_scale(), [&mut rates, &mut exits]);
        let row =
            |at: usize| rates[self.pattern.out.range(at)].iter().fold(exits[at], |sum, rate| sum + rate);
        let totals = (0..self.len()).map(row).collect();
        ChainSlope { rates, exits, totals }
    }

    /// Whether initial probabilities are divided by their sum, whatever it is: jumps are always of what starts.
    fn is_conditional(&self) -> bool {
        self.choice == Start::Conditional || self.plan.is_discrete()
    }

    /// What initial probabilities are multiplied by on the way back through the start.
    fn return_scale(&self) -> f64 {
        let sum = self.pattern.initial_sum(&self.values);
        if self.is_conditional() || sum > 1.0 { 1.0 / sum } else { 1.0 }
    }

    /// Initial probabilities; returns what they were multiplied by.
    fn fill_start(&mut self, pattern: &Pattern) -> Result<f64, EvaluationError> {
        let initial = pattern.start_forms.iter().map(|&(at, form)| (at, self.values[form as usize]));
        let atom = self.values[pattern.start_exit_form as usize];
        let sum = initial.clone().map(|(_, probability)| probability).sum::<f64>() + atom;
        if sum <= 0.0 {
            return Err(self.plan.no_start());
        }
        let conditional = self.is_conditional();
        let scale = if conditional || sum > 1.0 { 1.0 / sum } else { 1.0 };
        self.start.clear();
        self.start.extend(
            initial
                .filter(|&(_, probability)| probability > 0.0)
                .map(|(at, probability)| (at, if conditional { probability / sum } else { probability })),
        );
        self.atom = if conditional { atom / sum } else { atom };
        Ok(scale)
    }

    /// Totals; in discrete time rows become probabilities first. What α lacks on the way through the start is lost, and
    /// leaving all the same.
    fn sum_rows(&mut self, pattern: &Pattern, scale: f64) -> Result<(), EvaluationError> {
        for at in 0..self.totals.len() {
            let row = &self.rates[pattern.out.range(at)];
            self.totals[at] = row.iter().fold(self.exits[at], |sum, rate| sum + rate);
        }
        let loss = self.kept_back();
        if loss > 0.0 {
            for &(at, form) in &pattern.back_forms {
                self.totals[at as usize] += loss * self.values[form as usize];
            }
        }
        if let Some(at) = self.totals.iter().position(|total| !total.is_finite()) {
            return Err(self.plan.out_of_range(pattern.vertices[at]));
        }
        if !self.plan.is_discrete() {
            return Ok(());
        }
        self.divisors.copy_from_slice(&self.totals);
        for back in &pattern.stays {
            self.divisors[back.at as usize] += scale * back.probability * self.values[back.form as usize];
        }
        for at in 0..self.totals.len() {
            let divisor = self.divisors[at];
            if divisor > 0.0 {
                for rate in &mut self.rates[pattern.out.range(at)] {
                    *rate /= divisor;
                }
                self.exits[at] /= divisor;
                self.totals[at] /= divisor;
            }
        }
        Ok(())
    }

    /// Whether a position can be absorbed from at some θ.
    pub(crate) fn has_exit(&self, at: usize) -> bool {
        self.exits[at] > 0.0 || !self.plan.is_zero_form(self.pattern.exit_forms[at])
    }

    /// Rate of being lost on the way back through the start, for the positions that lead there: continuous time only.
    pub(crate) fn losses(&self) -> impl Iterator<Item = (u32, f64)> + '_ {
        let share = self.kept_back();
        self.pattern.back_forms.iter().map(move |&(at, form)| (at, share * self.values[form as usize]))
    }

    /// Adds to `gradient` what slopes with respect to weights mean for θ: of edges, by entry of `pattern().out`; of exits,
    /// losses and stays, by position. In continuous time a stay is no event, and its slopes may be empty.
    pub(crate) fn pull_back(&self, [slopes, exits, losses, stays]: [&[f64]; 4], gradient: &mut [f64]) {
        let pattern = &self.pattern;
        let mut forms = vec![0.0; self.values.len()];
        let direct = pattern.forms.iter().zip(slopes).filter(|&(&form, _)| form != NO_FORM);
        for (&form, &slope) in direct.chain(pattern.exit_forms.iter().zip(exits)) {
            forms[form as usize] += slope;
        }
        let scale = self.return_scale();
        for (returns, slopes) in [(&pattern.returns, slopes), (&pattern.exit_returns, exits)] {
            for back in returns {
                forms[back.form as usize] += scale * back.probability * slopes[back.at as usize];
            }
        }
        for back in pattern.stays.iter().filter(|_| !stays.is_empty()) {
            forms[back.form as usize] += scale * back.probability * stays[back.at as usize];
        }
        for &(at, form) in &pattern.back_forms {
            forms[form as usize] += self.kept_back() * losses[at as usize];
        }
        self.plan.pull_back_forms(&forms, gradient);
    }

    /// What the weights of each row were divided by, in discrete time.
    pub(crate) fn divisors(&self) -> &[f64] {
        &self.divisors
    }

    /// The plan this is the process of.
    pub(crate) fn plan(&self) -> &'p Plan {
        self.plan
    }

    /// θ.
    pub(crate) fn theta(&self) -> &[f64] {
        &self.theta[..self.plan.param_length()]
    }

    /// Whether steps are jumps.
    pub(crate) fn is_discrete(&self) -> bool {
        self.plan.is_discrete()
    }

    /// Transient positions; the start is not one of them.
    pub(crate) fn len(&self) -> usize {
        self.totals.len()
    }

    /// The pattern of the rates, and the graph's vertices by position.
    pub(crate) fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// Rates by entry of `pattern().out`.
    pub(crate) fn rates(&self) -> &[f64] {
        &self.rates
    }

    /// Rates by slot of `pattern().slices`: the transpose.
    pub(super) fn slice_rates(&self) -> &SliceRates {
        &self.slice_rates
    }

    /// Rate into absorption by position.
    pub(crate) fn exits(&self) -> &[f64] {
        &self.exits
    }

    /// Rate of leaving by position, absorption included. In discrete time at most 1; the rest is the probability to stay.
    pub(crate) fn totals(&self) -> &[f64] {
        &self.totals
    }

    /// The probability to stay by position, in discrete time: what returns through the start to where it came from, and
    /// all of what has no weight at θ. The rounding of row sums is no stay.
    pub(crate) fn stays(&self) -> Vec<f64> {
        let mut stays = vec![0.0; self.totals.len()];
        let scale = self.return_scale();
        for back in &self.pattern.stays {
            let at = back.at as usize;
            let weight = scale * back.probability * self.values[back.form as usize];
            if weight > 0.0 {
                stays[at] += weight / self.divisors[at];
            }
        }
        for (stay, _) in stays.iter_mut().zip(&self.totals).filter(|&(_, &total)| total == 0.0) {
            *stay = 1.0;
        }
        stays
    }

    /// Positive initial probabilities by position.
    pub(crate) fn start(&self) -> &[(u32, f64)] {
        &self.start
    }

    /// Probability of being absorbed at time 0.
    pub(crate) fn atom(&self) -> f64 {
        self.atom
    }

    /// All that starts: initial probabilities and the atom.
    pub(crate) fn mass(&self) -> f64 {
        self.start.iter().fold(self.atom, |sum, &(_, probability)| sum + probability)
    }

    /// What initial probabilities lack to one, where that counts as never starting; less than 1e-14 is rounding.
    pub(crate) fn kept_back(&self) -> f64 {
        if self.choice != Start::AsGiven {
            return 0.0;
        }
        // The sum is rounded once, and what it lacks not at all.
        let starts = self.start.iter().map(|&(_, probability)| probability).chain([self.atom]);
        let lacking = starts.fold(Dd::from(1.0), |left, probability| left - Dd::from(probability)).0;
        if lacking > DEFECT { lacking } else { 0.0 }
    }

    /// What totals conditional on starting are to be multiplied by: 1, unless initial probabilities sum to more.
    pub(crate) fn surplus(&self) -> f64 {
        if self.choice == Start::AsGiven { self.mass().max(1.0) } else { 1.0 }
    }

    /// Writes by-position values to their vertices in a vector of graph length; other entries are left alone.
    pub(crate) fn scatter(&self, by_position: &[f64], by_vertex: &mut [f64]) {
        for (&vertex, &value) in self.pattern.vertices.iter().zip(by_position) {
            by_vertex[vertex as usize] = value;
        }
    }
}

impl Pattern {
    fn initial_sum(&self, values: &[f64]) -> f64 {
        let sum = self.start_forms.iter().map(|&(_, form)| values[form as usize]).sum::<f64>();
        sum + values[self.start_exit_form as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::plan;
    use super::Start;
    use crate::graph::{GraphBuilder, Rate, START};
    use crate::plan::Plan;

    /// Started in several vertices alike, from each of which it returns to the start at the first rate and ends at the second.
    fn returning(starts: &[f64], back: f64, exit: f64) -> Plan {
        let mut builder = GraphBuilder::new(1).unwrap();
        let end = builder.add_vertex(&[0]).unwrap();
        for (&probability, state) in starts.iter().zip(1..) {
            let vertex = builder.add_vertex(&[state]).unwrap();
            builder.add_edge(START, vertex, Rate::Scalar(probability)).unwrap();
            builder.add_edge(vertex, START, Rate::Scalar(back)).unwrap();
            builder.add_edge(vertex, end, Rate::Scalar(exit)).unwrap();
        }
        plan(&builder.finish())
    }

    #[test]
    fn nothing_is_lost_by_rounding_on_the_way_back_through_the_start() {
        let nearly_one = 1.0 - f64::EPSILON / 2.0;
        let models: [(&[f64], f64, f64, Start); 6] = [
            (&[0.36], 1e6, 1e-3, Start::Conditional),
            (&[1e-9], 1e8, 3e-4, Start::Conditional),
            (&[0.1, 0.23, 0.07], 1e5, 1e-3, Start::Conditional),
            (&[nearly_one], 1e6, 1e-3, Start::AsGiven),
            (&[nearly_one], 1e6, 1e-3, Start::Conditional),
            (&[0.1; 10], 1e5, 1e-3, Start::AsGiven),
        ];
        for (starts, back, exit, start) in models {
            let plan = returning(starts, back, exit);
            let distribution = plan.distribution(&[1.0]).unwrap().start(start).unwrap();
            for share in [0.3, 1.0, 30.0] {
                let (found, wanted) = (distribution.survival(&[share / exit]).unwrap()[0], (-share).exp());
                assert!((found / wanted - 1.0).abs() < 1e-12, "{starts:?} {start:?}: {found:e} {wanted:e}");
            }
        }
    }
}
