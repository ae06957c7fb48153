//! Lists of numbers in a question: `0.5,2`, a grid `0:10:101`, or `@FILE`; and observations, which may end with `+`.
//!
//! Reading numbers and their places only; what they mean is for the quantity to say.

use phasic_engine::question::Observations;

use crate::failure::Failure;

/// Most numbers one list may have.
pub(crate) const MOST: usize = 1_000_000;

/// Reads the numbers behind the `=` of a quantity. `fits` says which are allowed, `rule` says so in words.
///
/// `FROM:TO:COUNT` stands for evenly spaced numbers, both ends among them.
pub(crate) fn read(
    quantity: &str,
    text: &str,
    fits: impl Fn(f64) -> bool,
    rule: &str,
) -> Result<Vec<f64>, Failure> {
    let mut numbers = Vec::new();
    each_part(quantity, text, |part, place| {
        let before = numbers.len();
        if part.contains(':') {
            numbers
                .extend(grid(part).map_err(|why| Failure::input(format!("{} is '{part}': {why}", place())))?);
        } else {
            numbers.push(number(part, place)?);
        }
        if numbers.len() > MOST {
            return Err(Failure::input(format!("{quantity} takes at most {MOST} numbers")));
        }
        match numbers[before..].iter().find(|&&value| !fits(value)) {
            Some(wrong) => Err(Failure::input(format!("{} is {wrong}; {rule}", place()))),
            None => Ok(()),
        }
    })?;
    Ok(numbers)
}

/// Reads observations: numbers from 0 on, those of processes still alive with a `+` after them.
pub(crate) fn read_observations(quantity: &str, text: &str) -> Result<Observations, Failure> {
    let mut observations = Observations::default();
    each_part(quantity, text, |part, place| {
        let (written, list) = match part.strip_suffix('+') {
            Some(written) => (written, &mut observations.alive),
            None => (part, &mut observations.seen),
        };
        let value = number(written, place)?;
        if value < 0.0 {
            return Err(Failure::input(format!(
                "{} is {value}; observations are numbers from 0 on",
                place()
            )));
        }
        list.push(value);
        Ok(())
    })?;
    Ok(observations)
}

/// Shows each part between commas, and its place for messages.
fn each_part(
    quantity: &str,
    text: &str,
    mut show: impl FnMut(&str, &dyn Fn() -> String) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut line = |text: &str, origin: &str| {
        text.split(',')
            .enumerate()
            .try_for_each(|(at, part)| show(part.trim(), &|| format!("{origin}: number {}", at + 1)))
    };
    let Some(path) = text.strip_prefix('@') else { return line(text, &format!("--quantity {quantity}")) };
    let content = std::fs::read_to_string(path)
        .map_err(|error| Failure::input(format!("cannot read the numbers in '{path}': {error}")))?;
    let mut empty = true;
    for (at, text) in content.lines().enumerate().filter(|(_, text)| {
        let text = text.trim();
        !text.is_empty() && !text.starts_with('#')
    }) {
        empty = false;
        line(text, &format!("'{path}', line {}", at + 1))?;
    }
    if empty {
        return Err(Failure::input(format!(
            "'{path}' holds no number; write one a line, or several with commas"
        )));
    }
    Ok(())
}

fn number(part: &str, place: &dyn Fn() -> String) -> Result<f64, Failure> {
    match part.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err(Failure::input(format!("{} is not finite", place()))),
        Err(_) => Err(Failure::input(format!(
            "{} is '{part}', which is no number; write 0.5,2 or a grid FROM:TO:COUNT like 0:10:101",
            place()
        ))),
    }
}

/// The numbers of `FROM:TO:COUNT`.
fn grid(text: &str) -> Result<Vec<f64>, String> {
    let parts: Vec<&str> = text.split(':').map(str::trim).collect();
    let &[from, to, count] = &parts[..] else {
        return Err("a grid is written FROM:TO:COUNT, like 0:10:101".to_owned());
    };
    let end = |part: &str| match part.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(format!("'{part}' is no end of a grid; write FROM:TO:COUNT, like 0:10:101")),
    };
    let (from, to) = (end(from)?, end(to)?);
    let count: usize = match count.parse() {
        Ok(count @ 2..=MOST) => count,
        _ => return Err(format!("COUNT is a whole number from 2 to {MOST}")),
    };
    let last = (count - 1) as f64;
    // Weighted sums give both ends, and decimals like 0.1, as they would be written.
    Ok((0..count).map(|at| at as f64).map(|at| (from * (last - at) + to * at) / last).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(text: &str) -> Result<Vec<f64>, String> {
        read("pdf", text, |value| value >= 0.0, "times are numbers from 0 on")
            .map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_and_grids_mix_and_grids_have_both_ends() {
        assert_eq!(times("0.5, 2").unwrap(), [0.5, 2.0]);
        assert_eq!(times("0:1:5,7").unwrap(), [0.0, 0.25, 0.5, 0.75, 1.0, 7.0]);
        let tenths = times("0:10:101").unwrap();
        assert_eq!((tenths.len(), tenths[3], tenths[100]), (101, 0.3, 10.0));
        assert_eq!(times("3:1:3").unwrap(), [3.0, 2.0, 1.0]);
    }

    #[test]
    fn a_file_has_numbers_by_lines_and_commas() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.csv");
        std::fs::write(&path, "# days\n1, 2+\n\n0.5\r\n").unwrap();
        let found = read_observations("loglik", &format!("@{}", path.display())).unwrap();
        assert_eq!(found, Observations { seen: vec![1.0, 0.5], alive: vec![2.0] });
        std::fs::write(&path, "time\n1\n").unwrap();
        let message = read_observations("loglik", &format!("@{}", path.display())).unwrap_err().to_string();
        assert!(message.contains("line 1: number 1 is 'time', which is no number"), "{message}");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, message) in [
            ("1,x", "--quantity pdf: number 2 is 'x', which is no number"),
            ("", "number 1 is ''"),
            ("1,-2", "number 2 is -2; times are numbers from 0 on"),
            ("nan", "number 1 is not finite"),
            ("0:1", "number 1 is '0:1': a grid is written FROM:TO:COUNT"),
            ("0:1:1", "COUNT is a whole number from 2 to 1000000"),
            ("0:1:1000001", "COUNT is"),
            ("0:inf:3", "'inf' is no end of a grid"),
            ("-1:1:3", "number 1 is -1; times"),
            ("0:1:1000000,3", "at most 1000000 numbers"),
            ("@/no/such/file", "cannot read the numbers in '/no/such/file'"),
        ] {
            let found = times(text).unwrap_err();
            assert!(found.contains(message), "{text}: {found}");
        }
    }
}
