//! Masses in units of their own, so that none is too small for f64.

use super::super::kernel::total;
use super::super::leaps::Leaps;
use super::{Segment, Sweep};

/// Where the mass alive is below 2 to the power of the first, units are chosen in which it is the second: what is left of it
/// at the end of a segment is above 1e-220.
const LOWEST_BITS: i32 = 500;
const BITS: i32 = 600;
/// With faster rates masses are in ones: flows of masses in smaller units would leave f64. 2 to the power of 300.
const FASTEST: f64 = 2.037_035_976_334_486e90;
/// A steady decay goes on for so many mean lifetimes in one segment.
const LIFETIMES: f64 = 256.0;

impl Sweep {
    /// Takes masses in larger or smaller units, if they may be, or as nothing, if there is less than what counts.
    pub(super) fn choose_units(&mut self) {
        if self.precision.bits == 0 {
            return;
        }
        let rows = self.active.clone();
        let bits = choose_units(&mut self.p[rows], self.exponent, self.precision.bits);
        self.exponent = bits;
    }

    /// Takes masses in ones from now on if rates are too fast for anything else.
    pub(super) fn keep_to_ones(&mut self) {
        if self.precision.bits > 0 && self.fastest.last().is_some_and(|&rate| are_in_ones(rate)) {
            self.p.iter_mut().for_each(|mass| *mass = in_ones(*mass, self.exponent));
            (self.exponent, self.precision.bits) = (0, 0);
        }
    }

    /// 2 to the power of minus the exponent.
    pub(in super::super) fn unit(&self) -> f64 {
        power_of_two(-self.exponent)
    }

    /// What shares of nothing are of: the mass alive, where it may be in any units.
    pub(super) fn whole(&self) -> f64 {
        if self.precision.bits == 0 { 1.0 } else { self.alive() }
    }

    /// Goes on by as much of a duration as leaps can, units chosen on the way; returns what is left of it, less than the
    /// shortest of them.
    pub(super) fn leap_deep(&mut self, leaps: &Leaps, duration: f64) -> f64 {
        let (mut left, mut power) = (duration, leaps.last());
        let p = &mut self.p[..leaps.positions()];
        loop {
            self.exponent = choose_units(p, self.exponent, self.precision.bits);
            let Some((next, time, absorbed)) = leaps.leap_within(p, left, power) else {
                return if total(p) > 0.0 { left } else { 0.0 };
            };
            self.absorbed += in_ones(absorbed, self.exponent);
            left -= time;
            if leaps.is_at_rest(next) {
                return 0.0;
            }
            // A later leap may be a longer one.
            power = (next + 1).min(leaps.last());
        }
    }

    /// Goes on to `until` in a steady state, with its rate of decay.
    pub(super) fn decay_until(
        &mut self,
        rate: f64,
        segment: &mut Segment,
        until: f64,
        mut visited: Option<&mut [f64]>,
        show: &mut impl FnMut(&Segment),
    ) {
        while self.now < until {
            self.choose_units();
            if self.alive() == 0.0 {
                self.rest(segment, until);
            } else if self.precision.bits == 0 {
                self.decay(rate, segment, until, visited.as_deref_mut());
            } else {
                // Far from 0, times are further apart than that.
                let end = until.min((self.now + LIFETIMES / rate).max(self.now.next_up()));
                self.decay(rate, segment, end, visited.as_deref_mut());
            }
            show(segment);
        }
    }
}

/// Whether masses are in ones for the sake of a rate so fast.
pub(in crate::distribution) fn are_in_ones(fastest: f64) -> bool {
    fastest > FASTEST
}

/// Takes masses in units in which they are neither too small nor too large for f64; returns how many bits smaller than 1
/// these units are, from how many the old ones were. With mass below 2 to the power of `-most` they are nothing.
pub(in crate::distribution) fn choose_units(p: &mut [f64], exponent: i32, most: i32) -> i32 {
    let alive = total(p);
    if alive <= 0.0 || (LOWEST_BITS..=2 * BITS - LOWEST_BITS).contains(&(alive.log2() as i32)) {
        return exponent;
    }
    let shift = BITS - alive.log2() as i32;
    if exponent.saturating_add(shift) > most {
        p.fill(0.0);
        return exponent;
    }
    // In two steps, for one power may be beyond f64.
    let half = shift / 2;
    let (first, second) = (power_of_two(half), power_of_two(shift - half));
    for mass in p.iter_mut() {
        *mass = *mass * first * second;
    }
    exponent + shift
}

/// `value` in units that many bits smaller than 1, in units of 1.
pub(in crate::distribution) fn in_ones(value: f64, exponent: i32) -> f64 {
    let half = exponent / 2;
    value * power_of_two(-half) * power_of_two(half - exponent)
}

fn power_of_two(exponent: i32) -> f64 {
    2.0_f64.powi(exponent)
}
