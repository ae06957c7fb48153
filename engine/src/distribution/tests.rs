use super::*;
use crate::graph::{Graph, GraphBuilder, Rate, START};
use crate::plan::{Limits, Plan};

pub(super) fn plan(graph: &Graph) -> Plan {
    Plan::analyze(graph, &Limits::default()).unwrap()
}

/// `phases` phases of rate θ₀ in a row.
pub(super) fn erlang(phases: i32) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for phase in 1..=phases + 1 {
        builder.add_vertex(&[phase]).unwrap();
    }
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    for phase in 1..=phases.cast_unsigned() {
        builder.add_edge(phase, phase + 1, Rate::Coefficients(&[1.0])).unwrap();
    }
    builder.finish()
}

#[test]
fn the_200th_moment_of_a_short_exponential_time_needs_no_200_factorial() {
    let plan = plan(&erlang(1));
    let moments = plan.distribution(&[100.0]).unwrap().moments(200).unwrap();
    // k!/100^k: 200! is about 7.9e374.
    let logarithm = (1..=200).map(|k| f64::from(k) / 100.0).map(f64::ln).sum::<f64>();
    assert!((moments[199].ln() - logarithm).abs() < 1e-11, "{}", moments[199]);
    let error = plan.distribution(&[1.0]).unwrap().moments(171).unwrap_err();
    assert_eq!(error, DistributionError::MomentRange { order: 171 });
}

#[test]
fn a_covariance_matrix_has_variances_on_its_diagonal() {
    let plan = plan(&erlang(3));
    let distribution = plan.distribution(&[2.0]).unwrap();
    let rewards = [vec![1.0; 5], vec![0.0, 1.0, 0.0, 0.0, 0.0], vec![0.0, 0.0, 0.0, 3.0, 0.0]];
    let matrix = distribution.covariance_matrix(&rewards).unwrap();
    assert!((matrix[[0, 0]] - distribution.variance().unwrap()).abs() < 1e-15);
    assert!((matrix[[0, 1]] - 0.25).abs() < 1e-15 && matrix[[1, 2]].abs() < 1e-15);
    assert!(
        (distribution.correlation(&rewards[0], &rewards[1]).unwrap() - (1.0_f64 / 3.0).sqrt()).abs() < 1e-15
    );
    let error = distribution.correlation(&rewards[0], &[0.0; 5]).unwrap_err();
    assert_eq!(error, DistributionError::NoVariance { index: 1 });
}
