//! Paths of models in which nothing is ever to be chosen: all samples make the same visits, and only times differ.

use pulp::NullaryFnOnce;

use super::SamplingError;
use super::stream::{exponential, next, seeded};
use super::walk::Piece;

/// Samples side by side, whose generators stay in registers.
const LANES: usize = 32;

pub(super) struct Line<'a, const DISCRETE: bool>(pub(super) Piece<'a>);

impl<const DISCRETE: bool> NullaryFnOnce for Line<'_, DISCRETE> {
    type Output = Result<(), SamplingError>;

    #[inline(always)]
    fn call(self) -> Self::Output {
        let Piece { table, gains, seed, first, steps, out, .. } = self.0;
        let (width, samples) = (gains.width, out.len() / gains.width.max(1));
        let mut visits = Vec::new();
        let mut row = table.jump(table.start(), 0);
        while let Some(position) = table.position(row) {
            visits.push(&gains.by_position[position * width..][..width]);
            // Without choices, who comes back to a position does so for ever.
            if visits.len() > table.len() || (visits.len() * samples) as u64 > steps {
                return Err(SamplingError::Steps { limit: steps });
            }
            row = table.jump(row, 0);
        }
        let mut totals = vec![[0.0; LANES]; width];
        for (number, out) in out.chunks_mut(LANES * width).enumerate() {
            totals.fill([0.0; LANES]);
            walk::<DISCRETE>(&visits, seed, first.wrapping_add((number * LANES) as u64), &mut totals);
            for (lane, out) in out.chunks_exact_mut(width).enumerate() {
                out.iter_mut().zip(&totals).for_each(|(out, totals)| *out = totals[lane]);
            }
        }
        Ok(())
    }
}

/// Totals of as many samples as there are lanes, from the first.
#[inline(always)]
fn walk<const DISCRETE: bool>(visits: &[&[f64]], seed: u64, first: u64, totals: &mut [[f64; LANES]]) {
    let [mut a, mut b, mut c, mut d] = [[0; LANES]; 4];
    for lane in 0..LANES {
        [a[lane], b[lane], c[lane], d[lane]] = seeded(seed, first.wrapping_add(lane as u64));
    }
    let mut times = [1.0; LANES];
    for gains in visits {
        if !DISCRETE {
            for lane in 0..LANES {
                let (draw, after) = next([a[lane], b[lane], c[lane], d[lane]]);
                times[lane] = exponential(draw);
                [a[lane], b[lane], c[lane], d[lane]] = after;
            }
        }
        for (total, gain) in totals.iter_mut().zip(*gains) {
            total.iter_mut().zip(times).for_each(|(total, time)| *total += gain * time);
        }
    }
}
