//! Matching of names that users type with entry ids.

use crisol_core::EntryId;

/// Similarity (0 to 1) above which a name is suggested.
const NEAR: f64 = 0.8;

/// Tells whether a text means an entry: by its id, by its id with other separators (`shop.total`), or by its name
/// alone.
pub(crate) fn is_meant(text: &str, id: &EntryId) -> bool {
    text == id.name() || fold(text) == fold(id.as_str())
}

/// Finds the id most similar to a text; of equally similar ids, the first in order.
pub(crate) fn nearest<'a>(
    text: &str,
    ids: impl Iterator<Item = &'a EntryId>,
) -> Option<&'a EntryId> {
    let alike = ids.map(|id| (alike(text, id), id)).filter(|(alike, _)| *alike > NEAR);
    alike.max_by(|(a, one), (b, two)| a.total_cmp(b).then(two.cmp(one))).map(|(_, id)| id)
}

fn alike(text: &str, id: &EntryId) -> f64 {
    let whole = strsim::jaro_winkler(&fold(text), &fold(id.as_str()));
    // Text without a namespace is compared with bare names too.
    if text.contains(':') { whole } else { whole.max(strsim::jaro_winkler(text, id.name())) }
}

/// Replaces all separators of a text by `:`.
fn fold(text: &str) -> String {
    text.replace("::", ":").replace(['.', '/', '#'], ":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_match_common_spellings() {
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
