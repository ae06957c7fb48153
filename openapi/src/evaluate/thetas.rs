//! Parameter vectors in one block of memory, however many there are.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One θ, or many of the same length.
///
/// Written as a list of numbers, or as a list of lists. Read without a second copy: 8 bytes a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Thetas {
    values: Vec<f64>,
    width: usize,
    /// `None` for one θ written as a flat list.
    rows: Option<usize>,
}

impl Thetas {
    /// One θ.
    pub fn one(theta: Vec<f64>) -> Self {
        Self { width: theta.len(), values: theta, rows: None }
    }

    /// Many θ.
    ///
    /// # Errors
    /// The sentence to show when they are not of one length.
    pub fn many(thetas: &[Vec<f64>]) -> Result<Self, String> {
        let mut all = Self::none();
        thetas.iter().try_for_each(|theta| all.add(theta))?;
        Ok(all)
    }

    const fn none() -> Self {
        Self { values: Vec::new(), width: 0, rows: Some(0) }
    }

    fn add(&mut self, theta: &[f64]) -> Result<(), String> {
        let row = self.rows.unwrap_or_default();
        if row == 0 {
            self.width = theta.len();
        } else if theta.len() != self.width {
            let (found, width) = (theta.len(), self.width);
            return Err(format!(
                "theta number {row} (counted from 0) has {found} numbers, those before it {width}"
            ));
        }
        self.values.extend_from_slice(theta);
        self.rows = Some(row + 1);
        Ok(())
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.rows.unwrap_or(1)
    }

    /// Numbers of each.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Whether it is one θ, written as a flat list.
    pub fn is_flat(&self) -> bool {
        self.rows.is_none()
    }

    /// All numbers, one θ after the other.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The θ of this number, counted from 0. Empty beyond the last.
    pub fn get(&self, index: usize) -> &[f64] {
        self.values.get(index * self.width..(index + 1) * self.width).unwrap_or_default()
    }
}

impl Serialize for Thetas {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.rows {
            None => self.values.serialize(serializer),
            Some(rows) => serializer.collect_seq((0..rows).map(|row| self.get(row))),
        }
    }
}

impl<'de> Deserialize<'de> for Thetas {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ThetasVisitor)
    }
}

struct ThetasVisitor;

impl<'de> Visitor<'de> for ThetasVisitor {
    type Value = Thetas;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list of numbers, or a list of such lists")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Thetas, A::Error> {
        let mut thetas = match items.next_element::<Item>()? {
            None => return Ok(Thetas::one(Vec::new())),
            Some(Item::Number(first)) => {
                let mut theta = vec![first];
                while let Some(number) = items.next_element()? {
                    theta.push(number);
                }
                return Ok(Thetas::one(theta));
            }
            Some(Item::Row(row)) => Thetas::many(&[row]).map_err(A::Error::custom)?,
        };
        while let Some(row) = items.next_element::<Vec<f64>>()? {
            thetas.add(&row).map_err(A::Error::custom)?;
        }
        Ok(thetas)
    }
}

/// What the outer list begins with.
enum Item {
    Number(f64),
    Row(Vec<f64>),
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ItemVisitor)
    }
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a number or a list of numbers")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Item, E> {
        Ok(Item::Number(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Item, E> {
        Ok(Item::Number(value as f64))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Item, E> {
        Ok(Item::Number(value as f64))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Item, A::Error> {
        let mut row = Vec::new();
        while let Some(number) = items.next_element()? {
            row.push(number);
        }
        Ok(Item::Row(row))
    }
}
