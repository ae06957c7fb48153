//! What questions are charged, and what they may take.

use std::sync::Arc;

use phasic_engine::plan::Cost;
use phasic_hub_api::EvaluateResult;
use serde_json::{Value, json};

use super::super::QuestionError;
use super::super::purse::Purse;
use super::{erlang, evaluator, prepared, question};

#[tokio::test]
async fn a_sweep_through_time_has_its_share_of_the_work_and_no_more() {
    let evaluator = evaluator("max_multiply_adds = 20000");
    let prepared = prepared(&evaluator, json!({"builtin": "mm1k"})).await.unwrap();
    let request =
        json!({"model": {"builtin": "mm1k"}, "theta": [1000.0, 1000.0], "quantities": [{"cdf": [1e6]}]});
    let question = Arc::new(question(&prepared, request, &evaluator.limits).unwrap());
    let result = evaluator.answer(prepared, question, 0..1, |mut part| part.remove(0)).await.unwrap();
    assert!(result.error.as_ref().is_some_and(|error| error.contains("jumps allowed")), "{result:?}");
}

#[tokio::test]
async fn each_moment_across_epochs_has_its_share_of_the_work() {
    let evaluator = evaluator("");
    let prepared = prepared(&evaluator, erlang()).await.unwrap();
    let shares = |quantities: Value, rewards: Value| {
        let request = json!({"model": erlang(), "theta": [1.0], "quantities": quantities, "rewards": rewards,
            "epochs": [{"from": 1.0, "theta": [2.0]}]});
        question(&prepared, request, &evaluator.limits).unwrap().asked.treatment.max_work.unwrap()
    };
    let one = shares(json!(["expectation"]), json!([]));
    let hundred = shares(json!([{"moments": 100}]), json!([]));
    assert!((90..=100).contains(&(one / hundred)), "{one} {hundred}");
    let ones = || vec![1.0; usize::try_from(prepared.identity.vertices).unwrap()];
    let covariances = shares(json!(["covariances"]), json!([ones(), ones(), ones()]));
    assert!((16..=19).contains(&(one / covariances)), "{one} {covariances}");
}

#[tokio::test]
async fn a_question_that_has_used_up_its_time_has_no_more_answers() {
    let evaluator = evaluator("");
    let prepared = prepared(&evaluator, erlang()).await.unwrap();
    let request = json!({"model": erlang(), "theta": [[1.0], [2.0]], "quantities": ["variance"]});
    let mut question = question(&prepared, request, &evaluator.limits).unwrap();
    question.purse = Purse::new(0, 1);
    let begun = std::time::Instant::now();
    while question.purse.bill(1000).pay(|| std::hint::black_box(vec![0_u8; 1 << 16])).is_some() {
        assert!(begun.elapsed().as_secs() < 60, "a thousand threads use up a millisecond soon");
    }
    let question = Arc::new(question);
    let results = evaluator.answer(prepared, Arc::clone(&question), 0..2, |part| part).await.unwrap();
    assert_eq!(results.len(), 2);
    for result in results {
        assert!(result.values.is_none() && result.error.unwrap().contains("used up"));
    }
    assert!(question.is_spent());
}

/// A walk of two parameters over a line of positions, jump by jump or in time.
fn walk(length: u32, is_of_jumps: bool) -> Value {
    let vertices: Vec<[u32; 1]> = (0..length + 2).map(|state| [state]).collect();
    let on = (1..=length).map(|at| json!([at, at + 1, [1.0, 0.5]]));
    let back = (2..=length).map(|at| json!([at, at - 1, [0.5, 1.0]]));
    let edges: Vec<Value> = [json!([0, 1, [], 1.0])].into_iter().chain(on).chain(back).collect();
    json!({"document": {"was_dph": is_of_jumps, "parameterized": true, "param_length": 2, "state_length": 1,
        "vertices": vertices, "edges": edges}})
}

/// Multiply-adds that moments of a total on that walk are charged for, and what its plan costs.
async fn charged(is_of_jumps: bool, count: u64, gradients: bool) -> (u64, Cost) {
    let (evaluator, model) = (evaluator(""), walk(400, is_of_jumps));
    let prepared = prepared(&evaluator, model.clone()).await.unwrap();
    let rewards = vec![1.0; usize::try_from(prepared.identity.vertices).unwrap()];
    let request = json!({"model": model, "theta": [1.0, 1.0], "quantities": [{"moments": count}],
        "rewards": [rewards], "gradients": gradients});
    let question = question(&prepared, request, &evaluator.limits).unwrap();
    (question.effort.multiply_adds, prepared.plan.cost())
}

#[tokio::test]
async fn moments_of_jumps_are_charged_for_the_numbers_they_take() {
    // What a multiply-add takes in plain ones: of numbers with an exponent beside them, and of those with twice the digits, too.
    const IN_PLAIN_ONES: [u64; 2] = [16, 32];
    for (count, gradients) in [(300, false), (2, true), (20, true)] {
        let ((found, cost), (plain, _)) =
            (charged(true, count, gradients).await, charged(false, count, gradients).await);
        let [mut scaled, mut wide] = [0; 2];
        for order in 1..=count {
            for _ in 1..=order {
                // Each moment is made of all those before it.
                scaled += cost.vertices;
                // So is each adjoint; and each slope, by every way, of what its two ends have of all of them.
                wide += 2 * cost.vertices + 3 * cost.edges;
            }
            // Two solves for each.
            wide += 2 * (cost.factor_entries + cost.edges);
        }
        wide += cost.multiply_adds;
        let numbers = scaled * IN_PLAIN_ONES[0] + if gradients { wide * IN_PLAIN_ONES[1] } else { 0 };
        let is_near = (numbers / 2..2 * numbers + plain).contains(&found);
        assert!(is_near, "{count} moments: {found} multiply-adds are charged, and {numbers} were counted");
    }
}

#[tokio::test]
async fn moments_that_are_made_of_all_before_them_are_held_against_the_memory_there_is() {
    let refusal = async |model: Value, of: Value, most: u64| {
        let evaluator = evaluator(&format!("max_workspace_bytes = {most}"));
        let prepared = prepared(&evaluator, model.clone()).await.unwrap();
        let mut request = json!({"model": model, "theta": [1.0, 1.0]});
        request.as_object_mut().unwrap().extend(of.as_object().unwrap().clone());
        match question(&prepared, request, &evaluator.limits) {
            Ok(_) => None,
            Err(QuestionError::TooLarge(text)) => Some(text),
            Err(other) => panic!("{other:?}"),
        }
    };
    let hundred = json!({"quantities": [{"moments": 100}]});
    let epochs = json!([{"from": 1.0, "theta": [2.0, 2.0]}]);
    let changing = json!({"quantities": [{"moments": 100}], "epochs": epochs});
    let variance = json!({"quantities": ["variance"], "epochs": epochs});
    // 8 bytes for each moment and position, and 40 where parameters change.
    for (of_jumps, of, more) in [
        (true, &hundred, 8 * 100 * 401),
        (false, &changing, 40 * 100 * 402),
        (false, &variance, 40 * 3 * 402),
    ] {
        let evaluator = evaluator("");
        let cost = prepared(&evaluator, walk(400, of_jumps)).await.unwrap().plan.cost();
        let power = if of == &variance { 1 } else { 100 };
        let least = 4 * cost.workspace_bytes + cost.moment_bytes(power) + more;
        assert_eq!(refusal(walk(400, of_jumps), of.clone(), least).await, None);
        let said = refusal(walk(400, of_jumps), of.clone(), least - 1).await.unwrap();
        assert!(said.contains(&format!("moments of the model may take {least} bytes")), "{said}");
    }
    // Without epochs no more than eight are kept at a time.
    let cost = prepared(&evaluator(""), walk(400, false)).await.unwrap().plan.cost();
    let least = 4 * cost.workspace_bytes + cost.moment_bytes(100);
    assert_eq!(refusal(walk(400, false), hundred, least).await, None);
}

#[tokio::test]
async fn transforms_by_phasic_are_charged_as_others_are() {
    let evaluator = evaluator("");
    let prepared = prepared(&evaluator, json!({"builtin": "kingman"})).await.unwrap();
    let charged = |count: usize, compat: bool| {
        let points = vec![1.0; count];
        let request = json!({"model": {"builtin": "kingman"}, "theta": [1.0], "compat": compat,
            "quantities": [{"laplace": points}]});
        question(&prepared, request, &evaluator.limits).unwrap().effort.multiply_adds
    };
    assert_eq!(charged(8000, true) - charged(8, true), charged(8000, false) - charged(8, false));
}

#[tokio::test]
async fn one_answer_ends_where_its_numbers_need_more_digits_than_there_is_time_for() {
    // Rates next to nothing, so that every transform is worked out with endless exponents.
    let evaluator = evaluator("");
    let model = walk(400, false);
    let prepared = prepared(&evaluator, model.clone()).await.unwrap();
    let points: Vec<u32> = (1..=40_000).collect();
    let request = json!({"model": model, "theta": [1e-300, 1e-290], "quantities": [{"laplace": points}]});
    let mut question = question(&prepared, request, &evaluator.limits).unwrap();
    question.purse = Purse::new(25_000_000, 1);
    let question = Arc::new(question);
    let answer = |all: Vec<EvaluateResult>| all;
    let results = evaluator.answer(prepared, Arc::clone(&question), 0..1, answer).await.unwrap();
    assert!(
        results[0].error.as_ref().is_some_and(|error| error.contains("used up")),
        "{:?}",
        results[0].error
    );
    assert!(question.is_spent());
    let spent = question.purse.spent();
    assert!(spent < 1_000_000_000, "a tenth of a second was allowed, and {spent} ns were taken");
}
