//! A plan at many θ: sixteen side by side, blocks spread over threads.
//!
//! Every result is bit for bit that of [`Plan::at`], whatever the number of threads and the machine's vector width.

use ndarray::{Array2, ArrayView2, Axis};
use pulp::{Arch, NullaryFnOnce};
use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use super::at::check_moment_count;
use super::bounds::Earned;
use super::kernel::Outcome;
use super::sharing::share;
use super::workspace::{WIDTH, Workspace};
use super::{At, BatchError, EvaluationError, Plan};

/// Many parameter vectors, and what to ask of them.
#[derive(Debug, Clone)]
pub struct Batch<'p, 't> {
    plan: &'p Plan,
    thetas: ArrayView2<'t, f64>,
    rewards: Cow<'p, [f64]>,
    rewarded: bool,
    earned: Earned,
    parallel: bool,
    kept: Option<&'p Kept>,
}

/// Workspaces that are not in use.
type Kept = Mutex<Vec<Workspace>>;

/// Batches of one plan after the other, which share their workspaces: each thread's is made once.
///
/// ```
/// use ndarray::array;
/// use phasic_engine::graph::GraphLimits;
/// use phasic_engine::plan::{Limits, Plan};
///
/// let graph = phasic_engine::reference::computes()[0].build(&GraphLimits::default())?;
/// let plan = Plan::analyze(&graph, &Limits::default())?;
/// let batches = plan.batches();
/// for rate in [1.0, 2.0, 4.0] {
///     assert_eq!(batches.batch(&array![[rate]].view())?.expectation()?, [1.6 / rate]);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Batches<'p> {
    plan: &'p Plan,
    /// Ones by position, 0 at the start.
    unit: Vec<f64>,
    kept: Kept,
}

impl Batches<'_> {
    /// As [`Plan::batch`]. Beside its result and what those θ take that fail or need more than plain numbers, a batch
    /// allocates nothing that one before it with as many moments had, but a few words for each further thread and the
    /// workspace of a thread that came too late for work before.
    ///
    /// # Errors
    /// As [`Plan::batch`].
    pub fn batch<'t>(&self, thetas: &ArrayView2<'t, f64>) -> Result<Batch<'_, 't>, EvaluationError> {
        let batch = Batch::new(self.plan, thetas, Cow::Borrowed(&self.unit[..]))?;
        Ok(Batch { kept: Some(&self.kept), ..batch })
    }
}

impl Plan {
    /// A batch of parameter vectors, one a row.
    ///
    /// Runs on all threads of the current rayon pool unless told otherwise.
    ///
    /// # Errors
    /// [`EvaluationError::ThetaLength`] when rows do not have one number per parameter.
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
    /// assert_eq!(plan.batch(&thetas.view())?.expectation()?, [1.0, 0.5, 0.25]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn batch<'t>(&self, thetas: &ArrayView2<'t, f64>) -> Result<Batch<'_, 't>, EvaluationError> {
        Batch::new(self, thetas, Cow::Owned(self.rewards(None)))
    }

    /// Many batches one after the other, without workspaces anew for each.
    pub fn batches(&self) -> Batches<'_> {
        Batches { plan: self, unit: self.rewards(None), kept: Mutex::default() }
    }
}

impl<'p, 't> Batch<'p, 't> {
    fn new(
        plan: &'p Plan,
        thetas: &ArrayView2<'t, f64>,
        rewards: Cow<'p, [f64]>,
    ) -> Result<Self, EvaluationError> {
        let (expected, found) = (plan.param_length(), thetas.ncols());
        if found != expected {
            return Err(EvaluationError::ThetaLength { expected, found });
        }
        Ok(Self {
            plan,
            thetas: *thetas,
            rewards,
            rewarded: false,
            earned: Earned::TIMES,
            parallel: true,
            kept: None,
        })
    }

    /// A workspace that is free, or a new one.
    fn take(&self, count: usize) -> Workspace {
        let kept = self.kept.and_then(|kept| kept.lock().unwrap_or_else(PoisonError::into_inner).pop());
        match kept.filter(|workspace| workspace.long == Workspace::is_long(count)) {
            Some(mut workspace) => {
                workspace.powers.resize(count, self.plan.vertices.len());
                workspace
            }
            None => Workspace::new(self.plan, count),
        }
    }

    fn give_back(&self, workspace: Workspace) {
        if let Some(kept) = self.kept {
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(workspace);
        }
    }

    /// Asks for totals under a reward vector instead of times.
    ///
    /// # Errors
    /// [`EvaluationError::RewardLength`], [`EvaluationError::RewardNotFinite`].
    pub fn rewarded(mut self, rewards: &[f64]) -> Result<Self, EvaluationError> {
        self.plan.check_rewards(rewards)?;
        self.rewards = Cow::Owned(self.plan.rewards(Some(rewards)));
        self.rewarded = true;
        self.earned = Earned::new(&self.rewards);
        Ok(self)
    }

    /// Whether to use the threads of the current rayon pool; results do not depend on it.
    #[must_use]
    pub fn parallel(mut self, parallel: bool) -> Self {
        self.parallel = parallel;
        self
    }

    /// Expectations, one for each θ.
    ///
    /// # Errors
    /// [`BatchError`] for the first θ without a number.
    pub fn expectation(&self) -> Result<Vec<f64>, BatchError> {
        Ok(self.moments(1)?.into_raw_vec_and_offset().0)
    }

    /// The first `count` raw moments, a row for each θ.
    ///
    /// One elimination and `count` solves per sixteen θ, and one more solve where a way may pass more than 4,096 vertices
    /// one after another. Those θ at which so many are passed, or numbers may leave the range of f64, are then taken one
    /// by one, as [`At`] does; so are all sixteen if one of them has no moments.
    ///
    /// Memory is a workspace per thread: 128 bytes for each factor of the largest component, and for each position and
    /// moment, and twice that for each position where steps are counted; beyond the first, room for moments comes by fours.
    /// Of more than eight moments only the last eight are held, and the factors of all components. θ taken one by one
    /// have an [`At`] beside it, one for each thread.
    ///
    /// # Errors
    /// [`BatchError`] for the first θ without a number; for the first of all with [`EvaluationError::MomentCount`] for more
    /// than 1,000.
    pub fn moments(&self, count: usize) -> Result<Array2<f64>, BatchError> {
        check_moment_count(count).map_err(|source| BatchError { index: 0, source })?;
        let mut moments = Array2::zeros((self.thetas.nrows(), count));
        if count == 0 {
            // Nothing to work out, but every θ must have moments.
            self.moments(1)?;
        }
        let Some(numbers) = moments.as_slice_mut().filter(|_| count > 0) else { return Ok(moments) };
        let threads = if self.parallel { rayon::current_num_threads() } else { 1 };
        share(numbers, WIDTH * count, threads, |blocks| {
            let (mut space, mut alone) = (self.take(count), None);
            let done = blocks.map(|(place, out)| {
                let (space, alone, first) = (&mut space, &mut alone, place * WIDTH);
                Arch::new().dispatch(Pass { batch: self, space, alone, first, count, out })
            });
            let done = done.collect();
            self.give_back(space);
            done
        })?;
        Ok(moments)
    }

    /// The slow way for θ of which one has no number, or not at once: says which and why.
    fn one_by_one(
        &self,
        alone: &mut Option<At<'p>>,
        first: usize,
        count: usize,
        out: &mut [f64],
    ) -> Result<(), BatchError> {
        for (index, out) in (first..).zip(out.chunks_mut(count)) {
            let theta = self.thetas.index_axis(Axis(0), index).to_vec();
            let at = self.at(alone, &theta).map_err(|source| BatchError { index, source })?;
            if self.rewarded {
                at.raw_moments(&self.rewards, out);
            } else {
                at.moments_into(out);
            }
        }
        Ok(())
    }

    /// The plan at θ, where it was at another before if there was one.
    fn at<'a>(&self, alone: &'a mut Option<At<'p>>, theta: &[f64]) -> Result<&'a At<'p>, EvaluationError> {
        let at = match alone.take() {
            Some(mut at) => at.set(theta).map(|()| at),
            None => self.plan.at(theta),
        };
        Ok(alone.insert(at?))
    }
}

/// One pass over the plan as a task for the widest instruction set the machine has. A type rather than a closure:
/// closures cannot be made to inline, and what is not inlined is compiled for the narrowest.
struct Pass<'a, 'p, 't> {
    batch: &'a Batch<'p, 't>,
    space: &'a mut Workspace,
    /// For θ taken one by one.
    alone: &'a mut Option<At<'p>>,
    /// Row of the first θ.
    first: usize,
    count: usize,
    /// `count` moments for each θ.
    out: &'a mut [f64],
}

impl NullaryFnOnce for Pass<'_, '_, '_> {
    type Output = Result<(), BatchError>;

    #[inline(always)]
    fn call(self) -> Result<(), BatchError> {
        let Self { batch, space, alone, first, count, out } = self;
        let plan = batch.plan;
        let rows = out.len() / count;
        // A parameter of no edge leaves no trace in the weights.
        let mut finite = true;
        for lane in 0..WIDTH {
            // Spare lanes repeat the last row.
            let theta = batch.thetas.index_axis(Axis(0), first + lane.min(rows - 1));
            for (slot, &value) in space.factors.theta.iter_mut().zip(theta) {
                slot.0[lane] = value;
                finite &= value.is_finite();
            }
        }
        if !finite {
            return batch.one_by_one(alone, first, count, out);
        }
        space.factors.begin();
        if space.long {
            for segment in &plan.schedule.segments {
                space.factors.eliminate(plan, segment);
            }
            space.factors.solve_long_powers(plan, space.start, &batch.rewards, &mut space.powers);
            plan.schedule.segments.iter().for_each(|segment| space.count_steps(plan, segment));
        } else {
            for segment in &plan.schedule.segments {
                space.factors.eliminate(plan, segment);
                space.factors.solve_powers(plan, segment, &batch.rewards, &mut space.powers);
                space.count_steps(plan, segment);
            }
            space.powers.note_all(space.start);
        }
        if space.factors.outcome() != Outcome::Good {
            return batch.one_by_one(alone, first, count, out);
        }
        for (number, x) in space.powers.at_start().iter().enumerate() {
            for lane in 0..rows {
                out[lane * count + number] = x.0[lane];
            }
        }
        if space.is_sure(plan, batch.earned) {
            return Ok(());
        }
        let sure = space.sure_lanes(plan, batch.earned, batch.rewarded);
        for (lane, out) in out.chunks_mut(count).enumerate().filter(|&(lane, _)| !sure[lane]) {
            batch.one_by_one(alone, first + lane, count, out)?;
        }
        Ok(())
    }
}
