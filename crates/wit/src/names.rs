//! Spellings of one name: `add-two` in WIT, `add_two` in a module's exports, `AddTwo` in Rust.

/// Returns the common form of all spellings of a name: lowercase words with `-` between them.
///
/// A `_` becomes a `-`, and a capital after a lowercase letter or a digit starts a new word. Other characters stay, so
/// `add.two` and `add two` are different names.
#[must_use]
pub fn folded(name: &str) -> String {
    let mut folded = String::with_capacity(name.len());
    let mut last = '-';
    for c in name.chars() {
        if c.is_uppercase() && (last.is_lowercase() || last.is_ascii_digit()) {
            folded.push('-');
        }
        match c {
            '_' => folded.push('-'),
            c => folded.extend(c.to_lowercase()),
        }
        last = c;
    }
    folded
}

/// Makes a WIT name from `name`: like [`folded`], but any character that is neither a letter nor a digit ends a word.
///
/// Returns an empty name for a name without letters or digits.
#[must_use]
pub fn kebab(name: &str) -> String {
    let folded = folded(name);
    let words = folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::{folded, kebab};

    #[test]
    fn all_spellings_of_a_name_fold_to_one() {
        for name in ["add-two", "add_two", "addTwo", "AddTwo", "Add_Two", "ADD_TWO"] {
            assert_eq!(folded(name), "add-two", "{name}");
            assert_eq!(kebab(name), "add-two", "{name}");
        }
        for name in ["sha256", "http"] {
            assert_eq!(folded(name), name);
        }
        assert_eq!(folded("sha256Sum"), "sha256-sum");
        assert_eq!(folded("HTTP"), "http");
    }

    #[test]
    fn other_punctuation_is_kept() {
        for name in
            ["add.two", "add two", "add/two", "add#two", "_add__two", "add--two", "add-two-"]
        {
            assert_ne!(folded(name), "add-two", "{name}");
            assert_eq!(kebab(name), "add-two", "{name}");
        }
        assert_eq!(kebab("_start"), "start");
        assert_eq!(kebab("__"), "");
    }
}
