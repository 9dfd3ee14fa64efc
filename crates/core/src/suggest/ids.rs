//! Entry ids in the spellings that users type.

use super::nearest;
use crate::EntryId;

/// Returns true if a text refers to an entry: by its id, by its id with other separators (`shop.total`), or by its name
/// alone.
#[must_use]
pub fn refers_to(text: &str, id: &EntryId) -> bool {
    text == id.name() || with_colons(text) == with_colons(id.as_str())
}

/// Finds the id most similar to a text: by the whole id, or, for a text without a namespace, by the name alone. Of
/// equally similar ids, returns the first in order.
pub fn nearest_id<'a>(
    text: &str,
    ids: impl IntoIterator<Item = &'a EntryId>,
) -> Option<&'a EntryId> {
    let ids: Vec<(String, &EntryId)> =
        ids.into_iter().map(|id| (with_colons(id.as_str()), id)).collect();
    let whole = nearest(&with_colons(text), ids.iter().map(|(whole, _)| &**whole));
    let of_whole = whole.and_then(|near| ids.iter().filter(|(whole, _)| whole == near).min());
    let of_name = || {
        let name = nearest(text, ids.iter().map(|(_, id)| id.name()))?;
        ids.iter().filter(|(_, id)| id.name() == name).min()
    };
    let found = of_whole.or_else(|| if text.contains(':') { None } else { of_name() });
    found.map(|(_, id)| *id)
}

/// Replaces all separators of a text by `:`.
fn with_colons(text: &str) -> String {
    text.replace("::", ":").replace(['.', '/', '#'], ":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_match_common_spellings() {
        let ids = ["shop:total", "shop.cart:total", "shop:assets"].map(|id| id.parse().unwrap());
        let near = |text: &str| nearest_id(text, &ids).map(EntryId::as_str);
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
        assert!(refers_to("assets", &ids[2]) && refers_to("shop::assets", &ids[2]));
        assert!(!refers_to("asset", &ids[2]) && !refers_to("cart:assets", &ids[2]));
    }
}
