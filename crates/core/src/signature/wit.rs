//! Signatures as WIT text for tools. Records and other named types are declared before their use.

use std::collections::BTreeSet;

use super::{Case, Field, Signature, Type};

/// Keywords of WIT, which a name may only equal with a `%` before it.
const KEYWORDS: [&str; 44] = [
    "as",
    "async",
    "bool",
    "borrow",
    "char",
    "constructor",
    "enum",
    "error-context",
    "export",
    "f32",
    "f64",
    "flags",
    "float32",
    "float64",
    "from",
    "func",
    "future",
    "import",
    "include",
    "interface",
    "list",
    "map",
    "option",
    "own",
    "package",
    "record",
    "resource",
    "result",
    "s16",
    "s32",
    "s64",
    "s8",
    "static",
    "stream",
    "string",
    "tuple",
    "type",
    "u16",
    "u32",
    "u64",
    "u8",
    "use",
    "variant",
    "world",
];

impl Signature {
    /// Formats the function `name` as WIT, for an interface or a world. Types that WIT can only refer to by name
    /// are declared before the function, and named after the place of their use.
    ///
    /// ```
    /// use crisol_core::{Field, Signature, Type};
    ///
    /// let id = Field { name: "id".into(), ty: Type::U32 };
    /// let users = Type::List(Box::new(Type::Record(vec![id])));
    /// let params = vec![Field { name: "users".into(), ty: users }];
    /// let signature = Signature { params, result: Some(Type::U32) };
    /// assert_eq!(
    ///     signature.to_wit("count"),
    ///     "record users {\n  id: u32,\n}\n\ncount: func(users: list<users>) -> u32;\n"
    /// );
    /// ```
    #[must_use]
    pub fn to_wit(&self, name: &str) -> String {
        let taken = BTreeSet::from([name.to_owned()]);
        let mut printer = Printer { text: String::new(), taken, path: Vec::new() };
        let params = printer.fields(&self.params).join(", ");
        let result = self.result.as_ref().map(|ty| printer.at("output", ty));
        let result = result.map(|ty| format!(" -> {ty}")).unwrap_or_default();
        format!("{}{}: func({params}){result};\n", printer.text, escaped(name))
    }
}

fn escaped(name: &str) -> String {
    let mark = if KEYWORDS.contains(&name) { "%" } else { "" };
    format!("{mark}{name}")
}

struct Printer<'s> {
    /// Declarations so far.
    text: String,
    taken: BTreeSet<String>,
    /// Path to the current type, from which it is named.
    path: Vec<&'s str>,
}

impl<'s> Printer<'s> {
    fn at(&mut self, step: &'s str, ty: &'s Type) -> String {
        self.path.push(step);
        let name = self.reference(ty);
        self.path.pop();
        name
    }

    /// Formats each field as `name: type`.
    fn fields(&mut self, fields: &'s [Field]) -> Vec<String> {
        let field = |field: &'s Field| {
            format!("{}: {}", escaped(&field.name), self.at(&field.name, &field.ty))
        };
        fields.iter().map(field).collect()
    }

    /// Formats a use of `ty`, declaring it first if needed.
    fn reference(&mut self, ty: &'s Type) -> String {
        match ty {
            Type::List(item) => format!("list<{}>", self.reference(item)),
            Type::FixedList(item, len) => format!("list<{}, {len}>", self.reference(item)),
            Type::Option(some) => format!("option<{}>", self.reference(some)),
            Type::Map(key, value) => {
                format!("map<{}, {}>", self.at("key", key), self.at("value", value))
            }
            Type::Tuple(items) => {
                let items: Vec<String> = items.iter().map(|item| self.reference(item)).collect();
                format!("tuple<{}>", items.join(", "))
            }
            Type::Result { ok, err } => self.result(ok.as_deref(), err.as_deref()),
            Type::Record(fields) => {
                let fields = self.fields(fields);
                self.declare("record", &fields)
            }
            Type::Variant(cases) => {
                let case = |case: &'s Case| match &case.ty {
                    Some(ty) => format!("{}({})", escaped(&case.name), self.at(&case.name, ty)),
                    None => escaped(&case.name),
                };
                let cases: Vec<String> = cases.iter().map(case).collect();
                self.declare("variant", &cases)
            }
            Type::Enum(names) => self.declare("enum", &all_escaped(names)),
            Type::Flags(names) => self.declare("flags", &all_escaped(names)),
            scalar => scalar.to_string(),
        }
    }

    fn result(&mut self, ok: Option<&'s Type>, err: Option<&'s Type>) -> String {
        let ok = ok.map(|ty| self.at("ok", ty));
        let err = err.map(|ty| self.at("err", ty));
        match (ok, err) {
            (None, None) => "result".to_owned(),
            (Some(ok), None) => format!("result<{ok}>"),
            (ok, Some(err)) => format!("result<{}, {err}>", ok.as_deref().unwrap_or("_")),
        }
    }

    /// Declares a type and returns its name.
    fn declare(&mut self, keyword: &str, parts: &[String]) -> String {
        let base = self.path.join("-");
        let numbered = (2..).map(|at| format!("{base}-type{at}"));
        let mut names = [base.clone(), format!("{base}-type")].into_iter().chain(numbered);
        let is_free = |name: &String| {
            !KEYWORDS.contains(&name.as_str()) && !self.taken.contains(&name.to_lowercase())
        };
        // The sequence of numbers never ends.
        let name = names.find(is_free).unwrap_or(base);
        self.taken.insert(name.to_lowercase());
        let parts: String = parts.iter().map(|part| format!("  {part},\n")).collect();
        self.text.push_str(&format!("{keyword} {name} {{\n{parts}}}\n\n"));
        name
    }
}

fn all_escaped(names: &[String]) -> Vec<String> {
    names.iter().map(|name| escaped(name)).collect()
}
