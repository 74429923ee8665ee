//! Adding up as Python does.

use num_traits::ToPrimitive;

use super::Number;
use crate::error::{Error, Kind, Result};

impl Number {
    /// Python's `self + other`: whole numbers of any size stay whole, a float makes the sum a float.
    pub fn plus(&self, other: &Self) -> Result<Self> {
        if let (Self::Int(left), Self::Int(right)) = (self, other) {
            return Ok(Self::Int(left + right));
        }
        let (left, right) = (self.to_f64(), other.to_f64());
        // Python raises OverflowError where an int does not fit into a float; infinities themselves add up
        let overflown = |number: &Self, float: f64| matches!(number, Self::Int(_)) && float.is_infinite();
        if overflown(self, left) || overflown(other, right) {
            return Err(Error::new(Kind::TooBig, "the whole number is too large to be added to a float"));
        }
        Ok(Self::Float(left + right))
    }

    /// The nearest double; infinite for whole numbers beyond all doubles.
    pub fn to_f64(&self) -> f64 {
        match self {
            Self::Int(number) => number.to_f64().unwrap_or(f64::INFINITY),
            Self::Float(number) => *number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigInt;

    #[test]
    fn sums_are_pythons() {
        let int = |number: i64| Number::Int(BigInt::from(number));
        assert_eq!(int(i64::MAX).plus(&int(1)).unwrap(), Number::Int(BigInt::from(i64::MAX) + 1));
        assert_eq!(Number::Float(1.5).plus(&int(1)).unwrap(), Number::Float(2.5));
        assert_eq!(int(1).plus(&Number::Float(0.5)).unwrap(), Number::Float(1.5));
        let huge = Number::Int(BigInt::from(10).pow(400));
        assert_eq!(huge.plus(&Number::Float(1.0)).unwrap_err().kind(), Kind::TooBig);
        assert_eq!(huge.plus(&int(1)).unwrap(), Number::Int(BigInt::from(10).pow(400) + 1));
    }
}
