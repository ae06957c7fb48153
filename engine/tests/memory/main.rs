//! What the library promises about memory, measured by an allocator that counts.
//!
//! One test, so that nothing else allocates meanwhile.
#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a test may fail loudly"
)]

mod graphs;

use graphs::{dense, groups, leaking_path, row, strip, torus};
use peak_alloc::PeakAlloc;
use phasic_engine::artifact::{Checks, decode, encode_ptdprmc3};
use phasic_engine::distribution::Epochs;
use phasic_engine::graph::{Graph, GraphBuilder, Rate, START};
use phasic_engine::plan::{self, Plan};
use phasic_engine::trace::{EliminationError, Limits, eliminate, forecast};
use sha2::Digest;

#[global_allocator]
static COUNTING: PeakAlloc = PeakAlloc;

/// Most bytes that were allocated at one time during `run`, beyond those before it.
fn peak_bytes<T>(run: impl FnOnce() -> T) -> (u64, T) {
    let before = COUNTING.current_usage();
    COUNTING.reset_peak_usage();
    let result = run();
    ((COUNTING.peak_usage() - before) as u64, result)
}

#[test]
fn memory_stays_within_what_is_promised() {
    a_million_edges_take_at_most_64_mb_beyond_their_coefficients();
    eliminations_stay_within_their_budget();
    decoding_allocates_at_most_twice_the_file();
    analyses_stay_within_their_budget();
    long_rows_stay_within_the_budget();
    hostile_plan_files_stay_within_their_budget();
    plans_take_the_memory_that_they_forecast();
    numbers_of_more_digits_take_at_most_thrice_as_much_again();
    batches_that_share_workspaces_allocate_their_results_only();
    very_many_moments_take_no_more_room_than_eight();
    moments_and_their_gradients_take_no_more_than_is_forecast();
    moments_made_of_all_before_them_take_what_is_forecast();
    // Last, for its threads allocate when they end, which nobody can wait for.
    replays_of_a_plan_allocate_nothing();
}

fn analyses_stay_within_their_budget() {
    // The last is dissected.
    for graph in [dense(120), strip(5000), torus(60)] {
        let hash = graph.content_hash();
        let (whole, plan) = peak_bytes(|| Plan::analyze(&graph, &plan::Limits::default()).unwrap());
        let file = plan.encode(&hash);
        drop(plan);
        for budget in [whole / 8, whole / 2, whole, 2 * whole, 4 * whole, 16 * whole] {
            let limits = plan::Limits::default().with_memory_bytes(budget);
            // The analysis, and then a program from it: the budget once for each.
            let (peak, made) = peak_bytes(|| Plan::analyze(&graph, &limits).map(drop));
            assert!(peak <= budget + 4096, "analysis: budget {budget}, peak {peak}");
            assert!(made.is_ok() || budget < 4 * whole, "{made:?}");
            let (peak, made) = peak_bytes(|| plan::lower(&graph, &limits).map(drop));
            assert!(peak <= 2 * budget + 4096, "lowering: budget {budget}, peak {peak}");
            assert!(matches!(made, Ok(()) | Err(plan::AnalysisError::Memory { .. })), "{made:?}");
            let (peak, _) = peak_bytes(|| Plan::decode(&file, &limits).map(drop));
            assert!(peak <= budget + 4096, "reading: budget {budget}, peak {peak}");
        }
    }
}

/// Rows that fill nothing in, above factors that take nearly all there is.
fn long_rows_stay_within_the_budget() {
    let graph = graphs::sides(200, 60, 3000);
    let (whole, _) = peak_bytes(|| Plan::analyze(&graph, &plan::Limits::default()).map(drop));
    for fortieths in 40..120 {
        let budget = whole * fortieths / 40;
        let limits = plan::Limits::default().with_memory_bytes(budget);
        let (peak, _) = peak_bytes(|| Plan::analyze(&graph, &limits).map(drop));
        assert!(peak <= budget + 4096, "budget {budget}, peak {peak}");
    }
}

/// A plan file with a right checksum, of vertices that lead nowhere, in blocks of these lengths: twice the length, and one
/// more for cycles.
fn plan_file(vertices: u64, blocks: &[u64]) -> Vec<u8> {
    let mut file = b"PHPLAN02".to_vec();
    file.extend([7; 32]);
    let mut put = |mut value: u64| {
        while value >= 0x80 {
            file.push(value as u8 | 0x80);
            value >>= 7;
        }
        file.push(value as u8);
    };
    [vertices, 0, 0, vertices].into_iter().for_each(&mut put);
    // Each by how much it exceeds the last but one: 0, 1, then twos; signs are in the lowest bit.
    (0..vertices).for_each(|vertex| put(2 * vertex.min(2)));
    [0, blocks.len() as u64].into_iter().for_each(&mut put);
    blocks.iter().copied().for_each(&mut put);
    // One form, which is 0; no further terms. Then no outer and no inner edge, and the exit: new, then the last.
    [1, 1, 0, 1, 0].into_iter().for_each(&mut put);
    (0..vertices).flat_map(|vertex| [0, 0, vertex.min(1)]).for_each(&mut put);
    // No watched forms.
    put(0);
    let checksum = sha2::Sha256::digest(&file);
    file.extend(checksum);
    file
}

fn hostile_plan_files_stay_within_their_budget() {
    let count = 30_000;
    let singles = plan_file(count, &[2 * count]);
    assert!(Plan::decode(&singles, &plan::Limits::default()).is_ok(), "the file is as described");
    let empty: Vec<u64> =
        [2, 2 * count - 2].into_iter().chain((0..20 * count).map(|block| block % 2)).collect();
    let refused = [
        plan_file(count, &empty),
        plan_file(count, &vec![2; count as usize]),
        plan_file(count, &vec![3; count as usize]),
        plan_file(count, &[4, 2, 2 * count - 6]),
        plan_file(count, &[2 * count, 1]),
        plan_file(count, &[2 * count + 1, 2]),
    ];
    for file in &refused {
        let (peak, read) = peak_bytes(|| Plan::decode(file, &plan::Limits::default()).map(drop));
        assert!(matches!(read, Err(plan::PlanFileError::OutOfRange { what: "block", .. })), "{read:?}");
        assert!(peak <= 24 * file.len() as u64, "{peak} bytes for {} of a file", file.len());
    }
    // As many segments as there can be; nothing in a file says whether a component is strongly connected.
    let alternating: Vec<u64> = (0..count / 3).flat_map(|_| [5, 2]).collect();
    let pairs = vec![5; count as usize / 2];
    for file in [singles, plan_file(count, &alternating), plan_file(count, &pairs)] {
        for budget in [8, 16, 23, 25, 32].map(|bytes| bytes * file.len() as u64) {
            let limits = plan::Limits::default().with_memory_bytes(budget);
            let (peak, read) = peak_bytes(|| Plan::decode(&file, &limits).map(drop));
            assert!(peak <= budget + 4096, "budget {budget}, peak {peak}");
            assert_eq!(read.is_ok(), budget > 24 * file.len() as u64, "{read:?}");
        }
    }
}

fn plans_take_the_memory_that_they_forecast() {
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    // One of them is large enough for several threads.
    let graphs =
        [dense(40), dense(40).discretize(0.1).unwrap(), strip(500), leaking_path(5_000), groups(120)];
    for graph in graphs {
        let (_, plan) = peak_bytes(|| Plan::analyze(&graph, &plan::Limits::default()).unwrap());
        let (cost, before) = (plan.cost(), COUNTING.current_usage());
        let copy = plan.clone();
        assert_eq!((COUNTING.current_usage() - before) as u64, cost.plan_bytes, "a copy has no spare room");
        drop(copy);
        drop(plan);
        assert_eq!((before - COUNTING.current_usage()) as u64, cost.plan_bytes, "nor has the plan");
        let plan = Plan::analyze(&graph, &plan::Limits::default()).unwrap();
        let theta = vec![1.0; plan.param_length()];
        let (peak, _) = alone.install(|| peak_bytes(|| plan.at(&theta).unwrap().expectation()));
        assert_eq!(peak, cost.workspace_bytes);
        let thetas = ndarray::Array2::ones((40, theta.len()));
        let batch = plan.batch(&thetas.view()).unwrap().parallel(false);
        let (peak, _) = peak_bytes(|| batch.expectation().unwrap());
        // And as many expectations, of which one may be looked at more closely.
        let beside = peak.checked_sub(cost.batch_workspace_bytes).unwrap();
        assert!(beside == 8 * 40 || beside == 8 * 41, "{beside}");
        let file = plan.encode(&graph.content_hash());
        drop(plan);
        let (_, read) = Plan::decode(&file, &plan::Limits::default()).unwrap();
        assert_eq!(read.cost(), cost);
        let before = COUNTING.current_usage();
        drop(read);
        // And an empty list of states, with its counts.
        let states = size_of::<Vec<i32>>() + 2 * size_of::<usize>();
        assert_eq!((before - COUNTING.current_usage()) as u64, cost.plan_bytes + states as u64);
    }
    // A thread that ends allocates when nobody waits for it.
    std::mem::forget(alone);
}

fn numbers_of_more_digits_take_at_most_thrice_as_much_again() {
    // So long that roundings of plain numbers would add up.
    let plan = Plan::analyze(&strip(5000), &plan::Limits::default()).unwrap();
    let (cost, theta) = (plan.cost(), [1.0]);
    let (peak, _) = peak_bytes(|| plan.at(&theta).unwrap().expectation());
    assert!((cost.workspace_bytes + 1..=4 * cost.workspace_bytes).contains(&peak), "{peak} {cost:?}");
    let thetas = ndarray::Array2::ones((16, 1));
    let (peak, _) = peak_bytes(|| plan.batch(&thetas.view()).unwrap().parallel(false).expectation().unwrap());
    assert!(peak <= cost.batch_workspace_bytes + 4 * cost.workspace_bytes, "{peak} {cost:?}");
}

fn replays_of_a_plan_allocate_nothing() {
    let graphs = [dense(40), dense(40).discretize(0.1).unwrap(), row(5000, 1.0, 0.0), row(5000, 0.0, 1.0)];
    for graph in graphs {
        replays_allocate_nothing(&graph);
    }
    let graph = groups(120);
    let threads = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    // A thread's first look at the work of others takes room for as long as it lives, and may come late.
    threads.broadcast(|_| ());
    threads.install(|| replays_allocate_nothing(&graph));
}

fn replays_allocate_nothing(graph: &Graph) {
    let plan = Plan::analyze(graph, &plan::Limits::default()).unwrap();
    let mut theta = vec![1.0; plan.param_length()];
    let mut at = plan.at(&theta).unwrap();
    let rewards: Vec<f64> = (0..graph.vertex_count()).map(|vertex| f64::from(vertex % 3)).collect();
    let mut moments = [0.0; 4];
    let mut ask = || {
        theta[0] += 0.1;
        at.set(&theta).unwrap();
        at.moments_into(&mut moments);
        assert_eq!(at.expectation(), moments[0]);
        moments[3]
    };
    ask();
    let (peak, fourth) = peak_bytes(|| (0..100).map(|_| ask()).sum::<f64>());
    assert!(fourth > 0.0 && peak == 0, "{peak} bytes");
    let total = at.rewarded(&rewards).unwrap();
    let (peak, ()) = peak_bytes(|| total.moments_into(&mut moments));
    assert_eq!(peak, 0);
}

fn batches_that_share_workspaces_allocate_their_results_only() {
    let plan = Plan::analyze(&dense(40), &plan::Limits::default()).unwrap();
    let thetas = ndarray::Array2::from_shape_fn((100, plan.param_length()), |(row, _)| 1.0 + row as f64);
    let thetas = thetas.view();
    let (own, alone) = peak_bytes(|| plan.batch(&thetas).unwrap().parallel(false).moments(2).unwrap());
    let batches = plan.batches();
    let ask = |count: usize| batches.batch(&thetas).unwrap().parallel(false).moments(count).unwrap();
    let results = |count: u64| 100 * count * 8;
    assert_eq!(ask(2), alone);
    assert_eq!(ask(1).column(0), alone.column(0));
    for count in [2, 1, 2] {
        let (peak, _) = peak_bytes(|| ask(count as usize));
        assert_eq!(peak, results(count));
    }
    assert!(own > 10 * results(2), "a batch by itself takes {own} bytes");
}

fn very_many_moments_take_no_more_room_than_eight() {
    let graph = strip(500);
    let plan = Plan::analyze(&graph, &plan::Limits::default()).unwrap();
    // So fast that even the last moment is within range.
    let theta = vec![1000.0; plan.param_length()];
    let at = plan.at(&theta).unwrap();
    let (eight, few) = peak_bytes(|| at.moments(8).unwrap());
    let (peak, many) = peak_bytes(|| at.moments(100).unwrap());
    assert_eq!(many[..8], few);
    assert!(many[99].is_normal());
    // The result, and what it is copied from.
    assert!(peak <= eight + 2 * 8 * 100, "{peak} bytes beside {eight}");
    let thetas = ndarray::Array2::from_elem((16, plan.param_length()), 1000.0);
    let ask =
        |count| peak_bytes(|| plan.batch(&thetas.view()).unwrap().parallel(false).moments(count).unwrap());
    let ((eight, _), (peak, batch)) = (ask(8), ask(100));
    assert_eq!(batch.row(15).to_vec(), many);
    // All factors instead of those of one component, and the moments of sixteen θ.
    assert!(
        peak <= eight + 16 * 8 * plan.cost().factor_entries + 3 * 16 * 8 * 100,
        "{peak} bytes beside {eight}"
    );
}

/// From each vertex to all later ones, at rates that all differ.
fn forward(vertices: u32) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..=vertices {
        builder.add_vertex(&[state.cast_signed()]).unwrap();
    }
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    for from in 1..vertices {
        for to in from + 1..=vertices {
            let mut coefficients = [0.0; 3];
            coefficients[(from + to) as usize % 3] = 1.0 + f64::from(from * vertices + to);
            builder.add_edge(from, to, Rate::Coefficients(&coefficients)).unwrap();
        }
    }
    builder.finish()
}

fn moments_and_their_gradients_take_no_more_than_is_forecast() {
    let discrete = dense(40).discretize(0.1).unwrap();
    for graph in [dense(40), discrete, strip(500), strip(5000), leaking_path(5_000), forward(400)] {
        let plan = Plan::analyze(&graph, &plan::Limits::default()).unwrap();
        let (cost, theta) = (plan.cost(), vec![1000.0; plan.param_length()]);
        let thetas = ndarray::Array2::from_elem((40, theta.len()), 1000.0);
        let rewards: Vec<f64> = (0..graph.vertex_count()).map(|vertex| f64::from(vertex % 3)).collect();
        // What is taken one by one, and all results twice.
        let beside =
            |count: usize| 4 * cost.workspace_bytes + cost.moment_bytes(count) + 2 * 8 * 40 * count as u64;
        for count in [1, 2, 4, 5, 8, 9, 30] {
            let batch = plan.batch(&thetas.view()).unwrap().parallel(false);
            let (peak, _) = peak_bytes(|| batch.rewarded(&rewards).unwrap().moments(count).unwrap());
            let most = cost.batch_moment_bytes(count) + beside(count);
            assert!(peak <= most, "{count} moments: {peak} of {most}, {cost:?}");
        }
        for power in [1, 2, 5, 20] {
            let (peak, _) = peak_bytes(|| plan.at(&theta).unwrap().moment_gradient(power).unwrap());
            let most = 4 * cost.workspace_bytes + cost.moment_gradient_bytes(power);
            assert!(peak <= most, "gradient of moment {power}: {peak} of {most}, {cost:?}");
        }
    }
}

fn moments_made_of_all_before_them_take_what_is_forecast() {
    let graph = strip(500);
    let vertices = graph.vertex_count();
    let plan = Plan::analyze(&graph, &plan::Limits::default()).unwrap();
    let theta = vec![1.0; plan.param_length()];
    let rewards = vec![1e-6; vertices as usize];
    let epochs = plan.epochs(&[1e-4], &[&theta, &theta]).unwrap();
    let of_epochs = |count: usize| peak_bytes(|| epochs.reward_moments(&rewards, count).unwrap()).0;
    let discrete = graph.discretize(0.1).unwrap();
    let plan = Plan::analyze(&discrete, &plan::Limits::default()).unwrap();
    let (theta, rewards) = (vec![1.0; plan.param_length()], vec![1e-6; discrete.vertex_count() as usize]);
    let jumps = plan.jumps(&theta).unwrap();
    let of_jumps = |count: usize| peak_bytes(|| jumps.reward_moments(&rewards, count).unwrap()).0;
    let slopes = |count: usize| peak_bytes(|| jumps.reward_moment_gradients(&rewards, count).unwrap()).0;
    let cost = plan.cost();
    // The first time there is an elimination to be kept.
    let _ = (of_jumps(2), slopes(2));
    for (what, measured, more) in [
        ("epochs", of_epochs(30) - of_epochs(2), Epochs::moment_bytes(vertices.into(), 28)),
        ("jumps", of_jumps(30) - of_jumps(2), cost.jump_moment_bytes(28)),
        ("slopes", slopes(30) - slopes(2), cost.moment_gradient_bytes(30) - cost.moment_gradient_bytes(2)),
    ] {
        assert!(measured <= more + 65_536, "{what}: {measured} of {more}");
        assert!(measured >= more / 2, "{what}: {measured} of {more}");
    }
}

fn a_million_edges_take_at_most_64_mb_beyond_their_coefficients() {
    let (vertices, per_vertex) = (250_000_u32, 4);
    let coefficient_bytes = 8 * u64::from(vertices - 8) * per_vertex;
    let (peak, graph) = peak_bytes(|| {
        let mut builder = GraphBuilder::new(1).unwrap();
        for state in 1..vertices {
            builder.add_vertex(&[state.cast_signed()]).unwrap();
        }
        for from in 1..vertices - 7 {
            for step in 1..=u32::try_from(per_vertex).unwrap() {
                builder.add_edge(from, from + step, Rate::Coefficients(&[1.0])).unwrap();
            }
        }
        builder.finish()
    });
    assert!(graph.edge_count() > 999_000);
    // While the edges are sorted by source, their coefficients are there twice.
    assert!(peak <= 64_000_000 + 2 * coefficient_bytes, "building: {peak} bytes");
    let (held, copy) = peak_bytes(|| graph.clone());
    assert_eq!(copy, graph);
    assert!(held <= 64_000_000 + coefficient_bytes, "holding: {held} bytes");
}

fn eliminations_stay_within_their_budget() {
    let graph = dense(120);
    let (whole, trace) = peak_bytes(|| eliminate(&graph, &Limits::default(), &mut ()).unwrap());
    drop(trace);
    for budget in [whole / 40, whole / 8, whole / 2, whole, 2 * whole] {
        let limits = Limits::default().with_memory_bytes(budget);
        let (peak, result) = peak_bytes(|| eliminate(&graph, &limits, &mut ()).map(drop));
        assert!(peak <= budget + 4096, "budget {budget}, peak {peak}");
        assert!(matches!(result, Ok(()) | Err(EliminationError::Memory { .. })), "{result:?}");
        let (peak, _) = peak_bytes(|| forecast(&graph, &limits, &mut ()));
        assert!(peak <= budget + 4096, "forecast: budget {budget}, peak {peak}");
    }
}

fn decoding_allocates_at_most_twice_the_file() {
    let graph = dense(30);
    let mut file = Vec::new();
    encode_ptdprmc3(&eliminate(&graph, &Limits::default(), &mut ()).unwrap(), &mut file).unwrap();
    let limit = 2 * file.len() as u64;
    let (peak, decoded) = peak_bytes(|| decode(&file, &Checks::default()).map(drop));
    assert!(decoded.is_ok() && peak <= limit, "intact: {peak} bytes");
    for magic in [b"PTDPRMC3", b"PTDPRMC1"] {
        for field in (8..56).step_by(8) {
            for value in [0, 1, 1 << 31, 1 << 32, 1 << 63, u64::MAX] {
                let mut hostile = file.clone();
                hostile[..8].copy_from_slice(magic);
                hostile[field..field + 8].copy_from_slice(&value.to_le_bytes());
                let (peak, _) = peak_bytes(|| decode(&hostile, &Checks::default()).map(drop));
                assert!(peak <= limit, "{value:#x} at byte {field}: {peak} bytes");
            }
        }
    }
}
