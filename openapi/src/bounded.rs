//! Lists and maps of requests whose length is limited while they are read: a few bytes of text each become many times as
//! much memory, so that a body within its limit could take far more than the limit says.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Constants of one model.
const MOST_CONSTANTS: usize = 1000;

/// Characters of one constant: no number needs more, and nothing else is one.
const MOST_CHARACTERS: usize = 400;

/// Reads a list of no more than `MOST` items, and stops at the first beyond.
pub(crate) fn list<'de, D, T, const MOST: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct List<T, const MOST: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for List<T, MOST> {
        type Value = Vec<T>;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(out, "a list of up to {MOST}")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = items.next_element()? {
                if list.len() == MOST {
                    return Err(A::Error::custom(format_args!("a list has more than {MOST} items")));
                }
                list.push(item);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_seq(List::<T, MOST>(PhantomData))
}

/// Reads the constants of a model. What is no number is kept, if it is short, for whoever can say what it should be.
pub(crate) fn constants<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    struct Constants;

    impl<'de> Visitor<'de> for Constants {
        type Value = Map<String, Value>;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("numbers by name")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut constants = Map::new();
            while let Some((name, value)) = entries.next_entry::<String, Box<RawValue>>()? {
                if constants.len() == MOST_CONSTANTS {
                    return Err(A::Error::custom(format_args!(
                        "a model has more than {MOST_CONSTANTS} constants"
                    )));
                }
                let text = value.get();
                if text.len() > MOST_CHARACTERS {
                    return Err(A::Error::custom(format_args!("the constant {name:?} must be a number")));
                }
                constants.insert(name, serde_json::from_str(text).map_err(A::Error::custom)?);
            }
            Ok(constants)
        }
    }

    deserializer.deserialize_map(Constants)
}

#[cfg(test)]
mod tests {
    use crate::{EvaluateRequest, ModelSource};

    #[test]
    fn lists_end_where_they_may_and_are_refused_beyond() {
        let read = |count: usize| {
            let rewards = vec!["[1]"; count].join(",");
            let text = format!(r#"{{"model": {{"builtin": "kingman"}}, "rewards": [{rewards}]}}"#);
            serde_json::from_str::<EvaluateRequest>(&text).map(|request| request.rewards.len())
        };
        assert_eq!(read(64).unwrap(), 64);
        assert!(read(65).unwrap_err().to_string().contains("more than 64 items"));
    }

    #[test]
    fn constants_are_few_and_short() {
        let read = |count: usize, value: &str| {
            let all: Vec<String> = (0..count).map(|place| format!("\"c{place}\": {value}")).collect();
            let text = format!(r#"{{"builtin": "kingman", "constants": {{{}}}}}"#, all.join(","));
            serde_json::from_str::<ModelSource>(&text).map(|source| source.constants.len())
        };
        assert_eq!(read(1000, "7").unwrap(), 1000);
        assert!(read(1001, "7").unwrap_err().to_string().contains("more than 1000 constants"));
        assert_eq!(read(1, "[1, 2]").unwrap(), 1, "whoever builds the model says what is wrong with it");
        let long = format!("[{}0]", "0,".repeat(500));
        assert!(read(1, &long).unwrap_err().to_string().contains("\"c0\" must be a number"));
    }
}
