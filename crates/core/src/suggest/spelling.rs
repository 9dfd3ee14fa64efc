//! Spellings of one name: `add-two` in WIT, `add_two` in a module's exports, `AddTwo` in Rust.

/// Returns the common form of all spellings of a name: lowercase words with `-` between them.
///
/// A `_` becomes a `-`, and a capital after a lowercase letter or a digit starts a new word. Other characters stay, so
/// `add.two` and `add two` are different names.
#[must_use]
pub fn spelling_key(name: &str) -> String {
    let mut key = String::with_capacity(name.len());
    let mut last = '-';
    for c in name.chars() {
        if c.is_uppercase() && (last.is_lowercase() || last.is_ascii_digit()) {
            key.push('-');
        }
        match c {
            '_' => key.push('-'),
            c => key.extend(c.to_lowercase()),
        }
        last = c;
    }
    key
}

/// Makes a WIT name from `name`: like [`spelling_key`], but any character that is neither a letter nor a digit ends a word.
///
/// Returns an empty name for a name without letters or digits.
#[must_use]
pub fn kebab(name: &str) -> String {
    let key = spelling_key(name);
    let words = key.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::{kebab, spelling_key};

    #[test]
    fn all_spellings_of_a_name_have_one_key() {
        for name in ["add-two", "add_two", "addTwo", "AddTwo", "Add_Two", "ADD_TWO"] {
            assert_eq!(spelling_key(name), "add-two", "{name}");
            assert_eq!(kebab(name), "add-two", "{name}");
        }
        for name in ["sha256", "http"] {
            assert_eq!(spelling_key(name), name);
        }
        assert_eq!(spelling_key("sha256Sum"), "sha256-sum");
        assert_eq!(spelling_key("HTTP"), "http");
    }

    #[test]
    fn other_punctuation_is_kept() {
        for name in
            ["add.two", "add two", "add/two", "add#two", "_add__two", "add--two", "add-two-"]
        {
            assert_ne!(spelling_key(name), "add-two", "{name}");
            assert_eq!(kebab(name), "add-two", "{name}");
        }
        assert_eq!(kebab("_start"), "start");
        assert_eq!(kebab("__"), "");
    }
}
