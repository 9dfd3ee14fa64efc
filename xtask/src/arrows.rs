//! Table of allowed arrows in `docs/architecture.md`: one line per crate, as `wit ─▶ core, wasmtime (no compiler)`.
//! Only reads it; `layers` reports violations.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};

const HEADING: &str = "Allowed arrows";
const ARROW: &str = "─▶";

/// Allowed dependencies of each crate (by its folder's name): folders of ours, and outside crates.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arrows(BTreeMap<String, BTreeSet<String>>);

impl Arrows {
    /// Reads the first fenced block below the heading "Allowed arrows".
    pub(crate) fn parse(document: &str) -> Result<Self> {
        let mut arrows = BTreeMap::new();
        for line in block(document)?.into_iter().filter(|line| !line.trim().is_empty()) {
            let (from, to) = line
                .split_once(ARROW)
                .with_context(|| format!("the line `{line}` of the arrows has no `{ARROW}`"))?;
            if arrows.insert(from.trim().to_owned(), names(to)).is_some() {
                bail!("`{}` has two lines in the arrows", from.trim());
            }
        }
        Ok(Self(arrows))
    }

    /// Crates with a line.
    pub(crate) fn crates(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Returns true if the line of `from` names `to`.
    pub(crate) fn allow(&self, from: &str, to: &str) -> bool {
        self.0.get(from).is_some_and(|targets| targets.contains(to))
    }

    /// Returns true if any line names `to`: an outside crate named in one line is forbidden in all others.
    pub(crate) fn mention(&self, to: &str) -> bool {
        self.0.values().any(|targets| targets.contains(to))
    }
}

fn block(document: &str) -> Result<Vec<&str>> {
    let is_heading = |line: &&str| line.starts_with('#');
    let is_ours = |line: &&str| line.trim_start_matches('#').trim_start().starts_with(HEADING);
    let is_fence = |line: &&str| line.starts_with("```");
    let lines = document.lines();
    let section = lines.skip_while(|line| !(is_heading(line) && is_ours(line))).skip(1);
    let fenced = section.take_while(|line| !is_heading(line)).skip_while(|line| !is_fence(line));
    let block = fenced.skip(1).take_while(|line| !is_fence(line)).collect::<Vec<_>>();
    if block.is_empty() {
        bail!("no fenced block below a heading `{HEADING}`");
    }
    Ok(block)
}

/// Splits names at commas or blanks; a remark in parentheses is ignored, and brackets mean optional.
fn names(list: &str) -> BTreeSet<String> {
    let mut depth = 0_usize;
    let bare = list.chars().filter(|char| {
        depth += usize::from(*char == '(');
        let outside = depth == 0;
        depth -= usize::from(*char == ')' && depth > 0);
        outside && !matches!(char, '[' | ']')
    });
    let bare = bare.collect::<String>();
    let names = bare.split(|char: char| char == ',' || char.is_whitespace());
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::{Arrows, names};

    const DOCUMENT: &str = "\
# Architecture

```text
core ─▶ not this block
```

## Allowed arrows

A line absent here is forbidden.

```text
core   ─▶ (nothing of ours)
wit    ─▶ core, wasmtime (no compiler)
crisol ─▶ core wit [server]
```

## More

```text
late ─▶ nor this one
```
";

    #[test]
    fn the_block_below_the_heading_is_read() -> anyhow::Result<()> {
        let arrows = Arrows::parse(DOCUMENT)?;
        assert_eq!(arrows.crates().collect::<Vec<_>>(), ["core", "crisol", "wit"]);
        assert!(arrows.allow("wit", "core") && arrows.allow("wit", "wasmtime"));
        assert!(arrows.allow("crisol", "server"));
        assert!(!arrows.allow("core", "wit") && !arrows.allow("wit", "compiler"));
        assert!(arrows.mention("wasmtime") && !arrows.mention("nothing"));
        Ok(())
    }

    #[test]
    fn names_are_parted_by_commas_or_blanks() {
        assert_eq!(
            names(" a, b c (d, e) [f]").into_iter().collect::<Vec<_>>(),
            ["a", "b", "c", "f"]
        );
        assert!(names("(nothing of ours)").is_empty());
    }

    #[test]
    fn unreadable_table_is_an_error() {
        for (document, complaint) in [
            ("# Other\n```\na ─▶ b\n```", "no fenced block"),
            ("## Allowed arrows\n\n## Next\n```\na ─▶ b\n```", "no fenced block"),
            ("## Allowed arrows\n```\na -> b\n```", "has no `─▶`"),
            ("## Allowed arrows\n```\na ─▶ b\na ─▶ c\n```", "`a` has two lines"),
        ] {
            let told = Arrows::parse(document).map_err(|error| error.to_string());
            assert!(told.as_ref().is_err_and(|told| told.contains(complaint)), "{told:?}");
        }
    }
}
