use super::{EvaluateRequest, EvaluateResult, Quantity, Real, Thetas, Values};

#[test]
fn one_theta_is_a_flat_list_and_many_are_a_list_of_lists() {
    let read = |text: &str| serde_json::from_str::<Thetas>(text).unwrap();
    let one = read("[1, 2.5, -3]");
    assert!(one.is_flat() && (one.count(), one.width()) == (1, 3));
    assert_eq!(one.get(0), [1.0, 2.5, -3.0]);
    let many = read("[[1, 2], [3, 4], [5, 6]]");
    assert!(!many.is_flat() && (many.count(), many.width()) == (3, 2));
    assert_eq!((many.get(1), many.get(3)), (&[3.0, 4.0][..], &[][..]));
    for (text, count) in [("[]", 1), ("[[]]", 1), ("[[], []]", 2)] {
        assert_eq!((read(text).count(), read(text).width()), (count, 0), "{text}");
    }
    for text in ["[1.0,2.5]", "[[1.0],[2.0]]", "[]", "[[],[]]"] {
        assert_eq!(serde_json::to_string(&read(text)).unwrap(), text);
    }
}

#[test]
fn parameter_vectors_of_several_lengths_or_kinds_are_refused_with_their_place() {
    let refused = |text: &str| serde_json::from_str::<Thetas>(text).unwrap_err().to_string();
    assert!(refused("[[1], [2], [3, 4]]").contains("theta number 2 (counted from 0) has 2 numbers"));
    for text in ["3", "[1, [2]]", "[[1], 2]", "[\"a\"]", "[[[1]]]", "[1e999]", "[null]"] {
        assert!(serde_json::from_str::<Thetas>(text).is_err(), "{text}");
    }
}

#[test]
fn every_quantity_is_written_with_its_key() {
    let all = r#"["expectation","variance","covariance",{"moments":2},"waiting_times","sojourn_times",{"pdf":[1.0]},
        {"pmf":[3]},{"cdf":[1.0]},{"survival":[1.0]},{"hazard":[1.0]},{"quantile":[0.5]},{"laplace":[1.0]},
        {"stop_probability":[1.0]},{"visiting_times":[1.0]},{"log_likelihood":{"observed":[1.0],"censored":[]}},
        "correlation","covariances","correlations",{"sample":3},{"joint_sample":3},{"sojourn_times_of":[1]},{"waiting_times_of":[1]},{"factorial_moments":2}]"#;
    let quantities: Vec<Quantity> = serde_json::from_str(all).unwrap();
    for quantity in &quantities {
        let written = serde_json::to_value(quantity).unwrap();
        let key = written
            .as_str()
            .map_or_else(|| written.as_object().unwrap().keys().next().unwrap().clone(), str::to_owned);
        assert_eq!(key, phasic_engine::question::Quantity::from(quantity.clone()).name());
    }
    assert_eq!(quantities.len(), 24);
}

#[test]
fn what_json_cannot_write_is_a_text_and_is_read_back() {
    let values = Values {
        moments: Some(vec![Real(1.5), Real(f64::INFINITY), Real(f64::NEG_INFINITY), Real(f64::NAN)]),
        ..Values::default()
    };
    let text = serde_json::to_string(&values).unwrap();
    assert_eq!(text, r#"{"moments":[1.5,"inf","-inf","nan"]}"#);
    let read: Values = serde_json::from_str(&text).unwrap();
    let read = read.moments.unwrap();
    assert_eq!(read[..3], values.moments.unwrap()[..3]);
    assert!(read[3].0.is_nan());
    assert!(serde_json::from_str::<Real>("\"infinity\"").is_err());
}

#[test]
fn unknown_members_of_a_request_are_refused() {
    let read = serde_json::from_str::<EvaluateRequest>;
    assert!(read(r#"{"model": {"builtin": "kingman"}}"#).is_ok());
    for text in [
        "{}",
        r#"{"model": {"builtin": "kingman"}, "thetas": [1]}"#,
        r#"{"model": {"builtin": "kingman", "n": 3}}"#,
        r#"{"model": {"builtin": "kingman"}, "quantities": ["median"]}"#,
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn a_result_without_numbers_says_why() {
    let result = EvaluateResult { index: 3, error: Some("no".to_owned()), ..EvaluateResult::default() };
    assert_eq!(serde_json::to_string(&result).unwrap(), r#"{"index":3,"theta":[],"error":"no"}"#);
}
