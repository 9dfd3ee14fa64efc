//! SHA-256 hash of a file.

use std::fmt;
use std::str::FromStr;

use super::form::{InvalidValue, text_value};
use crate::rule::Rule;
use crate::yaml::quote;

/// SHA-256 of a file's bytes, written `sha256:` and 64 hexadecimal digits.
///
/// ```
/// let hash: crisol_schema::Sha256Hash = format!("sha256:{}", "0f".repeat(32)).parse()?;
/// assert_eq!(hash.as_bytes(), &[0x0f; 32]);
/// # Ok::<(), crisol_schema::InvalidValue>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256Hash([u8; 32]);

impl Sha256Hash {
    /// Name of the field with the hash.
    pub(crate) const NAME: &'static str = "hash";

    /// Placeholder for a missing or malformed hash. No file has it.
    pub(crate) const NONE: Self = Self([0; 32]);

    /// Returns the hash as 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Sha256Hash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl FromStr for Sha256Hash {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let bad = |why: String| {
            let message = format!("{} is not a hash: {why}", quote(text));
            let help = "run `crisol pin`, which writes the hash of the file";
            InvalidValue::new(Rule::BAD_HASH, message, help)
        };
        let digits = match text.split_once(':') {
            Some(("sha256", digits)) => digits,
            Some((other, _)) => {
                return Err(bad(format!("the algorithm is {}, not `sha256`", quote(other))));
            }
            None => return Err(bad("it does not begin with `sha256:`".to_owned())),
        };
        if let Some(odd) = digits.chars().find(|c| !c.is_ascii_hexdigit()) {
            return Err(bad(format!("{odd:?} is not a hexadecimal digit")));
        }
        if digits.len() != 64 {
            let many = digits.len();
            let s = if many == 1 { "" } else { "s" };
            return Err(bad(format!("it has {many} digit{s}, not 64")));
        }
        let nibble = |byte: u8| (byte as char).to_digit(16).unwrap_or(0) as u8;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            *byte = pair.iter().fold(0, |sum, &digit| (sum << 4) | nibble(digit));
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Sha256Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

text_value!(Sha256Hash, "text", "sha256:<64 hexadecimal digits>", {
    "type": "string",
    "pattern": "^sha256:[0-9a-fA-F]{64}$"
}, "run `crisol pin`, which writes the hash of the file");
