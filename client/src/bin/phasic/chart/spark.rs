//! A curve as one line of blocks.

use super::Curve;

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const WIDTH: usize = 60;

/// Eight heights from 0 (or the least value, if that is negative) to the greatest value, at evenly spaced places.
///
/// At most 60 of them; between points it goes straight. Where nothing is known there is a blank.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "heights are from 0 to 7")]
pub(crate) fn spark(curve: &Curve) -> String {
    let points: Vec<(f64, f64)> = curve.finite().collect();
    let (Some(&(first, _)), Some(&(last, _))) = (points.first(), points.last()) else {
        return String::new();
    };
    let low = points.iter().map(|point| point.1).fold(0.0, f64::min);
    let high = points.iter().map(|point| point.1).fold(low, f64::max);
    let width = if last > first { WIDTH.min(curve.points.len()) } else { 1 };
    let block = |column: usize| {
        let share = if width > 1 { column as f64 / (width - 1) as f64 } else { 0.0 };
        let height = (value(&points, first + share * (last - first)) - low) / (high - low);
        if height.is_nan() { BLOCKS[0] } else { BLOCKS[((height * 8.0) as usize).min(7)] }
    };
    (0..width).map(block).collect()
}

/// The value at `x`, straight between points.
fn value(points: &[(f64, f64)], x: f64) -> f64 {
    let after = points.partition_point(|point| point.0 < x);
    match (after.checked_sub(1).map(|before| points[before]), points.get(after)) {
        (Some((x0, y0)), Some(&(x1, y1))) => y0 + (y1 - y0) * (x - x0) / (x1 - x0),
        (None, Some(&(_, y))) | (Some((_, y)), None) => y,
        (None, None) => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(x: &[f64], y: &[f64]) -> String {
        spark(&Curve::new(String::new(), x, y))
    }

    #[test]
    fn heights_go_from_zero_to_the_peak() {
        let x: Vec<f64> = (0..8).map(f64::from).collect();
        assert_eq!(drawn(&x, &x), "▁▂▃▄▅▆▇█");
        assert_eq!(drawn(&[0.0, 1.0], &[5.0, 5.0]), "██");
        assert_eq!(drawn(&[1.0, 0.0, 2.0], &[1.0, 0.0, 0.0]), "▁█▁");
    }

    #[test]
    fn uneven_points_are_spread_and_many_are_thinned() {
        assert_eq!(drawn(&[0.0, 1.0, 4.0], &[0.0, 1.0, 1.0]), "▁██");
        let x: Vec<f64> = (0..1000).map(f64::from).collect();
        assert_eq!(drawn(&x, &x).chars().count(), 60);
    }

    #[test]
    fn nothing_known_is_nothing_drawn() {
        assert_eq!(drawn(&[0.0], &[f64::NAN]), "");
        assert_eq!(drawn(&[2.0, 2.0], &[0.0, 0.0]), "▁");
    }
}
