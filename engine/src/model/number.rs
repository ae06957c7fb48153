//! Numbers of the expression language and their arithmetic, which is Python's.
//!
//! Python's integers have no bound; ours have 64 bits, and leaving them is an error, never a wrong or rounded number.
//! Nothing here knows about documents, names or positions.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// An integer or a float, as Python tells them apart: `6 / 2` is the float `3.0`, `6 // 2` the integer `3`.
///
/// Equality is of kind and value: `Integer(1)` differs from `Float(1.0)`, although the language's `==` takes them for
/// equal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A whole number.
    Integer(i64),
    /// A binary64 number.
    Float(f64),
}

use Number::{Float, Integer};

/// Why an operation has no result.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// `/`, `//`, `%` by zero, or zero to a negative power.
    #[error("division by zero")]
    DivisionByZero,
    /// An integer outside 64 bits.
    #[error("the integer result does not fit 64 bits")]
    IntegerOverflow,
    /// A power or exponential beyond the largest float.
    #[error("the result is too large for a float")]
    FloatOverflow,
    /// A function was asked outside its domain.
    #[error("{function} is not defined for {argument}")]
    Domain {
        /// The function.
        function: &'static str,
        /// What it was given.
        argument: Number,
    },
    /// A negative number to a fractional power.
    #[error("a negative number to a fractional power is not a real number")]
    ComplexPower,
    /// `comb` of a float.
    #[error("comb needs two integers, but one of them is {0}")]
    CombOfFloat(Number),
    /// A vector index outside the vector.
    #[error("index {index} is outside 1 to {length}")]
    IndexOutOfRange {
        /// The index asked for.
        index: i64,
        /// Length of the vector.
        length: u32,
    },
    /// Something that must be a whole number is not.
    #[error("{0} is not a whole number")]
    NotWhole(Number),
    /// A value beyond what its use allows.
    #[error("{0} is outside the range of 32-bit integers")]
    OutsideState(i64),
}

impl Number {
    /// The number as a float, rounded to nearest as Python converts.
    pub fn to_f64(self) -> f64 {
        match self {
            Integer(value) => value as f64,
            Float(value) => value,
        }
    }

    /// Whether the number is not zero; NaN counts as true, as in Python.
    pub fn is_true(self) -> bool {
        match self {
            Integer(value) => value != 0,
            Float(value) => value != 0.0,
        }
    }

    /// The number as a 64-bit integer; a float counts when it has no fraction.
    ///
    /// # Errors
    /// [`Fault::NotWhole`] for fractions, infinities, NaN, and floats beyond 64 bits.
    pub fn to_whole(self) -> Result<i64, Fault> {
        match self {
            Integer(value) => Ok(value),
            Float(value) => whole_part(value).filter(|_| value.fract() == 0.0).ok_or(Fault::NotWhole(self)),
        }
    }
}

/// `value` without its fraction, when that fits 64 bits.
fn whole_part(value: f64) -> Option<i64> {
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked; the fraction is to go")]
    (-BOUND..BOUND).contains(&value).then_some(value as i64)
}

pub(super) fn negate(value: Number) -> Result<Number, Fault> {
    match value {
        Integer(value) => value.checked_neg().map(Integer).ok_or(Fault::IntegerOverflow),
        Float(value) => Ok(Float(-value)),
    }
}

pub(super) fn add(left: Number, right: Number) -> Result<Number, Fault> {
    match (left, right) {
        (Integer(a), Integer(b)) => a.checked_add(b).map(Integer).ok_or(Fault::IntegerOverflow),
        _ => Ok(Float(left.to_f64() + right.to_f64())),
    }
}

pub(super) fn subtract(left: Number, right: Number) -> Result<Number, Fault> {
    match (left, right) {
        (Integer(a), Integer(b)) => a.checked_sub(b).map(Integer).ok_or(Fault::IntegerOverflow),
        _ => Ok(Float(left.to_f64() - right.to_f64())),
    }
}

pub(super) fn multiply(left: Number, right: Number) -> Result<Number, Fault> {
    match (left, right) {
        (Integer(a), Integer(b)) => a.checked_mul(b).map(Integer).ok_or(Fault::IntegerOverflow),
        _ => Ok(Float(left.to_f64() * right.to_f64())),
    }
}

/// `/`: always a float; of two integers the exact quotient, rounded once.
pub(super) fn divide(left: Number, right: Number) -> Result<Number, Fault> {
    if !right.is_true() {
        return Err(Fault::DivisionByZero);
    }
    Ok(Float(match (left, right) {
        (Integer(a), Integer(b)) => divide_integers(a, b),
        _ => left.to_f64() / right.to_f64(),
    }))
}

fn divide_integers(a: i64, b: i64) -> f64 {
    const EXACT: u64 = 1 << 53;
    if a.unsigned_abs() <= EXACT && b.unsigned_abs() <= EXACT {
        return a as f64 / b as f64;
    }
    // The operands themselves would be rounded: form a quotient of at least 64 bits with a sticky last bit instead.
    let (dividend, divisor) = (u128::from(a.unsigned_abs()), u128::from(b.unsigned_abs()));
    if dividend == 0 {
        return if b < 0 { -0.0 } else { 0.0 };
    }
    let shift = dividend.leading_zeros();
    let scaled = dividend << shift;
    let quotient = (scaled / divisor) | u128::from(scaled % divisor != 0);
    let magnitude = quotient as f64 * 2.0_f64.powi(-shift.cast_signed());
    if (a < 0) == (b < 0) { magnitude } else { -magnitude }
}

/// `//`: the quotient rounded towards minus infinity.
pub(super) fn floor_divide(left: Number, right: Number) -> Result<Number, Fault> {
    if !right.is_true() {
        return Err(Fault::DivisionByZero);
    }
    match (left, right) {
        (Integer(a), Integer(b)) => {
            let quotient = a.checked_div(b).ok_or(Fault::IntegerOverflow)?;
            let inexact_below_zero = a % b != 0 && (a < 0) != (b < 0);
            Ok(Integer(quotient - i64::from(inexact_below_zero)))
        }
        _ => Ok(Float(floor_quotient(left.to_f64(), right.to_f64()))),
    }
}

/// The floored quotient of floats: without its remainder a number is a multiple of the divisor, so the quotient of
/// the two is whole up to rounding.
fn floor_quotient(a: f64, b: f64) -> f64 {
    let rest = a % b;
    let below_zero = rest != 0.0 && (rest < 0.0) != (b < 0.0);
    let quotient = (a - rest) / b - if below_zero { 1.0 } else { 0.0 };
    if quotient == 0.0 {
        return 0.0_f64.copysign(a / b);
    }
    let below = quotient.floor();
    if quotient - below > 0.5 { below + 1.0 } else { below }
}

/// `%`: the remainder that has the divisor's sign.
pub(super) fn remainder(left: Number, right: Number) -> Result<Number, Fault> {
    if !right.is_true() {
        return Err(Fault::DivisionByZero);
    }
    Ok(match (left, right) {
        // -1 is apart because the one remainder of i64::MIN by -1 overflows on the way.
        (Integer(_), Integer(-1)) => Integer(0),
        (Integer(a), Integer(b)) => {
            let rest = a % b;
            Integer(if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest })
        }
        _ => Float(floor_remainder(left.to_f64(), right.to_f64())),
    })
}

fn floor_remainder(a: f64, b: f64) -> f64 {
    let rest = a % b;
    if rest == 0.0 {
        0.0_f64.copysign(b)
    } else if (rest < 0.0) == (b < 0.0) {
        rest
    } else {
        rest + b
    }
}

/// `**`: an integer only for integers with a non-negative exponent.
pub(super) fn power(base: Number, exponent: Number) -> Result<Number, Fault> {
    if let (Integer(base), Integer(exponent @ 0..)) = (base, exponent) {
        return integer_power(base, exponent).map(Integer);
    }
    let (base, exponent) = (base.to_f64(), exponent.to_f64());
    if base == 0.0 && exponent < 0.0 {
        return Err(Fault::DivisionByZero);
    }
    if base < 0.0 && base.is_finite() && exponent.is_finite() && exponent.fract() != 0.0 {
        return Err(Fault::ComplexPower);
    }
    let result = base.powf(exponent);
    if result.is_infinite() && base.is_finite() && exponent.is_finite() {
        return Err(Fault::FloatOverflow);
    }
    Ok(Float(result))
}

fn integer_power(base: i64, exponent: i64) -> Result<i64, Fault> {
    match (base, u32::try_from(exponent)) {
        (_, Ok(exponent)) => base.checked_pow(exponent).ok_or(Fault::IntegerOverflow),
        (0 | 1, Err(_)) => Ok(base),
        (-1, Err(_)) => Ok(if exponent % 2 == 0 { 1 } else { -1 }),
        _ => Err(Fault::IntegerOverflow),
    }
}

/// The order of two numbers by exact value; `None` when one is NaN.
pub(super) fn compare(left: Number, right: Number) -> Option<Ordering> {
    match (left, right) {
        (Integer(a), Integer(b)) => Some(a.cmp(&b)),
        (Float(a), Float(b)) => a.partial_cmp(&b),
        (Integer(a), Float(b)) => compare_integer(a, b),
        (Float(a), Integer(b)) => compare_integer(b, a).map(Ordering::reverse),
    }
}

fn compare_integer(a: i64, b: f64) -> Option<Ordering> {
    match whole_part(b) {
        // Equal whole parts: the fraction decides, whose sign is that of `b`.
        Some(whole) => Some(a.cmp(&whole).then_with(|| 0.0_f64.total_cmp(&(b.fract() + 0.0)))),
        None => 0.0_f64.partial_cmp(&b),
    }
}

pub(super) fn absolute(value: Number) -> Result<Number, Fault> {
    match value {
        Integer(value) => value.checked_abs().map(Integer).ok_or(Fault::IntegerOverflow),
        Float(value) => Ok(Float(value.abs())),
    }
}

pub(super) fn floor(value: Number) -> Result<Number, Fault> {
    round_with("floor", value, f64::floor)
}

pub(super) fn ceil(value: Number) -> Result<Number, Fault> {
    round_with("ceil", value, f64::ceil)
}

fn round_with(function: &'static str, value: Number, round: fn(f64) -> f64) -> Result<Number, Fault> {
    match value {
        Integer(_) => Ok(value),
        Float(float) if !float.is_finite() => Err(Fault::Domain { function, argument: value }),
        Float(float) => whole_part(round(float)).map(Integer).ok_or(Fault::IntegerOverflow),
    }
}

pub(super) fn exponential(value: Number) -> Result<Number, Fault> {
    let argument = value.to_f64();
    let result = argument.exp();
    if result.is_infinite() && argument.is_finite() {
        return Err(Fault::FloatOverflow);
    }
    Ok(Float(result))
}

pub(super) fn logarithm(value: Number) -> Result<Number, Fault> {
    match value.to_f64() {
        argument if argument <= 0.0 => Err(Fault::Domain { function: "log", argument: value }),
        argument => Ok(Float(argument.ln())),
    }
}

pub(super) fn square_root(value: Number) -> Result<Number, Fault> {
    match value.to_f64() {
        argument if argument < 0.0 => Err(Fault::Domain { function: "sqrt", argument: value }),
        argument => Ok(Float(argument.sqrt())),
    }
}

/// The number of ways to choose `k` of `n` things; integers only, as in Python.
pub(super) fn choose(n: Number, k: Number) -> Result<Number, Fault> {
    let (total, chosen) = match (n, k) {
        (Integer(total), Integer(chosen)) => (total, chosen),
        (Integer(_), other) | (other, _) => return Err(Fault::CombOfFloat(other)),
    };
    for argument in [total, chosen] {
        if argument < 0 {
            return Err(Fault::Domain { function: "comb", argument: Integer(argument) });
        }
    }
    if chosen > total {
        return Ok(Integer(0));
    }
    let chosen = chosen.min(total - chosen);
    let mut ways: i128 = 1;
    for step in 1..=chosen {
        // Exact at every step: this is comb(total - chosen + step, step), which only grows, so overflow ends the loop.
        ways = ways * i128::from(total - chosen + step) / i128::from(step);
        if ways > i128::from(i64::MAX) {
            return Err(Fault::IntegerOverflow);
        }
    }
    i64::try_from(ways).map(Integer).map_err(|_| Fault::IntegerOverflow)
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Integer(value)
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Float(value)
    }
}

/// As Python prints it: a float always shows that it is one (`2.0`).
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Integer(value) => write!(f, "{value}"),
            Float(value) => write!(f, "{value:?}"),
        }
    }
}

/// A text that is not a number a model constant can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a finite number")]
pub struct ParseNumberError(String);

/// Reads `12` as an integer and `12.0`, `1e3` as floats. Infinities, NaN and integers beyond 64 bits are refused.
impl FromStr for Number {
    type Err = ParseNumberError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || ParseNumberError(text.to_owned());
        if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-' || byte == b'+') {
            return text.parse().map(Integer).map_err(|_| refused());
        }
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Float(value)),
            _ => Err(refused()),
        }
    }
}

impl From<i32> for Number {
    fn from(value: i32) -> Self {
        Integer(i64::from(value))
    }
}

impl From<u32> for Number {
    fn from(value: u32) -> Self {
        Integer(i64::from(value))
    }
}
