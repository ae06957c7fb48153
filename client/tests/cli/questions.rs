//! Questions that cannot be asked: what is wrong, with which part of the command line, and what to write instead.

use crate::scene::Scene;

/// Runs each question, which must end with its sentence and print nothing.
fn assert_refused(model: &str, questions: &[(&[&str], &str)]) {
    let scene = Scene::new();
    scene.write("nothing.csv", "# no number\n\n");
    for (arguments, sentence) in questions {
        let ended = scene.run(&[&["eval", model], *arguments].concat());
        let said = format!("error: {sentence}\n");
        assert_eq!(
            (ended.status, ended.out.as_str(), ended.err.as_str()),
            (2, "", said.as_str()),
            "{arguments:?}"
        );
    }
}

#[test]
fn words_that_lack_their_numbers_are_shown_how_to_write_them() {
    assert_refused(
        "builtin:kingman",
        &[
            (&["--quantity", "sample"], "--quantity sample: say how many samples, as in sample=1000"),
            (
                &["--quantity", "sample=1.5"],
                "--quantity sample=1.5: sample=N needs a whole number N from 1 to 10000000, as in sample=1000",
            ),
            (
                &["--quantity", "loglik"],
                "--quantity loglik: say which observations, as in loglik=@data.csv or loglik=0.5,1.2 (a + after those still \
                 alive)",
            ),
            (
                &["--quantity", "loglik=1,-2+"],
                "--quantity loglik: number 2 is -2; observations are numbers from 0 on",
            ),
            (
                &["--quantity", "sojourn=x"],
                "--quantity sojourn=x: sojourn=V needs numbers of vertices, as in sojourn=1,4; sojourn is of all",
            ),
            (
                &["--quantity", "factorial-moments"],
                "--quantity factorial-moments: say how many moments, as in factorial-moments=4",
            ),
            (
                &["--quantity", "moments=0"],
                "--quantity moments=0: moments=K needs a whole number K from 1 to 1000, as in moments=4",
            ),
            (
                &["--quantity", "quantile"],
                "--quantity quantile: say of which probabilities, as in quantile=0.05,0.5,0.95",
            ),
            (&["--quantity", "laplace"], "--quantity laplace: say at which s, as in laplace=0.1,1"),
            (&["--quantity", "laplace=-1"], "--quantity laplace: number 1 is -1; s is a number from 0 on"),
            (&["--quantity", "pmf"], "--quantity pmf: say for which numbers of jumps, as in pmf=0:20:21"),
            (
                &["--quantity", "pdf=1,x"],
                "--quantity pdf: number 2 is 'x', which is no number; write 0.5,2 or a grid FROM:TO:COUNT like 0:10:101",
            ),
            (
                &["--quantity", "pdf=0:1"],
                "--quantity pdf: number 1 is '0:1': a grid is written FROM:TO:COUNT, like 0:10:101",
            ),
            (
                &["--quantity", "pdf=0:x:3"],
                "--quantity pdf: number 1 is '0:x:3': 'x' is no end of a grid; write FROM:TO:COUNT, like 0:10:101",
            ),
            (
                &["--quantity", "loglik=@nothing.csv"],
                "'nothing.csv' holds no number; write one a line, or several with commas",
            ),
            (
                &["--theta", "@nothing.csv"],
                "'nothing.csv' holds no vector; write one a line, numbers separated by commas",
            ),
            (&["--epoch", "0:1"], "--epoch 0:1: an epoch begins at a time above 0"),
            (
                &["--plot", "a.svg"],
                "--plot draws pdf, pmf, cdf, survival and hazard; ask for one of them at two times or more, as in --quantity \
                 pdf=0:10:101",
            ),
        ],
    );
}

#[test]
fn what_continuous_time_does_not_have_is_refused_with_what_it_has() {
    assert_refused(
        "builtin:kingman",
        &[
            (
                &["--quantity", "pmf=1"],
                "pmf is the probability of a number of jumps, but this model is in continuous time; ask for pdf",
            ),
            (
                &["--quantity", "factorial-moments=2"],
                "factorial-moments are those of a number of jumps, but this model is in continuous time; ask for moments",
            ),
            (
                &["--quantity", "hazard=1", "--grad"],
                "--grad gives gradients of expectation, variance, moments, covariance, pdf, pmf, cdf, survival and loglik, but \
                 none of hazard",
            ),
            (
                &["--quantity", "covariance", "--grad", "--rewards", "1", "--rewards", "2", "--rewards", "3"],
                "covariance takes exactly two --rewards with --grad, but 3 are given",
            ),
            (
                &["--compat", "--start", "conditional"],
                "--compat takes initial probabilities as phasic does, as they are given; leave out --start conditional",
            ),
            (
                &["--set", "n=200", "--quantity", "visiting-time=0:1:1000000"],
                "visiting-time at 1000000 times of 201 vertices are more than 134217728 numbers; ask at fewer times",
            ),
            (
                &["--quantity", "stop-probability=0:1:1000000,2:3:1000000"],
                "stop-probability takes at most 1000000 numbers",
            ),
        ],
    );
}

#[test]
fn what_does_not_go_with_epochs_is_refused_with_what_does() {
    assert_refused(
        "builtin:kingman",
        &[
            (
                &["--epoch", "2:1", "--quantity", "laplace=1"],
                "--epoch goes with expectation, variance, moments, covariance, correlation, functions of time, quantile, \
                 stop-probability, visiting-time, loglik and sample, not with laplace",
            ),
            (
                &["--epoch", "2:1", "--grad"],
                "--epoch goes with --grad for pdf, cdf, survival and loglik, but not for expectation",
            ),
            (
                &["--epoch", "2:1", "--quantity", "sample=1", "--started-in", "1"],
                "--epoch does not go with --started-in; leave out one of them",
            ),
        ],
    );
    assert_refused(
        "builtin:constant_chain_ticks",
        &[(&["--epoch", "1:1"], "--epoch is for models in continuous time; this one is in discrete time")],
    );
}

#[test]
fn what_discrete_time_does_not_have_is_refused_with_its_word() {
    assert_refused(
        "builtin:constant_chain_ticks",
        &[
            (
                &["--quantity", "laplace=1"],
                "laplace: the model is in discrete time, and has no Laplace transform here",
            ),
            (
                &["--quantity", "pmf=1,1.5"],
                "pmf: the model is in discrete time; number 2 is 1.5, but numbers of jumps are whole",
            ),
            (
                &["--quantity", "sample=1", "--alive-at", "1.5"],
                "--alive-at: the model is in discrete time, where numbers of jumps are whole",
            ),
            (
                &["--compat", "--quantity", "factorial-moments=2"],
                "factorial-moments: phasic has none; leave out --compat for the right numbers",
            ),
            (
                &["--quantity", "cdf=1", "--grad", "--rewards", "0,1"],
                "cdf: the model is in discrete time, where --grad knows no functions of total rewards; leave out --grad",
            ),
        ],
    );
}

#[test]
fn a_total_that_does_not_vary_is_named() {
    assert_refused(
        "builtin:kingman",
        &[(
            &[
                "--theta",
                "1",
                "--quantity",
                "correlation",
                "--rewards",
                "0,1,1,1,1,0",
                "--rewards",
                "0,0,0,0,0,0",
            ],
            "the model has no such number at --theta 1: the total of --rewards number 2 does not vary, so its correlations \
             are undefined",
        )],
    );
}
