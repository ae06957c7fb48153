//! `phasic eval --plot` and `--spark`.

use crate::documents::rounded;
use crate::scene::Scene;

#[test]
fn a_plot_has_a_panel_for_each_function_and_a_curve_for_each_theta() {
    let scene = Scene::new();
    scene.output(&[
        "eval",
        "builtin:kingman",
        "--theta",
        "1",
        "--theta",
        "2",
        "--quantity",
        "pdf=0:4:9",
        "--quantity",
        "cdf=0:4:9",
        "--quantity",
        "quantile=0.5",
        "--plot",
        "kingman.svg",
    ]);
    insta::assert_snapshot!("plot", String::from_utf8(scene.read("kingman.svg")).unwrap());
}

#[test]
fn probabilities_in_discrete_time_are_drawn_as_stems_and_steps() {
    let scene = Scene::new();
    scene.output(&[
        "eval",
        "builtin:constant_chain_ticks",
        "--quantity",
        "pmf=0:6:7",
        "--quantity",
        "cdf=0:6:7",
        "--plot",
        "ticks.svg",
    ]);
    insta::assert_snapshot!("plot_discrete", String::from_utf8(scene.read("ticks.svg")).unwrap());
}

#[test]
fn tables_and_sparks_are_as_reviewed() {
    let scene = Scene::new();
    let printed = scene.output(&[
        "eval",
        "builtin:kingman",
        "--theta",
        "1",
        "--quantity",
        "expectation",
        "--quantity",
        "pdf=0:4:9",
        "--quantity",
        "cdf=0:4:9",
        "--quantity",
        "quantile=0.5",
        "--quantity",
        "stop-probability=1,2",
        "--quantity",
        "sample=2",
        "--spark",
    ]);
    insta::assert_snapshot!("tables", rounded(&printed));
    let gradients = scene.output(&[
        "eval",
        "builtin:kingman",
        "--theta",
        "1",
        "--quantity",
        "pdf=1,2",
        "--quantity",
        "loglik=1",
        "--grad",
    ]);
    insta::assert_snapshot!("gradients", rounded(&gradients));
}

#[test]
fn nothing_to_draw_is_refused_before_any_work() {
    let scene = Scene::new();
    for (arguments, message) in [
        (&["--plot", "a.svg"][..], "--plot draws pdf, pmf, cdf, survival and hazard; ask for one of them"),
        (&["--plot", "a.svg", "--quantity", "pdf=1"], "at two times or more"),
        (&["--plot", "a.png", "--quantity", "pdf=0:1:3"], "--plot writes SVG; call the file 'a.svg'"),
        (&["--spark", "--quantity", "quantile=0.1,0.2"], "--spark draws"),
        (&["--spark", "--json", "--quantity", "pdf=0:1:3"], "cannot be used with"),
        (&["--plot", "no/such/a.svg", "--quantity", "pdf=0:1:3"], "cannot write 'no/such/a.svg'"),
    ] {
        let ended = scene.run(&[&["eval", "builtin:kingman"], arguments].concat());
        assert_eq!((ended.status, ended.out.as_str()), (2, ""), "{arguments:?}");
        assert!(ended.err.contains(message), "{arguments:?}: {}", ended.err);
    }
}
