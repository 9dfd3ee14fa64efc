//! Scan of JSON text for integers below `s64`: the JSON reader turns them into floats.

/// Returns true if `text` contains an integer below every `s64`.
pub(crate) fn has_integer_below_s64(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        rest = match first {
            b'"' => after_string(tail),
            b'-' => {
                let is_number =
                    |c: &u8| c.is_ascii_digit() || matches!(c, b'.' | b'e' | b'E' | b'+' | b'-');
                let end = tail.iter().position(|c| !is_number(c)).unwrap_or(tail.len());
                let (digits, after) = tail.split_at(end);
                if digits.iter().all(u8::is_ascii_digit) && is_over(digits) {
                    return true;
                }
                after
            }
            _ => tail,
        };
    }
    false
}

/// Skips the rest of a string, after its opening quote.
fn after_string(text: &[u8]) -> &[u8] {
    let mut at = 0;
    while let Some(c) = text.get(at) {
        at += match c {
            b'"' => return text.get(at + 1..).unwrap_or_default(),
            b'\\' => 2,
            _ => 1,
        };
    }
    &[]
}

/// Returns true if `digits` are over 2⁶³; JSON allows no leading zeros.
fn is_over(digits: &[u8]) -> bool {
    let least = b"9223372036854775808";
    digits.len() > least.len() || digits.len() == least.len() && digits > &least[..]
}

#[cfg(test)]
mod tests {
    use super::has_integer_below_s64;

    #[test]
    fn integers_below_s64_are_found() {
        for text in [
            "-9223372036854775809",
            "[1,-9223372036854775809]",
            "{\"a\\\"\":-10000000000000000000}",
            "[\"\\\\\",-99999999999999999999]",
        ] {
            assert!(has_integer_below_s64(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            "-9223372036854775808",
            "9223372036854775809",
            "-9223372036854775809.0",
            "-9223372036854775809e0",
            "[\"-9223372036854775809\"]",
            "[\"a\\\",-9223372036854775809\"]",
            "\"-9223372036854775809",
            "\"\\",
        ] {
            assert!(!has_integer_below_s64(text.as_bytes()), "{text}");
        }
    }
}
