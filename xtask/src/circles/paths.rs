//! Paths in the items of one module, and the names that its `use` items bind.

use std::collections::BTreeMap;

use proc_macro2::TokenStream;
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Attribute, Ident, Item, Meta, Token, UseTree};

use crate::tokens::{self, Kind};

/// Path of two or more names, or the single name of a macro, with its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) path: Vec<String>,
    pub(super) line: usize,
}

#[derive(Default)]
pub(super) struct Paths {
    pub(super) references: Vec<Reference>,
    /// Name → paths that it stands for. Bindings in function bodies count for the whole module.
    pub(super) bindings: BTreeMap<String, Vec<Vec<String>>>,
    /// Paths of glob imports.
    pub(super) globs: Vec<Vec<String>>,
    pub(super) exported_macros: Vec<String>,
}

impl Paths {
    pub(super) fn add(&mut self, item: &Item) {
        self.visit_item(item);
    }

    fn refer(&mut self, path: Vec<String>, line: usize) {
        self.references.push(Reference { path, line });
    }

    fn import(&mut self, tree: &UseTree, prefix: &[String]) {
        let path = |ident: &Ident| {
            let mut path = prefix.to_vec();
            path.extend(
                Some(ident.unraw().to_string()).filter(|name| name != "self" || prefix.is_empty()),
            );
            path
        };
        match tree {
            UseTree::Path(inner) => self.import(&inner.tree, &path(&inner.ident)),
            UseTree::Name(name) => self.bind(path(&name.ident), None, &name.ident),
            UseTree::Rename(name) => {
                self.bind(path(&name.ident), Some(&name.rename), &name.ident);
            }
            UseTree::Glob(glob) => {
                self.refer(prefix.to_vec(), glob.star_token.spans[0].start().line);
                self.globs.push(prefix.to_vec());
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, prefix);
                }
            }
        }
    }

    fn bind(&mut self, path: Vec<String>, name: Option<&Ident>, place: &Ident) {
        let name = name.map(|it| it.unraw().to_string()).or_else(|| path.last().cloned());
        self.refer(path.clone(), place.span().start().line);
        if let Some(name) = name.filter(|name| name != "_") {
            self.bindings.entry(name).or_default().push(path);
        }
    }

    /// Reads paths in unparsed tokens: rules of a macro, input of a macro, an attribute.
    fn scan(&mut self, stream: TokenStream) {
        let tokens = tokens::flatten(stream);
        let mark = |at: usize| match tokens.get(at).map(|it| &it.kind) {
            Some(Kind::Mark(mark)) => Some(*mark),
            _ => None,
        };
        let joint = |at: usize| mark(at) == Some(':') && mark(at + 1) == Some(':');
        // Prefix of the names in each open bracket: `a::{b, c}`.
        let mut prefixes = vec![Vec::new()];
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let before = at.checked_sub(1).and_then(mark);
            match &token.kind {
                Kind::Mark('(' | '[' | '{') => prefixes.push(Vec::new()),
                Kind::Mark(')' | ']' | '}') if prefixes.len() > 1 => drop(prefixes.pop()),
                Kind::Word(word)
                    if before != Some('.') && (before != Some('$') || word == "crate") =>
                {
                    let after_joint = at >= 2 && joint(at - 2);
                    let mut path = prefixes.last().cloned().unwrap_or_default();
                    path.push(word.clone());
                    while joint(at + 1)
                        && let Some(Kind::Word(next)) = tokens.get(at + 3).map(|it| &it.kind)
                    {
                        path.push(next.clone());
                        at += 3;
                    }
                    if joint(at + 1) && mark(at + 3) == Some('{') {
                        prefixes.push(path);
                        at += 3;
                    } else if !after_joint && (path.len() > 1 || mark(at + 1) == Some('!')) {
                        self.refer(path, token.line);
                    }
                }
                _ => {}
            }
            at += 1;
        }
    }

    /// Reads paths in the strings of an attribute, as `serde` has them.
    fn scan_texts(&mut self, stream: TokenStream) {
        for token in tokens::flatten(stream) {
            if let Kind::Literal(text) = &token.kind
                && let Ok(path) = syn::parse_str::<syn::Path>(text.trim_matches('"'))
                && path.segments.len() > 1
            {
                self.refer(names(&path), token.line);
            }
        }
    }
}

fn names(path: &syn::Path) -> Vec<String> {
    path.segments.iter().map(|it| it.ident.unraw().to_string()).collect()
}

/// Visits nodes with attributes, except those for tests.
macro_rules! without_tests {
    ($($method:ident: $node:ident,)*) => {$(
        fn $method(&mut self, node: &'a syn::$node) {
            if !for_tests(&node.attrs) {
                visit::$method(self, node);
            }
        }
    )*};
}

impl<'a> Visit<'a> for Paths {
    without_tests! {
        visit_arm: Arm,
        visit_expr_block: ExprBlock,
        visit_field: Field,
        visit_field_value: FieldValue,
        visit_impl_item_const: ImplItemConst,
        visit_impl_item_fn: ImplItemFn,
        visit_impl_item_macro: ImplItemMacro,
        visit_impl_item_type: ImplItemType,
        visit_item_const: ItemConst,
        visit_item_enum: ItemEnum,
        visit_item_fn: ItemFn,
        visit_item_impl: ItemImpl,
        visit_item_mod: ItemMod,
        visit_item_static: ItemStatic,
        visit_item_struct: ItemStruct,
        visit_item_trait: ItemTrait,
        visit_item_type: ItemType,
        visit_item_union: ItemUnion,
        visit_local: Local,
        visit_stmt_macro: StmtMacro,
        visit_trait_item_fn: TraitItemFn,
        visit_trait_item_macro: TraitItemMacro,
        visit_variant: Variant,
    }

    fn visit_item_use(&mut self, node: &'a syn::ItemUse) {
        // `::a` is a crate.
        if node.leading_colon.is_none() && !for_tests(&node.attrs) {
            self.import(&node.tree, &[]);
        }
    }

    fn visit_item_macro(&mut self, node: &'a syn::ItemMacro) {
        if for_tests(&node.attrs) {
            return;
        }
        if let Some(name) = &node.ident
            && node.attrs.iter().any(|it| it.path().is_ident("macro_export"))
        {
            self.exported_macros.push(name.unraw().to_string());
        }
        visit::visit_item_macro(self, node);
    }

    fn visit_macro(&mut self, node: &'a syn::Macro) {
        if let Some(first) = node.path.segments.first() {
            self.refer(names(&node.path), first.ident.span().start().line);
        }
        self.scan(node.tokens.clone());
    }

    fn visit_path(&mut self, node: &'a syn::Path) {
        if let Some(first) = node.segments.first()
            && node.segments.len() > 1
            && node.leading_colon.is_none()
        {
            self.refer(names(node), first.ident.span().start().line);
        }
        visit::visit_path(self, node);
    }

    fn visit_attribute(&mut self, node: &'a Attribute) {
        if let Meta::List(list) = &node.meta {
            self.scan(list.tokens.clone());
            self.scan_texts(list.tokens.clone());
        }
    }
}

/// Returns true if an item with these attributes exists only for tests.
pub(super) fn for_tests(attributes: &[Attribute]) -> bool {
    let mut conditions = attributes.iter().filter(|it| it.path().is_ident("cfg"));
    conditions.any(|it| it.parse_args::<Meta>().is_ok_and(|condition| needs_test(&condition)))
}

fn needs_test(condition: &Meta) -> bool {
    let inner = |list: &syn::MetaList| {
        list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).unwrap_or_default()
    };
    match condition {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("all") => inner(list).iter().any(needs_test),
        Meta::List(list) if list.path.is_ident("any") => inner(list).iter().all(needs_test),
        _ => false,
    }
}
