//! Parser for the text of WIT types, and generators of types and values.

use crisol_core::{Case, Field, Type};
use proptest::prelude::{BoxedStrategy, Just, Strategy, any, prop};
use proptest::prop_oneof;
use wasmtime::component::Val;

/// Parses the display text of a [`Type`].
pub(crate) fn parse(text: &str) -> Type {
    let mut reader = Reader { rest: text };
    let ty = reader.ty();
    assert!(reader.rest.trim().is_empty(), "left over: {}", reader.rest);
    ty
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn eat(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start();
        let eaten = rest.strip_prefix(token);
        self.rest = eaten.unwrap_or(rest);
        eaten.is_some()
    }

    fn expect(&mut self, token: &str) {
        assert!(self.eat(token), "expected {token:?} at {:?}", self.rest);
    }

    fn word(&mut self) -> &'a str {
        let rest = self.rest.trim_start();
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '-' && c != '_');
        let (word, rest) = rest.split_at(end.unwrap_or(rest.len()));
        self.rest = rest;
        word
    }

    fn list<T>(&mut self, close: &str, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let mut items = Vec::new();
        while !self.eat(close) {
            items.push(item(self));
            self.eat(",");
        }
        items
    }

    fn one(&mut self) -> Box<Type> {
        self.expect("<");
        let ty = self.ty();
        self.expect(">");
        Box::new(ty)
    }

    fn ty(&mut self) -> Type {
        match self.word() {
            "bool" => Type::Bool,
            "s8" => Type::S8,
            "u8" => Type::U8,
            "s16" => Type::S16,
            "u16" => Type::U16,
            "s32" => Type::S32,
            "u32" => Type::U32,
            "s64" => Type::S64,
            "u64" => Type::U64,
            "f32" => Type::F32,
            "f64" => Type::F64,
            "char" => Type::Char,
            "string" => Type::String,
            "option" => Type::Option(self.one()),
            "list" => {
                self.expect("<");
                let item = Box::new(self.ty());
                let len = self.eat(",").then(|| self.word().parse().unwrap());
                self.expect(">");
                len.map_or(Type::List(item.clone()), |len| Type::FixedList(item, len))
            }
            "map" => {
                self.expect("<");
                let key = Box::new(self.ty());
                self.expect(",");
                let value = Box::new(self.ty());
                self.expect(">");
                Type::Map(key, value)
            }
            "tuple" => {
                self.expect("<");
                Type::Tuple(self.list(">", Self::ty))
            }
            "result" => self.result(),
            word => self.named(word),
        }
    }

    fn result(&mut self) -> Type {
        let mut sides = [None, None];
        if self.eat("<") {
            let mut listed =
                self.list(">", |reader| (!reader.eat("_")).then(|| Box::new(reader.ty())));
            listed.resize(2, None);
            sides = listed.try_into().unwrap();
        }
        let [ok, err] = sides;
        Type::Result { ok, err }
    }

    fn named(&mut self, keyword: &str) -> Type {
        self.expect("{");
        match keyword {
            "record" => Type::Record(self.list("}", |reader| {
                let name = reader.word().to_owned();
                reader.expect(":");
                Field { name, ty: reader.ty() }
            })),
            "variant" => Type::Variant(self.list("}", |reader| {
                let name = reader.word().to_owned();
                let ty = reader.eat("(").then(|| reader.ty());
                if ty.is_some() {
                    reader.expect(")");
                }
                Case { name, ty }
            })),
            "enum" => Type::Enum(self.list("}", |reader| reader.word().to_owned())),
            "flags" => Type::Flags(self.list("}", |reader| reader.word().to_owned())),
            other => panic!("no such type: {other}"),
        }
    }
}

fn names(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<String>> {
    let words = ["id", "tag-count", "ok", "some", "is-it-so", "x9", "type", "HTTP"];
    prop::collection::vec(0..words.len(), count).prop_map(move |picked| {
        let name = |(at, word): (usize, usize)| format!("{}-n{at}", words[word]);
        picked.into_iter().enumerate().map(name).collect()
    })
}

fn scalar() -> BoxedStrategy<Type> {
    prop_oneof![
        Just(Type::Bool),
        Just(Type::S8),
        Just(Type::U8),
        Just(Type::S16),
        Just(Type::U16),
        Just(Type::S32),
        Just(Type::U32),
        Just(Type::S64),
        Just(Type::U64),
        Just(Type::F32),
        Just(Type::F64),
        Just(Type::Char),
        Just(Type::String),
        names(1..20).prop_map(Type::Enum),
        names(1..33).prop_map(Type::Flags),
    ]
    .boxed()
}

fn key() -> BoxedStrategy<Type> {
    let keys = [
        Type::String,
        Type::Char,
        Type::Bool,
        Type::S8,
        Type::U8,
        Type::S16,
        Type::U16,
        Type::S32,
        Type::U32,
        Type::S64,
        Type::U64,
    ];
    prop::sample::select(keys.to_vec()).boxed()
}

/// Any type of WIT.
pub(crate) fn any_type() -> BoxedStrategy<Type> {
    scalar()
        .prop_recursive(4, 24, 6, |inner| {
            let boxed = inner.clone().prop_map(Box::new).boxed();
            let side = prop::option::of(boxed.clone());
            prop_oneof![
                boxed.clone().prop_map(Type::List),
                (boxed.clone(), 1..5_u32).prop_map(|(item, len)| Type::FixedList(item, len)),
                (key(), inner.clone()).prop_map(|(k, v)| Type::Map(Box::new(k), Box::new(v))),
                prop::collection::vec(inner.clone(), 1..5).prop_map(Type::Tuple),
                boxed.prop_map(Type::Option),
                (side.clone(), side).prop_map(|(ok, err)| Type::Result { ok, err }),
                prop::collection::vec(inner.clone(), 1..16)
                    .prop_flat_map(|types| (names(types.len()..types.len() + 1), Just(types)))
                    .prop_map(|(names, types)| {
                        let fields = names.into_iter().zip(types);
                        Type::Record(fields.map(|(name, ty)| Field { name, ty }).collect())
                    }),
                prop::collection::vec(prop::option::of(inner), 1..6)
                    .prop_flat_map(|types| (names(types.len()..types.len() + 1), Just(types)))
                    .prop_map(|(names, types)| {
                        let cases = names.into_iter().zip(types);
                        Type::Variant(cases.map(|(name, ty)| Case { name, ty }).collect())
                    }),
            ]
        })
        .boxed()
}

fn boxed(ty: &Type) -> BoxedStrategy<Option<Box<Val>>> {
    any_value(ty).prop_map(|value| Some(Box::new(value))).boxed()
}

fn side(ty: &Option<Box<Type>>) -> BoxedStrategy<Option<Box<Val>>> {
    ty.as_ref().map_or(Just(None).boxed(), |ty| boxed(ty))
}

/// Any value of `ty`.
#[allow(clippy::too_many_lines, reason = "an arm for each type")]
pub(crate) fn any_value(ty: &Type) -> BoxedStrategy<Val> {
    match ty {
        Type::Bool => any::<bool>().prop_map(Val::Bool).boxed(),
        Type::S8 => any::<i8>().prop_map(Val::S8).boxed(),
        Type::U8 => any::<u8>().prop_map(Val::U8).boxed(),
        Type::S16 => any::<i16>().prop_map(Val::S16).boxed(),
        Type::U16 => any::<u16>().prop_map(Val::U16).boxed(),
        Type::S32 => any::<i32>().prop_map(Val::S32).boxed(),
        Type::U32 => any::<u32>().prop_map(Val::U32).boxed(),
        Type::S64 => any::<i64>().prop_map(Val::S64).boxed(),
        Type::U64 => any::<u64>().prop_map(Val::U64).boxed(),
        Type::F32 => {
            let special = prop_oneof![Just(f32::NAN), Just(f32::INFINITY), Just(-0.0_f32)];
            prop_oneof![4 => any::<f32>(), 1 => special].prop_map(Val::Float32).boxed()
        }
        Type::F64 => {
            let special = prop_oneof![Just(f64::NAN), Just(f64::NEG_INFINITY), Just(-0.0_f64)];
            prop_oneof![4 => any::<f64>(), 1 => special].prop_map(Val::Float64).boxed()
        }
        Type::Char => any::<char>().prop_map(Val::Char).boxed(),
        Type::String => any::<String>().prop_map(Val::String).boxed(),
        Type::List(item) => {
            prop::collection::vec(any_value(item), 0..5).prop_map(Val::List).boxed()
        }
        Type::FixedList(item, len) => prop::collection::vec(any_value(item), *len as usize)
            .prop_map(Val::FixedLengthList)
            .boxed(),
        Type::Map(key, value) => {
            let pair = (any_value(key), any_value(value));
            // Formats differ on duplicate keys.
            prop::collection::vec(pair, 0..4).prop_map(distinct).prop_map(Val::Map).boxed()
        }
        Type::Tuple(items) => {
            items.iter().map(any_value).collect::<Vec<_>>().prop_map(Val::Tuple).boxed()
        }
        Type::Record(fields) => {
            let names: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
            let values: Vec<_> = fields.iter().map(|field| any_value(&field.ty)).collect();
            values
                .prop_map(move |values| {
                    Val::Record(names.clone().into_iter().zip(values).collect())
                })
                .boxed()
        }
        Type::Variant(cases) => {
            let case = |case: &Case| {
                let name = case.name.clone();
                side(&case.ty.clone().map(Box::new))
                    .prop_map(move |payload| Val::Variant(name.clone(), payload))
                    .boxed()
            };
            proptest::strategy::Union::new(cases.iter().map(case)).boxed()
        }
        Type::Enum(names) => prop::sample::select(names.clone()).prop_map(Val::Enum).boxed(),
        Type::Flags(names) => {
            prop::sample::subsequence(names.clone(), 0..=names.len()).prop_map(Val::Flags).boxed()
        }
        Type::Option(some) => {
            prop_oneof![Just(None).boxed(), boxed(some)].prop_map(Val::Option).boxed()
        }
        Type::Result { ok, err } => prop_oneof![
            side(ok).prop_map(|ok| Val::Result(Ok(ok))),
            side(err).prop_map(|err| Val::Result(Err(err))),
        ]
        .boxed(),
        other => panic!("no values of {other}"),
    }
}

fn distinct(pairs: Vec<(Val, Val)>) -> Vec<(Val, Val)> {
    let mut kept: Vec<(Val, Val)> = Vec::new();
    for (key, value) in pairs {
        if kept.iter().all(|(other, _)| *other != key) {
            kept.push((key, value));
        }
    }
    kept
}
