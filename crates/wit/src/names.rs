//! The spellings of one name: `add-two` in WIT, `add_two` in a module's exports, `AddTwo` in Rust.

/// `name` in kebab-case, as WIT would have it: `_`, `.` and a capital after a small letter all begin a
/// new word.
///
/// A name without any letter or digit gives an empty one.
#[must_use]
pub fn kebab(name: &str) -> String {
    let mut folded = String::with_capacity(name.len());
    let mut last = '-';
    for c in name.chars() {
        if !c.is_alphanumeric() {
            if last != '-' {
                folded.push('-');
            }
            last = '-';
            continue;
        }
        if c.is_uppercase() && (last.is_lowercase() || last.is_ascii_digit()) {
            folded.push('-');
        }
        folded.extend(c.to_lowercase());
        last = c;
    }
    folded.truncate(folded.trim_end_matches('-').len());
    folded
}

#[cfg(test)]
mod tests {
    use super::kebab;

    #[test]
    fn all_spellings_of_a_name_fold_to_one() {
        for name in ["add-two", "add_two", "addTwo", "AddTwo", "_add__two", "add.two"] {
            assert_eq!(kebab(name), "add-two", "{name}");
        }
        assert_eq!(kebab("_start"), "start");
        assert_eq!(kebab("sha256"), "sha256");
        assert_eq!(kebab("HTTP"), "http");
        assert_eq!(kebab("__"), "");
    }
}
