//! Matching of a module's exports with the functions of the WIT.

use std::collections::HashMap;

use crisol_core::suggest::spelling_key;
use wit_parser::{Resolve, WorldId};

use super::WrapError;
use super::check::check_type;
use super::derived::Derived;
use super::find::{find, missing};
use super::module::{CoreSignature, Outside};
use super::wit::{self, Target};

/// Function of the WIT with its export.
pub(super) struct Match<'o, 'r> {
    pub(super) target: Target<'r>,
    /// Export of the function.
    pub(super) export: &'o str,
    /// Export that frees the result.
    pub(super) post_return: Option<&'o str>,
}

impl Match<'_, '_> {
    /// Returns true if the export has a name of the encoder's other scheme.
    fn is_standard(&self) -> bool {
        self.export.starts_with("cm32p2")
    }
}

/// Finds an export for every function of the world. A world derived from exports has them already.
pub(super) fn matches<'o, 'r>(
    outside: &'o Outside,
    resolve: &'r Resolve,
    world: WorldId,
    derived: Option<&Derived<'o>>,
) -> Result<Vec<Match<'o, 'r>>, WrapError> {
    let targets = wit::targets(outside, resolve, world)?;
    let posts = post_returns(outside);
    let all: Vec<String> = targets.iter().map(|target| target.func.name.clone()).collect();
    let mut found = Vec::with_capacity(targets.len());
    for target in targets {
        let wanted = target.core_name();
        let candidates = candidates(&target, &all);
        let export = match derived {
            Some(derived) => derived.export(&target.func.name),
            None => find(outside, &candidates)?,
        };
        let Some(export) = export else {
            // The module's own metadata may declare the function under another name.
            if outside.has_metadata {
                continue;
            }
            let looked = candidates.iter().filter(|name| !name.starts_with("cm32p2"));
            let looked: Vec<String> = looked.map(|name| format!("`{name}`")).collect();
            let wanted = format!("a function {}", looked.join(" or "));
            return Err(missing(outside, wanted, &target.func.name));
        };
        check_type(outside, resolve, &target, export)?;
        let post =
            posts.get(&spelling_key(export)).or_else(|| posts.get(&spelling_key(&wanted))).copied();
        check_post_return(outside, export, post)?;
        found.push(Match { export, post_return: post, target });
    }
    Ok(found)
}

/// Checks that a post-return takes the function's results and returns nothing.
pub(super) fn check_post_return(
    outside: &Outside,
    export: &str,
    post: Option<&str>,
) -> Result<(), WrapError> {
    let ty = |name: &str| outside.function(name).map(|(_, ty)| ty);
    let (Some(post), Some(given)) = (post, ty(export)) else { return Ok(()) };
    let Some(found) = ty(post) else { return Ok(()) };
    if found.params() == given.results() && found.results().is_empty() {
        return Ok(());
    }
    Err(WrapError::CoreType {
        export: post.to_owned(),
        found: CoreSignature(found.params(), found.results()).to_string(),
        wit: export.to_owned(),
        expected: CoreSignature(given.results(), &[]).to_string(),
    })
}

/// Names that the encoder searches for the matches: `(export, encoder's name)`.
pub(super) fn names(matches: &[Match<'_, '_>]) -> Vec<(String, String)> {
    let mut names = Vec::with_capacity(matches.len());
    for one in matches.iter().filter(|one| !one.is_standard()) {
        let wanted = one.target.core_name();
        if let Some(post) = one.post_return {
            names.push((post.to_owned(), format!("cabi_post_{wanted}")));
        }
        names.push((one.export.to_owned(), wanted.into_owned()));
    }
    names
}

/// Export names that may be `target`, best first.
fn candidates(target: &Target<'_>, all: &[String]) -> Vec<String> {
    let name = &target.func.name;
    let Some(interface) = &target.interface else {
        return vec![name.clone(), format!("cm32p2||{name}")];
    };
    let short = interface.rsplit('/').next().unwrap_or(interface);
    let short = short.split('@').next().unwrap_or(short);
    let mut names = vec![
        format!("{interface}#{name}"),
        format!("cm32p2|{interface}|{name}"),
        format!("{short}#{name}"),
    ];
    // A bare name is enough where only one function has it.
    if all.iter().filter(|other| *other == name).count() == 1 {
        names.push(name.clone());
    }
    names
}

/// Exports that free results, by the folded names of their functions.
fn post_returns(outside: &Outside) -> HashMap<String, &str> {
    let mut posts = HashMap::new();
    for (export, _) in outside.functions() {
        if let Some(of) = export.name.strip_prefix("cabi_post_") {
            posts.entry(spelling_key(of)).or_insert(&*export.name);
        }
    }
    posts
}

/// Export that frees the result of `export`, by any spelling of its name.
pub(super) fn post_of<'o>(outside: &'o Outside, export: &str) -> Option<&'o str> {
    post_returns(outside).get(&spelling_key(export)).copied()
}
