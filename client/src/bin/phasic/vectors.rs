//! Vectors on the command line: `0.5,2`, or `@FILE` with one vector a line.
//!
//! Reading numbers only; how long a vector must be is for the command to say.

use crate::failure::Failure;

/// A vector, and where it came from for messages.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Vector {
    pub(crate) values: Vec<f64>,
    pub(crate) origin: String,
}

/// Reads all vectors the arguments of one flag name, in order.
pub(crate) fn read(flag: &str, arguments: &[String]) -> Result<Vec<Vector>, Failure> {
    let mut vectors = Vec::new();
    for argument in arguments {
        match argument.strip_prefix('@') {
            None => vectors.push(parse(argument, format!("{flag} {argument}"))?),
            Some(path) => vectors.extend(read_file(path)?),
        }
    }
    Ok(vectors)
}

fn read_file(path: &str) -> Result<Vec<Vector>, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::input(format!("cannot read the vectors in '{path}': {error}")))?;
    let lines = text.lines().enumerate().filter(|(_, line)| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with('#')
    });
    let vectors = lines
        .map(|(number, line)| parse(line, format!("'{path}', line {}", number + 1)))
        .collect::<Result<Vec<_>, _>>()?;
    if vectors.is_empty() {
        return Err(Failure::input(format!(
            "'{path}' holds no vector; write one a line, numbers separated by commas"
        )));
    }
    Ok(vectors)
}

fn parse(text: &str, origin: String) -> Result<Vector, Failure> {
    let number = |(place, part): (usize, &str)| match part.trim().parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err(Failure::input(format!("{origin}: number {} is not finite", place + 1))),
        Err(_) => Err(Failure::input(format!(
            "{origin}: number {} is '{}', which is no number; write a vector like 0.5,2",
            place + 1,
            part.trim()
        ))),
    };
    let values = text.split(',').enumerate().map(number).collect::<Result<_, _>>()?;
    Ok(Vector { values, origin })
}

/// Reads `VERTEX:PROBABILITY`, or a vertex that is certain.
pub(crate) fn read_start(flag: &str, text: &str) -> Result<(u32, f64), Failure> {
    let (vertex, probability) = text.split_once(':').unwrap_or((text, "1"));
    let wrong = || Failure::input(format!("{flag} {text}: write VERTEX:PROBABILITY, as in 3:0.5"));
    let vertex = vertex.trim().parse().map_err(|_| wrong())?;
    Ok((vertex, probability.trim().parse().map_err(|_| wrong())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_one(argument: &str) -> Result<Vec<Vec<f64>>, Failure> {
        Ok(read("--theta", &[argument.to_owned()])?.into_iter().map(|vector| vector.values).collect())
    }

    #[test]
    fn numbers_separated_by_commas_are_a_vector() {
        assert_eq!(read_one("0.5, 2,-1e-3").unwrap(), [[0.5, 2.0, -1e-3]]);
        assert_eq!(read_one("3").unwrap(), [[3.0]]);
    }

    #[test]
    fn a_file_holds_one_vector_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("theta.csv");
        std::fs::write(&path, "# coalescence,migration\n1,2\n\n3,4\r\n").unwrap();
        assert_eq!(read_one(&format!("@{}", path.display())).unwrap(), [[1.0, 2.0], [3.0, 4.0]]);
    }

    #[test]
    fn what_is_no_number_is_named_with_its_place() {
        let message = read_one("1,x").unwrap_err().to_string();
        assert_eq!(message, "--theta 1,x: number 2 is 'x', which is no number; write a vector like 0.5,2");
        for wrong in ["", "1,,2", "nan", "inf", "@/no/such/file"] {
            assert_eq!(read_one(wrong).unwrap_err().exit_status(), 2, "{wrong}");
        }
    }
}
