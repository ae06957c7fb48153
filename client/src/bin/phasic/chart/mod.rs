//! Pictures of functions: an SVG file, or a line of blocks on a terminal.
//!
//! Draws what it is given; what the curves mean is for the caller to say. No dependency: a chart of lines is a few
//! hundred characters of text.

mod axis;
mod spark;
mod svg;

pub(crate) use spark::spark;
pub(crate) use svg::svg;

/// One set of axes, with its curves.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Panel {
    pub(crate) x_label: String,
    pub(crate) y_label: String,
    pub(crate) shape: Shape,
    pub(crate) curves: Vec<Curve>,
}

/// How points are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// By straight lines.
    Line,
    /// Each value holds until the next point.
    Steps,
    /// Not at all: a stem from the axis to each point.
    Stems,
}

/// Points in ascending order of x; those that are not finite leave a gap.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Curve {
    /// What tells it from the others; empty if it is alone.
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

impl Curve {
    /// A curve of points in any order.
    pub(crate) fn new(name: String, x: &[f64], y: &[f64]) -> Self {
        let mut points: Vec<(f64, f64)> = x.iter().copied().zip(y.iter().copied()).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self { name, points }
    }

    fn finite(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite())
    }
}
