mod work;

use std::sync::Arc;

use phasic_hub_api::{EvaluateRequest, EvaluateResult, Real};
use serde_json::{Value, json};

use super::{Evaluator, PrepareError, Prepared, Question, QuestionError, prepare};
use crate::config;
use crate::models::{Named, named};
use crate::preparing::Preparing;
use crate::workers::{Wanted, Workers};

fn evaluator(settings: &str) -> Evaluator {
    let workers = || Workers::new("test", 2).unwrap();
    Evaluator::new(
        Preparing::new(workers()),
        workers(),
        toml::from_str("").unwrap(),
        toml::from_str(settings).unwrap(),
    )
}

async fn prepared(evaluator: &Evaluator, model: Value) -> Result<Arc<Prepared>, PrepareError> {
    match named(&serde_json::from_value(model).unwrap()).unwrap() {
        Named::Here(recipe) => evaluator.prepare(recipe, "somebody").await,
        other => panic!("{other:?}"),
    }
}

fn question(
    prepared: &Prepared,
    request: Value,
    limits: &config::Evaluate,
) -> Result<Question, QuestionError> {
    let request: EvaluateRequest = serde_json::from_value(request).unwrap();
    Question::new(request, &prepared.identity, &prepared.plan.cost(), limits, false)
}

async fn ask(request: Value) -> Result<Vec<EvaluateResult>, QuestionError> {
    let evaluator = evaluator("");
    let prepared = prepared(&evaluator, request["model"].clone()).await.unwrap();
    let question = Arc::new(question(&prepared, request, &evaluator.limits)?);
    let prepared = evaluator.complete(prepared, &question, "somebody").await.unwrap();
    let mut results = Vec::new();
    for range in question.chunks() {
        let part = evaluator.answer(Arc::clone(&prepared), Arc::clone(&question), range, |part| part);
        results.extend(part.await.unwrap());
    }
    Ok(results)
}

#[test]
fn what_runs_out_of_steps_vertices_or_edges_is_not_tried_again_with_more_memory() {
    let refused = |limit: &str| {
        let source = json!({"builtin": "kingman", "constants": {"n": 50_000}});
        let named = named(&serde_json::from_value(source).unwrap()).unwrap();
        let Named::Here(recipe) = named else { panic!("{named:?}") };
        let error = recipe.build(&toml::from_str(limit).unwrap()).unwrap_err();
        assert!(error.is_limit(), "{error}");
        PrepareError::from(error)
    };
    assert!(refused("max_memory_bytes = 1048576").lacks_memory());
    for limit in ["max_steps = 1000", "max_vertices = 1000", "max_edges = 1000"] {
        assert!(!refused(limit).lacks_memory(), "{limit}");
    }
}

fn is_misfit<T>(found: &Result<T, QuestionError>) -> bool {
    matches!(found, Err(QuestionError::Misfit(_) | QuestionError::Theta { .. }))
}

fn erlang() -> Value {
    json!({"builtin": "erlang", "constants": {"stages": 4}})
}

#[tokio::test]
async fn an_erlang_time_has_its_numbers() {
    let request = json!({
        "model": erlang(), "theta": [2.0],
        "quantities": ["expectation", "variance", {"moments": 2}, {"pdf": [1.0]}, {"cdf": [1.0]}, {"survival": [1.0]},
                       {"laplace": [1.0]}, {"quantile": [0.0, 1.0]}, "waiting_times", "sojourn_times", {"waiting_times_of": [0]}],
    });
    let values = ask(request).await.unwrap().remove(0).values.unwrap();
    assert_eq!(values.expectation, Some(Real(2.0)));
    assert!((values.variance.unwrap().0 - 1.0).abs() < 1e-14);
    assert_eq!(values.moments, Some(vec![Real(2.0), Real(5.0)]));
    // 2⁴ e⁻² / 3!, and 1 − e⁻² (1 + 2 + 2 + 4/3).
    let close = |found: &Option<Vec<Real>>, expected: f64| {
        let found = found.as_ref().unwrap()[0].0;
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    };
    let tail = (-2.0_f64).exp() * (5.0 + 4.0 / 3.0);
    close(&values.pdf, 16.0 / 6.0 * (-2.0_f64).exp());
    close(&values.cdf, 1.0 - tail);
    close(&values.survival, tail);
    close(&values.laplace, (2.0_f64 / 3.0).powi(4));
    assert_eq!(values.quantile, Some(vec![Real(0.0), Real(f64::INFINITY)]));
    let waiting = values.waiting_times.unwrap();
    assert_eq!((waiting.len(), values.waiting_times_of.unwrap()), (6, vec![waiting[0]]));
    let stays: f64 = values.sojourn_times.unwrap().iter().map(|time| time.0).sum();
    assert!((stays - 2.0).abs() < 1e-14);
}

#[tokio::test]
async fn gradients_are_the_derivatives() {
    let request = json!({
        "model": erlang(), "theta": [2.0], "gradients": true,
        "quantities": ["expectation", "variance", {"moments": 2}, {"cdf": [1.0]},
                       {"log_likelihood": {"observed": [1.0], "censored": []}}],
    });
    let found = ask(request).await.unwrap().remove(0).gradients.unwrap();
    let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    near(found.expectation.unwrap()[0].0, -1.0);
    near(found.variance.unwrap()[0].0, -1.0);
    near(found.moments.unwrap()[1][0].0, -5.0);
    // ∂F/∂θ = t f / θ for a rate, ∂ ln f / ∂θ = 4/θ − t.
    near(found.cdf.unwrap()[0][0].0, 16.0 / 6.0 * (-2.0_f64).exp() / 2.0);
    near(found.log_likelihood.unwrap()[0].0, 1.0);
}

#[tokio::test]
async fn many_thetas_give_the_numbers_of_each_alone_whatever_the_way() {
    let thetas: Vec<[f64; 2]> = (1..=50).map(|k| [0.1 * f64::from(k), 1.0 + 0.05 * f64::from(k)]).collect();
    let request = |theta: Value, quantities: Value| {
        json!({"model": {"builtin": "mm1k", "constants": {"capacity": 5, "start": 2}}, "theta": theta,
               "quantities": quantities})
    };
    let together = ask(request(json!(thetas), json!(["expectation", {"moments": 3}]))).await.unwrap();
    let with_more =
        ask(request(json!(thetas), json!(["expectation", {"moments": 3}, "variance"]))).await.unwrap();
    assert_eq!(together.len(), 50);
    for (index, theta) in thetas.iter().enumerate() {
        let alone =
            ask(request(json!(theta), json!(["expectation", {"moments": 3}]))).await.unwrap().remove(0);
        assert_eq!(together[index].index, index as u64);
        assert_eq!(together[index].theta, theta);
        assert_eq!(together[index].values, alone.values);
        assert_eq!(with_more[index].values.as_ref().unwrap().moments, alone.values.unwrap().moments);
    }
}

#[tokio::test]
async fn a_theta_without_numbers_says_why_and_the_others_have_theirs() {
    let request = json!({"model": erlang(), "theta": [[1.0], [-1.0], [0.0], [4.0]]});
    let results = ask(request).await.unwrap();
    let expectation = |index: usize| results[index].values.as_ref().unwrap().expectation.unwrap().0;
    assert_eq!((expectation(0), expectation(3)), (4.0, 1.0));
    for index in [1, 2] {
        assert!(results[index].values.is_none());
        assert!(
            results[index].error.as_ref().unwrap().contains("at these parameters"),
            "{:?}",
            results[index]
        );
    }
}

#[tokio::test]
async fn what_is_beyond_floating_point_numbers_is_an_error_and_neither_zero_nor_infinite() {
    // The second moment at 1e300 is 2e-599, and at 1e-300 2e601.
    for quantity in [json!("variance"), json!({"moments": 2})] {
        let request = json!({"model": erlang(), "theta": [[1e-300], [2.0]], "quantities": [quantity]});
        let results = ask(request).await.unwrap();
        let error = results[0].error.as_ref().unwrap();
        assert!(error.starts_with("moment 2 is beyond the range of floating-point numbers"), "{error}");
        assert!(results[0].values.is_none() && results[1].error.is_none(), "{results:?}");
    }
    let request = json!({"model": erlang(), "theta": [1e300], "quantities": ["variance"]});
    let error = ask(request).await.unwrap().remove(0).error.unwrap();
    assert!(error.starts_with("moment 2 is beyond"), "{error}");
}

#[tokio::test]
async fn moments_in_discrete_time_are_those_of_the_number_of_jumps() {
    // Toss a coin until heads: a geometric number with success 1/2 has mean 2 and second moment 6.
    let coin = json!({"document": {"was_dph": true, "parameterized": false, "param_length": 0, "state_length": 1,
        "vertices": [[0], [1], [2], [3]],
        "edges": [[0, 1, [], 1.0], [1, 3, [], 0.5], [1, 2, [], 0.5], [2, 3, [], 0.5], [2, 1, [], 0.5]]}});
    let request = json!({"model": coin, "theta": [],
        "quantities": ["expectation", "variance", {"moments": 2}, {"pmf": [1, 2]}, {"cdf": [2]}, {"quantile": [0.75]},
                       {"hazard": [1, 2]}]});
    let values = ask(request).await.unwrap().remove(0).values.unwrap();
    assert_eq!(values.hazard, Some(vec![Real(0.5); 2]), "a coin remembers nothing");
    assert_eq!((values.expectation, values.variance), (Some(Real(2.0)), Some(Real(2.0))));
    assert_eq!(values.moments, Some(vec![Real(2.0), Real(6.0)]));
    assert_eq!(values.pmf, Some(vec![Real(0.5), Real(0.25)]));
    assert_eq!((values.cdf, values.quantile), (Some(vec![Real(0.75)]), Some(vec![Real(2.0)])));
    let half = json!([{"log_likelihood": {"observed": [0.5]}}]);
    let pdf = json!({"model": coin, "theta": [], "quantities": [{"pdf": [1, 2]}]});
    assert_eq!(ask(pdf).await.unwrap().remove(0).values.unwrap().pdf, Some(vec![Real(0.5), Real(0.25)]));
    for wrong in [
        json!([{"pdf": [0.5]}]),
        json!([{"laplace": [1.0]}]),
        json!([{"cdf": [0.5]}]),
        json!([{"hazard": [0.5]}]),
        half,
    ] {
        let request = json!({"model": coin, "quantities": wrong});
        assert!(is_misfit(&ask(request).await), "{wrong}");
    }
}

#[tokio::test]
async fn gradients_in_discrete_time_are_those_of_a_geometric_number() {
    // Until heads, with probability p = θ₁/(θ₀ + θ₁): at (3, 1), dp/dθ is (−1, 3)/16.
    let coin = json!({"document": {"was_dph": true, "parameterized": true, "param_length": 2, "state_length": 1,
        "vertices": [[0], [1], [2], [3]],
        "edges": [[0, 1, [], 1.0], [1, 3, [0, 1]], [1, 2, [1, 0]], [2, 3, [0, 1]], [2, 1, [1, 0]]]}});
    let request = json!({"model": coin, "theta": [3.0, 1.0], "gradients": true,
        "quantities": [{"pmf": [2]}, {"cdf": [2]}, {"log_likelihood": {"observed": [1], "censored": [2]}},
                       {"moments": 2}]});
    let result = ask(request).await.unwrap().remove(0);
    let found = result.values.unwrap().log_likelihood.unwrap().0;
    assert!((found - (0.25_f64.ln() + (0.75_f64 * 0.75).ln())).abs() < 1e-14);
    let gradients = result.gradients.unwrap();
    let p = 0.25;
    let moments = gradients.moments.unwrap();
    for (slopes, of_p) in [
        // 1/p and (2 − p)/p².
        (&moments[0], -1.0 / (p * p)),
        (&moments[1], (p - 4.0) / (p * p * p)),
        (&gradients.pmf.unwrap()[0], 1.0 - 2.0 * p),
        (&gradients.cdf.unwrap()[0], 2.0 * (1.0 - p)),
        (&gradients.log_likelihood.unwrap(), 1.0 / p - 2.0 / (1.0 - p)),
    ] {
        let off = [slopes[0].0 + of_p / 16.0, slopes[1].0 - 3.0 * of_p / 16.0];
        assert!(off.iter().all(|off| off.abs() < 1e-14 * of_p.abs().max(1.0)), "{slopes:?} {of_p}");
    }
}

#[tokio::test]
async fn questions_that_do_not_fit_are_refused_before_anything_is_computed() {
    let ones = [1.0; 6];
    for wrong in [
        json!({"theta": [1.0, 2.0]}),
        json!({"theta": [[1.0, 2.0]]}),
        json!({"quantities": []}),
        json!({"quantities": ["variance", "variance"]}),
        json!({"quantities": ["covariance"]}),
        json!({"quantities": ["covariance"], "rewards": [ones]}),
        json!({"quantities": ["expectation"], "rewards": [ones, ones]}),
        json!({"quantities": ["expectation"], "rewards": [[1.0]]}),
        json!({"quantities": [{"pdf": [1.0]}], "rewards": [ones, ones]}),
        json!({"quantities": [{"sojourn_times_of": [6]}]}),
        json!({"quantities": [{"waiting_times_of": [6]}]}),
        json!({"quantities": [{"factorial_moments": 2}]}),
        json!({"quantities": ["expectation"], "started_in": [[1, 1.0]]}),
        json!({"compat": true, "gradients": true}),
        json!({"granularity": 100}),
        json!({"quantities": [{"moments": 0}]}),
        json!({"quantities": [{"moments": 1001}]}),
        json!({"quantities": [{"pmf": [1]}]}),
        json!({"quantities": ["waiting_times"], "gradients": true}),
    ] {
        let mut request = wrong.clone();
        request["model"] = erlang();
        assert!(is_misfit(&ask(request).await), "{wrong}");
    }
    let covariance =
        json!({"model": erlang(), "theta": [2.0], "quantities": ["covariance"], "rewards": [ones, ones]});
    let found = ask(covariance).await.unwrap().remove(0).values.unwrap().covariance.unwrap().0;
    assert!((found - 1.0).abs() < 1e-14);
}

#[tokio::test]
async fn a_question_beyond_a_limit_is_refused_with_the_limit() {
    let refused = async |settings: &str, request: Value| {
        let evaluator = evaluator(settings);
        let prepared = prepared(&evaluator, erlang()).await.unwrap();
        match question(&prepared, request, &evaluator.limits) {
            Err(QuestionError::TooLarge(text)) => text,
            other => panic!("{other:?}"),
        }
    };
    let two = json!({"model": erlang(), "theta": [[1.0], [2.0]], "quantities": ["sojourn_times"]});
    assert!(refused("max_thetas = 1", two.clone()).await.contains("more than the 1 "));
    assert!(refused("max_multiply_adds = 20", two.clone()).await.contains("one request may take 20"));
    assert!(refused("max_workspace_bytes = 200", two.clone()).await.contains("may take 200;"));
    // Four evaluations' worth fits; the solutions of so many moments do not.
    let moments =
        json!({"model": erlang(), "theta": [1.0], "quantities": [{"moments": 500}], "gradients": true});
    assert!(
        refused("max_workspace_bytes = 100000", moments)
            .await
            .contains("gradient of moment 500 of the model")
    );
    assert!(refused("max_answer_bytes = 100", two.clone()).await.contains("may have 100"));
    assert!(refused("max_answer_bytes = 300", two).await.contains("x-ndjson"));
}

#[tokio::test]
async fn plans_are_kept_within_the_bytes_allowed() {
    let model = |n: u32| json!({"builtin": "kingman", "constants": {"n": n}});
    let evaluator = evaluator("cache_bytes = 20000");
    let first = prepared(&evaluator, model(5)).await.unwrap();
    assert!(Arc::ptr_eq(&first, &prepared(&evaluator, model(5)).await.unwrap()));
    for n in 6..60 {
        prepared(&evaluator, model(n)).await.unwrap();
        assert!(evaluator.cache_bytes() <= 20000);
    }
    assert!(evaluator.cache_bytes() > 10000);
    assert!(!Arc::ptr_eq(&first, &prepared(&evaluator, model(5)).await.unwrap()));
}

#[tokio::test]
async fn options_that_do_not_fit_are_refused_with_a_sentence() {
    let (pdf, sample) = (json!([{"pdf": [1.0]}]), json!([{"sample": 3}]));
    let epoch = |from: f64, theta: Value| json!([{"from": from, "theta": theta}]);
    for (wrong, word) in [
        (json!({"quantities": pdf, "alive_at": 1.0}), "alive_at"),
        (json!({"quantities": sample, "alive_at": -1.0}), "alive_at"),
        (json!({"quantities": [{"sample": 0}]}), "from 1 on"),
        (json!({"quantities": ["correlation"]}), "exactly two"),
        (json!({"quantities": ["covariances"], "rewards": [vec![1.0; 6]]}), "at least two"),
        (json!({"quantities": pdf, "tolerance": 0.5}), "tolerance"),
        (json!({"quantities": pdf, "epochs": epoch(0.0, json!([1.0]))}), "no time later than 0"),
        (json!({"quantities": pdf, "epochs": epoch(1.0, json!([1.0, 2.0]))}), "2 numbers"),
        (
            json!({"quantities": ["waiting_times"], "epochs": epoch(1.0, json!([1.0]))}),
            "no numbers of waiting_times",
        ),
        (
            json!({"quantities": pdf, "epochs": epoch(1.0, json!([1.0])), "rewards": [vec![1.0; 6]]}),
            "both epochs and rewards",
        ),
        (json!({"quantities": pdf, "compat": true, "tolerance": 1e-6}), "without tolerance"),
        (
            json!({"quantities": ["variance"], "gradients": true, "epochs": epoch(1.0, json!([1.0]))}),
            "no gradients of variance",
        ),
    ] {
        let mut request = json!({"model": erlang(), "theta": [1.0]});
        request.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        match ask(request).await {
            Err(QuestionError::Misfit(misfit)) => assert!(misfit.to_string().contains(word), "{misfit}"),
            other => panic!("{wrong}: {other:?}"),
        }
    }
    // A billion draws are more than an answer may hold.
    let request = json!({"model": erlang(), "theta": [1.0], "quantities": [{"sample": 1_000_000_000}]});
    assert!(matches!(ask(request).await, Err(QuestionError::TooLarge(_))));
}

#[tokio::test]
async fn functions_of_a_total_reward_and_numbers_of_phasic_are_bounded_as_everything_else() {
    let rewards = [[0.0, 5.0, 4.0, 3.0, 2.0, 0.0]];
    let of_total = json!({"model": {"builtin": "kingman"}, "theta": [1.0], "rewards": rewards,
        "quantities": ["expectation", {"cdf": [2.0]}, {"log_likelihood": {"observed": [2.0]}}]});
    let values = ask(of_total.clone()).await.unwrap().remove(0).values.unwrap();
    // Tavaré 1984: the length of the branches is the largest of four exponential times of rate 1/2.
    let below = 1.0 - (-1.0_f64).exp();
    assert!((values.cdf.unwrap()[0].0 - below.powi(4)).abs() < 1e-10);
    let density = 2.0 * below.powi(3) * (-1.0_f64).exp();
    assert!((values.log_likelihood.unwrap().0 - density.ln()).abs() < 1e-9);

    let compat = json!({"model": {"builtin": "kingman"}, "theta": [1.0], "compat": true, "granularity": 200,
        "quantities": ["expectation", {"pdf": [0.4, 1.6]}]});
    let values = ask(compat.clone()).await.unwrap().remove(0).values.unwrap();
    assert_eq!(values.pdf, Some(vec![Real(0.305_429_011_754_110_47), Real(0.369_848_737_976_635_2)]));

    let evaluator = evaluator("max_multiply_adds = 20000");
    let prepared = prepared(&evaluator, json!({"builtin": "kingman"})).await.unwrap();
    let mut long = compat.clone();
    long["quantities"] = json!([{"cdf": [1e6]}]);
    let long = Arc::new(question(&prepared, long, &evaluator.limits).unwrap());
    let result =
        evaluator.answer(Arc::clone(&prepared), long, 0..1, |mut part| part.remove(0)).await.unwrap();
    assert!(result.error.as_ref().is_some_and(|error| error.contains("steps of 1/200")), "{result:?}");
    let mut many = compat;
    many["theta"] = vec![json!([1.0]); 1000].into();
    many["quantities"] = json!(["expectation"]);
    let many = question(&prepared, many, &evaluator.limits).unwrap();
    let refused = evaluator.complete(prepared, &many, "somebody").await.unwrap_err();
    assert!(matches!(refused, PrepareError::Elimination(_)), "{refused:?}");
}

#[tokio::test]
async fn a_program_is_made_once_and_counts_among_what_is_kept() {
    let evaluator = evaluator("");
    let prepared = prepared(&evaluator, json!({"builtin": "kingman"})).await.unwrap();
    let request = json!({"model": {"builtin": "kingman"}, "theta": [1.0], "compat": true});
    let question = question(&prepared, request, &evaluator.limits).unwrap();
    let before = evaluator.cache_bytes();
    let complete = evaluator.complete(Arc::clone(&prepared), &question, "somebody").await.unwrap();
    assert!(evaluator.cache_bytes() > before);
    assert!(Arc::ptr_eq(&complete, &evaluator.complete(prepared, &question, "somebody").await.unwrap()));
}

#[test]
fn a_model_nobody_waits_for_any_more_is_not_named() {
    let source = json!({"document": {"vertices": [[0], [1]], "edges": [[0, 1, [], 1]]}});
    let Named::Here(recipe) = named(&serde_json::from_value(source).unwrap()).unwrap() else {
        panic!("it is in the request")
    };
    let (models, limits) = (config::Models::default(), evaluator("").plan_limits());
    let found = prepare(recipe.key(), &recipe, &models, &limits, &Wanted::no_longer());
    assert!(matches!(found, Err(PrepareError::BrokeOff(_))), "{found:?}");
}
