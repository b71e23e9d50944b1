//! The 128-bit ids of systemd: of boots, machines, files, invocations.

use std::fmt;
use std::str::FromStr;

use super::Corrupt;

/// A 128-bit id, written as 32 lowercase hexadecimal digits.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub [u8; 16]);

impl Id {
    /// Whether all bits are zero, which stands for none.
    pub fn is_null(self) -> bool {
        self == Id::default()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads 32 hexadecimal digits, with or without the dashes of a UUID.
impl FromStr for Id {
    type Err = Corrupt;

    fn from_str(text: &str) -> Result<Id, Corrupt> {
        let wrong = Corrupt::new(0, "an id has 32 hexadecimal digits");
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
        if digits.len() != 32 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(wrong);
        }
        let digits = std::str::from_utf8(&digits).map_err(|_| wrong)?;
        Ok(Id(u128::from_str_radix(digits, 16).map_err(|_| wrong)?.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written() {
        let id: Id = "3bb427c1a1da059d2ad1245c92010b38".parse().unwrap();
        assert_eq!(id.to_string(), "3bb427c1a1da059d2ad1245c92010b38");
        assert_eq!("3bb427c1-a1da-059d-2ad1-245c92010b38".parse::<Id>(), Ok(id));
        for wrong in ["", "3bb4", "3bb427c1a1da059d2ad1245c92010b3g", "+bb427c1a1da059d2ad1245c92010b38"] {
            assert!(wrong.parse::<Id>().is_err(), "{wrong}");
        }
    }
}
