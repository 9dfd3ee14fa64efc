//! A core module: the calls of its functions, and the contents of its tables.

use std::collections::{BTreeSet, HashMap};

use wasmparser::{
    CompositeInnerType, ConstExpr, Element, ElementItems, ElementKind, ExternalKind, FuncType,
    FunctionBody, Operator, Payload, RefType, SubType, TableInit, TypeRef, ValType,
};

/// A function type, equal for equal types in all modules; `None` matches every type.
pub(super) type Type = Option<u32>;

/// Numbering of types.
#[derive(Default)]
pub(super) struct Types(HashMap<FuncType, u32>);

impl Types {
    fn number(&mut self, ty: &SubType) -> Type {
        let CompositeInnerType::Func(func) = &ty.composite_type.inner else { return None };
        let is_plain = |ty: &ValType| match ty {
            ValType::Ref(reference) => [RefType::FUNCREF, RefType::EXTERNREF].contains(reference),
            _ => true,
        };
        // A function whose type has subtypes or supertypes may be called by another type.
        let alone = ty.is_final && ty.supertype_idx.is_none();
        if !alone || !func.params().iter().chain(func.results()).all(is_plain) {
            return None;
        }
        let next = u32::try_from(self.0.len()).ok()?;
        Some(*self.0.entry(func.clone()).or_insert(next))
    }
}

/// A call that a function may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// Direct call of a function by index.
    Call(u32),
    /// Indirect call of a function of a type in a table, with the slot if it is constant.
    Table { table: u32, ty: Type, slot: Option<u32> },
    /// Call of a function of a type by reference.
    Reference(Type),
}

/// Functions that initialize a table.
pub(super) struct Segment {
    /// The table, and the first slot if it is constant; `None` for a segment that only instructions use, if any.
    pub(super) active: Option<(u32, Option<u32>)>,
    pub(super) functions: Vec<Option<u32>>,
}

#[derive(Default)]
pub(super) struct Module {
    types: Vec<Type>,
    /// Module, name and kind of each import.
    pub(super) imports: Vec<(String, String, ExternalKind)>,
    /// Types of all functions, imported ones first.
    pub(super) functions: Vec<Type>,
    pub(super) imported_functions: usize,
    pub(super) imported_tables: usize,
    pub(super) own_tables: usize,
    pub(super) exports: HashMap<String, (ExternalKind, u32)>,
    pub(super) segments: Vec<Segment>,
    /// Tables that instructions fill from segments.
    pub(super) filled: BTreeSet<(u32, u32)>,
    /// Tables that are changed in other ways.
    pub(super) changed: BTreeSet<u32>,
    /// Functions with a reference to them.
    pub(super) taken: BTreeSet<u32>,
    /// Calls of each function that the module defines.
    pub(super) bodies: Vec<Box<[Step]>>,
    pub(super) start: Option<u32>,
}

impl Module {
    /// Records the next payload.
    pub(super) fn see(
        &mut self,
        payload: Payload<'_>,
        types: &mut Types,
    ) -> wasmparser::Result<()> {
        match payload {
            Payload::TypeSection(section) => {
                for group in section {
                    self.types.extend(group?.types().map(|ty| types.number(ty)));
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    self.import(import.module, import.name, import.ty);
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    let ty = self.ty(ty?);
                    self.functions.push(ty);
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    let index =
                        u32::try_from(self.imported_tables + self.own_tables).unwrap_or(u32::MAX);
                    self.own_tables += 1;
                    if let TableInit::Expr(first) = table?.init {
                        self.taken.extend(function(&first).flatten());
                        self.changed.insert(index);
                    }
                }
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    self.taken.extend(function(&global?.init_expr).flatten());
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    self.exports.insert(export.name.to_owned(), (export.kind, export.index));
                }
            }
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::ElementSection(section) => {
                for element in section {
                    self.segment(&element?)?;
                }
            }
            Payload::CodeSectionEntry(body) => self.body(&body)?,
            _ => {}
        }
        Ok(())
    }

    fn ty(&self, index: u32) -> Type {
        self.types.get(index as usize).copied().flatten()
    }

    fn import(&mut self, module: &str, name: &str, ty: TypeRef) {
        let kind = match ty {
            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                let ty = self.ty(ty);
                self.functions.push(ty);
                self.imported_functions += 1;
                ExternalKind::Func
            }
            TypeRef::Table(_) => {
                self.imported_tables += 1;
                ExternalKind::Table
            }
            TypeRef::Memory(_) => ExternalKind::Memory,
            TypeRef::Global(_) => ExternalKind::Global,
            TypeRef::Tag(_) => ExternalKind::Tag,
        };
        self.imports.push((module.to_owned(), name.to_owned(), kind));
    }

    fn segment(&mut self, element: &Element<'_>) -> wasmparser::Result<()> {
        let mut functions = Vec::new();
        let mut unknown = false;
        match &element.items {
            ElementItems::Functions(all) => {
                for index in all.clone() {
                    functions.push(Some(index?));
                }
            }
            ElementItems::Expressions(_, all) => {
                for item in all.clone() {
                    let found = function(&item?);
                    unknown |= found.is_none();
                    functions.push(found.flatten());
                }
            }
        }
        let active = match &element.kind {
            ElementKind::Active { table_index, offset_expr } => {
                Some((table_index.unwrap_or(0), constant(offset_expr)))
            }
            ElementKind::Passive | ElementKind::Declared => None,
        };
        if let (true, Some((table, _))) = (unknown, active) {
            self.changed.insert(table);
        }
        self.segments.push(Segment { active, functions });
        Ok(())
    }

    fn body(&mut self, body: &FunctionBody<'_>) -> wasmparser::Result<()> {
        let mut steps = BTreeSet::new();
        let mut before = None;
        for operator in body.get_operators_reader()? {
            let operator = operator?;
            match operator {
                Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                    steps.insert(Step::Call(function_index));
                }
                Operator::CallIndirect { type_index, table_index }
                | Operator::ReturnCallIndirect { type_index, table_index } => {
                    let ty = self.ty(type_index);
                    steps.insert(Step::Table { table: table_index, ty, slot: before });
                }
                Operator::CallRef { type_index } | Operator::ReturnCallRef { type_index } => {
                    steps.insert(Step::Reference(self.ty(type_index)));
                }
                Operator::RefFunc { function_index } => {
                    self.taken.insert(function_index);
                }
                Operator::TableInit { elem_index, table } => {
                    self.filled.insert((table, elem_index));
                }
                Operator::TableSet { table }
                | Operator::TableGrow { table }
                | Operator::TableFill { table }
                | Operator::TableCopy { dst_table: table, .. } => {
                    self.changed.insert(table);
                }
                _ => {}
            }
            before = match operator {
                Operator::I32Const { value } => u32::try_from(value).ok(),
                _ => None,
            };
        }
        self.bodies.push(steps.into_iter().collect());
        Ok(())
    }
}

/// The function that an expression refers to, if it is null or a known function.
#[expect(clippy::option_option, reason = "a reference to nothing, and one that is not known")]
fn function(expression: &ConstExpr<'_>) -> Option<Option<u32>> {
    let mut operators = expression.get_operators_reader().into_iter().map_while(Result::ok);
    match operators.next()? {
        Operator::RefFunc { function_index } => Some(Some(function_index)),
        Operator::RefNull { .. } => Some(None),
        _ => None,
    }
}

/// The value of an expression, if it is constant.
fn constant(expression: &ConstExpr<'_>) -> Option<u32> {
    let mut operators = expression.get_operators_reader().into_iter().map_while(Result::ok);
    match (operators.next()?, operators.next()?) {
        (Operator::I32Const { value }, Operator::End) => u32::try_from(value).ok(),
        _ => None,
    }
}
