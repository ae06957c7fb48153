//! The random numbers of a sample, and what is made of them. This is a promise: see [`Sampler`](super::Sampler).
//!
//! Each sample has a generator of its own, so it does not depend on which samples are drawn beside it. Only additions,
//! multiplications, divisions and shifts are used, so every processor computes the same bits.

/// The increment of `SplitMix64` (Steele, Lea and Flood, OOPSLA 2014).
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// The output function of `SplitMix64`.
#[inline(always)]
fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The state of the generator of one sample.
#[inline(always)]
pub(super) fn seeded(seed: u64, sample: u64) -> [u64; 4] {
    let base = mix(seed.wrapping_add(GAMMA)).wrapping_add(sample.wrapping_mul(4).wrapping_mul(GAMMA));
    std::array::from_fn(|k| mix(base.wrapping_add(GAMMA.wrapping_mul(k as u64 + 1))))
}

/// One step of xoshiro256++ (Blackman and Vigna, ACM Trans. Math. Softw. 47, 2021).
#[inline(always)]
pub(super) fn next([a, b, c, d]: [u64; 4]) -> (u64, [u64; 4]) {
    let output = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
    let (c1, d1) = (c ^ a, d ^ b);
    (output, [a ^ d1, b ^ c1, c1 ^ (b << 17), d1.rotate_left(45)])
}

/// A number of the unit exponential distribution: `−ln(1 − u)` with `u` the upper 52 bits, a multiple of 2⁻⁵² below 1.
#[inline(always)]
pub(super) fn exponential(bits: u64) -> f64 {
    // 1 + u lies in [1, 2), so 1 − u is exact.
    minus_ln(2.0 - f64::from_bits(0x3ff0_0000_0000_0000 | (bits >> 12)))
}

/// `−ln x` for x in [2⁻⁵², 1], within 2 ulp: `x = 2ᵏ·m` with m in [√½, √2), `ln m = 2 artanh((m − 1)/(m + 1))` by a
/// polynomial. No branch, so that lanes can run side by side.
#[inline(always)]
fn minus_ln(x: f64) -> f64 {
    /// The bits of √½, which is where the exponent of m changes.
    const HALF_ROOT: u64 = 0x3fe6_a09e_667f_3bcd;
    /// Keeps the exponent positive while it is an integer.
    const OFFSET: u64 = 1024;
    /// Bits of 2⁵²: or-ing a small integer into them makes it a float above 2⁵².
    const INTEGER: u64 = 0x4330_0000_0000_0000;
    /// ln 2 in two parts, the first with enough zeros that its products with exponents are exact.
    const LN_2: (f64, f64) = (0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10);
    /// 2/3 + 2z/5 + 2z²/7 + … as the polynomial through its values at the Chebyshev nodes of the range of z, [0, 0.0295];
    /// it is off by less than 4e-16, which is 6e-18 of ln m.
    const SERIES: [f64; 7] = [
        0.666_666_666_666_667,
        0.399_999_999_998_995_05,
        0.285_714_286_259_754_87,
        0.222_222_111_347_950_8,
        0.181_828_891_252_617_23,
        0.153_317_216_005_560_42,
        0.146_164_496_850_434_06,
    ];
    let shifted = x.to_bits().wrapping_sub(HALF_ROOT).wrapping_add(OFFSET << 52);
    let k = f64::from_bits(INTEGER | (shifted >> 52)) - (4_503_599_627_370_496.0 + 1024.0);
    let m = f64::from_bits((shifted & 0x000f_ffff_ffff_ffff).wrapping_add(HALF_ROOT));
    let f = m - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let (z2, z4) = (z * z, (z * z) * (z * z));
    let a = SERIES[0] + z * SERIES[1];
    let b = SERIES[2] + z * SERIES[3];
    let c = SERIES[4] + z * SERIES[5];
    let series = z * ((a + z2 * b) + z4 * (c + z2 * SERIES[6]));
    // ln m = f − s·(f − series), as 2s = f − s·f.
    let ln_m = f - s * (f - series);
    -(k * LN_2.0 + (k * LN_2.1 + ln_m))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::{Rng, SeedableRng};

    #[test]
    fn the_generator_is_xoshiro256_plus_plus_seeded_by_splitmix64() {
        for (seed, sample) in [(0, 0), (0, 1), (1, 0), (u64::MAX, 12_345_678_901)] {
            let base =
                mix(GAMMA.wrapping_add(seed)).wrapping_add(GAMMA.wrapping_mul(4_u64.wrapping_mul(sample)));
            let mut reference = Xoshiro256PlusPlus::seed_from_u64(base);
            let mut state = seeded(seed, sample);
            for _ in 0..1000 {
                let (found, after) = next(state);
                state = after;
                assert_eq!(found, reference.next_u64());
            }
        }
        // SplitMix64's published first output for the seed 1234567.
        assert_eq!(mix(1_234_567_u64.wrapping_add(GAMMA)), 6_457_827_717_110_365_317);
    }

    #[test]
    fn the_logarithm_is_right_to_two_units_in_the_last_place() {
        let mut state = seeded(1, 1);
        let mut worst = 0.0_f64;
        let check = |x: f64, worst: &mut f64| {
            let (found, wanted) = (minus_ln(x), -x.ln());
            let error = if wanted == 0.0 { found.abs() } else { ((found - wanted) / wanted).abs() };
            *worst = worst.max(error);
        };
        for round in 0..200_000_u32 {
            let (bits, after) = next(state);
            state = after;
            // All magnitudes, and close to 1 as well.
            let u = f64::from_bits(0x3ff0_0000_0000_0000 | (bits >> 12)) - 1.0;
            let tiny = (u * 2.0_f64.powi(-(round % 52).cast_signed())).max(2.0_f64.powi(-52));
            check(1.0 - u, &mut worst);
            check(tiny, &mut worst);
            check(1.0 - (tiny * 2.0_f64.powi(52)).round() * 2.0_f64.powi(-52) * 0.5, &mut worst);
        }
        for x in [1.0, 0.5, 2.0_f64.powi(-52), 0.5_f64.sqrt(), 1.0 - f64::EPSILON / 2.0] {
            check(x, &mut worst);
        }
        assert!(worst < 2.0 * f64::EPSILON, "{worst:e}");
    }

    #[test]
    fn exponential_numbers_are_never_negative_nor_infinite() {
        assert_eq!(exponential(0), 0.0);
        assert_eq!(exponential(0xfff), 0.0);
        assert!((exponential(u64::MAX) - 52.0 * 2.0_f64.ln()).abs() < 1e-14);
    }
}
