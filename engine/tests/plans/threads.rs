//! Numbers do not depend on the number of threads.

use super::graphs::plan;
use ndarray::Array2;
use phasic_engine::graph::{Graph, GraphBuilder, Rate, START};
use phasic_engine::plan::{EvaluationError, Plan};

/// Dense components one after the other, each left for the next at θ₁.
fn dense_components(count: u32, size: u32) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..=count * size + 1 {
        builder.add_vertex(&[state.cast_signed()]).unwrap();
    }
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    for from in 1..=count * size {
        let first = (from - 1) / size * size + 1;
        for to in (first..first + size).filter(|&to| to != from) {
            let rate = [0.1 + f64::from((7 * from + 3 * to) % 11), 0.5];
            builder.add_edge(from, to, Rate::Coefficients(&rate)).unwrap();
        }
        if from % size == 0 {
            builder.add_edge(from, from + 1, Rate::Coefficients(&[0.0, 1.0])).unwrap();
        }
    }
    builder.finish()
}

fn on_threads<T: Send>(count: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap().install(work)
}

fn numbers(plan: &Plan, theta: &[f64]) -> Result<Vec<f64>, EvaluationError> {
    let at = plan.at(theta)?;
    let lists = [at.moments(4).unwrap(), at.waiting_times(), at.sojourn_times(), at.variance_gradient()];
    Ok(lists.concat())
}

#[test]
fn one_elimination_on_several_threads_is_bit_for_bit_that_on_one() {
    let graph = dense_components(6, 90);
    let discrete = graph.discretize(0.3).unwrap();
    for (graph, theta) in [(graph, vec![1.5, 0.3]), (discrete, vec![1.5, 0.3, 2.0])] {
        let plan = plan(&graph);
        assert!(plan.cost().multiply_adds > 1 << 20, "large enough to be spread");
        let one = on_threads(1, || numbers(&plan, &theta)).unwrap();
        assert!(one.iter().all(|number| number.is_finite()));
        for threads in [2, 3, 7] {
            assert_eq!(on_threads(threads, || numbers(&plan, &theta)).unwrap(), one);
        }
    }
}

#[test]
fn errors_of_an_elimination_on_several_threads_are_those_on_one() {
    let plan = plan(&dense_components(6, 90));
    let refused = |threads, theta: &[f64]| on_threads(threads, || numbers(&plan, theta)).unwrap_err();
    for theta in [[-1.0, 1.0], [1.0, -2.0], [0.0, 0.0]] {
        assert_eq!(refused(1, &theta), refused(3, &theta));
    }
    assert!(matches!(refused(3, &[-1.0, 1.0]), EvaluationError::InvalidWeight { .. }));
    assert!(matches!(refused(3, &[0.0, 0.0]), EvaluationError::Trapped { .. }));
}

#[test]
fn a_batch_on_any_number_of_threads_is_bit_for_bit_its_single_evaluations() {
    let plan = plan(&dense_components(3, 10));
    let thetas = Array2::from_shape_fn((77, 2), |(row, column)| 0.1 + ((row * 5 + column * 3) % 17) as f64);
    let single: Vec<f64> =
        thetas.outer_iter().flat_map(|theta| plan.at(&theta.to_vec()).unwrap().moments(3).unwrap()).collect();
    for threads in [1, 2, 3, 8] {
        let moments = on_threads(threads, || plan.batch(&thetas.view()).unwrap().moments(3)).unwrap();
        assert_eq!(moments.into_raw_vec_and_offset().0, single);
    }
}
