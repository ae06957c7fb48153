//! The public workloads through plans: the recorded reference moments, and the same in twice the precision.

#[path = "../../benches/workloads/mod.rs"]
#[allow(dead_code, reason = "benches also eliminate them")]
mod public;

use super::graphs::plan;
use super::number::{Double2, Number};
use super::solver::{Solver, weights};
use public::{Workload, build, names};

fn all() -> impl Iterator<Item = Workload> {
    names().into_iter().map(|(name, n)| build(&name, n).unwrap())
}

#[test]
fn every_public_workload_has_its_reference_moments() {
    let mut count = 0;
    for workload in all() {
        let moments = plan(&workload.graph).at(&workload.theta).unwrap().moments(4).unwrap();
        assert_eq!(workload.moments.len(), 4);
        for (found, wanted) in moments.iter().zip(&workload.moments) {
            let error = (found - wanted).abs() / wanted;
            // The file allows 1e-9; its numbers are good to 5e-13 (mm1k 3000), by the test below.
            assert!(error <= 1e-12, "{} {}: {found}, not {wanted}: {error:e}", workload.name, workload.n);
        }
        count += 1;
    }
    assert_eq!(count, 27);
}

#[test]
fn moments_of_the_public_workloads_have_thirteen_digits() {
    for workload in all() {
        let (graph, theta) = (&workload.graph, &workload.theta);
        let ones = vec![1.0; graph.vertex_count() as usize];
        let exact = Solver::new(graph, &weights(graph, theta));
        let (moments, variance) = (exact.moments(&ones, 4), exact.covariance(&ones, &ones));
        let plan = plan(graph);
        let at = plan.at(theta).unwrap();
        let found = at.moments(4).unwrap().into_iter().chain([at.variance()]);
        for (found, exact) in found.zip(moments.into_iter().chain([variance])) {
            let error = ((Double2::new(found) - exact) / exact).high.abs();
            assert!(error <= 1e-13, "{} {}: {found}: {error:e}", workload.name, workload.n);
        }
    }
}
