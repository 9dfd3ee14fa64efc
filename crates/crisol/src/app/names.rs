//! Names that people write, held against the ids of entries.

use crisol_core::EntryId;

/// Likeness from which on a name is suggested.
const NEAR: f64 = 0.8;

/// Whether a text means an entry: by its id, be it with other marks between the parts (`shop.total`), or by its name
/// alone.
pub(crate) fn is_meant(text: &str, id: &EntryId) -> bool {
    text == id.name() || fold(text) == fold(id.as_str())
}

/// The id that a text is most like, the first of several that are as near.
pub(crate) fn nearest<'a>(
    text: &str,
    ids: impl Iterator<Item = &'a EntryId>,
) -> Option<&'a EntryId> {
    let alike = ids.map(|id| (alike(text, id), id)).filter(|(alike, _)| *alike > NEAR);
    alike.max_by(|(a, one), (b, two)| a.total_cmp(b).then(two.cmp(one))).map(|(_, id)| id)
}

fn alike(text: &str, id: &EntryId) -> f64 {
    let whole = strsim::jaro_winkler(&fold(text), &fold(id.as_str()));
    // A name without its namespace is compared with names.
    if text.contains(':') { whole } else { whole.max(strsim::jaro_winkler(text, id.name())) }
}

/// A text with one mark between its parts.
fn fold(text: &str) -> String {
    text.replace("::", ":").replace(['.', '/', '#'], ":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_by_what_people_write() {
        let ids = ["shop:total", "shop.cart:total", "shop:assets"].map(|id| id.parse().unwrap());
        let near = |text: &str| nearest(text, ids.iter()).map(EntryId::as_str);
        for (text, id) in [
            ("shop.total", Some("shop:total")),
            ("shop/total", Some("shop:total")),
            ("shop.cart.total", Some("shop.cart:total")),
            ("shop.totl", Some("shop:total")),
            ("total", Some("shop.cart:total")),
            ("asets", Some("shop:assets")),
            ("else", None),
        ] {
            assert_eq!(near(text), id, "{text}");
        }
        assert!(is_meant("assets", &ids[2]) && is_meant("shop::assets", &ids[2]));
        assert!(!is_meant("asset", &ids[2]) && !is_meant("cart:assets", &ids[2]));
    }
}
