//! Memory layout of a type's values, computed once when its function loads.

use super::CoreType;
use crate::packed::{discriminant_width, flags_width};
use crate::shape::Shape;

/// Type with its layout in memory.
#[derive(Debug)]
pub(super) struct Typed {
    pub(super) node: Node,
    pub(super) size: u32,
    pub(super) align: u32,
    flat: Vec<CoreType>,
    /// True if values hold pointers: strings or lists.
    points: bool,
    /// True if packed bytes equal the bytes in memory and every bit pattern is valid.
    is_plain: bool,
}

/// Despecialized type.
#[derive(Debug)]
pub(super) enum Node {
    Bool,
    Char,
    /// Number: its bits need no check.
    Number(Number),
    Text,
    /// List, or map as a list of pairs; the text is its term in messages.
    List(Box<Typed>, &'static str),
    /// List of fixed length.
    Fixed(Box<Typed>, u32),
    /// Record, tuple, arguments of a call, or pair of a map.
    Each(Box<[Field]>),
    /// Variant, option or result.
    Cases(Box<Cases>),
    /// Enum with its number of cases.
    Enum(usize),
    /// Flags with their bytes in memory: a power of two, or whole words.
    Flags(u32),
}

/// Field with its offset in the enclosing value.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) offset: u32,
    pub(super) ty: Typed,
}

/// Layout of a type with cases.
#[derive(Debug)]
pub(super) struct Cases {
    /// Bytes of the discriminant.
    pub(super) width: usize,
    /// Offset of the payload.
    pub(super) payload: u32,
    /// Most core values that a payload takes.
    pub(super) flat: usize,
    pub(super) payloads: Box<[Option<Typed>]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    S8,
    U8,
    S16,
    U16,
    /// Any integer of 32 bits.
    I32,
    I64,
    F32,
    F64,
}

impl Number {
    pub(super) fn width(self) -> usize {
        match self {
            Self::S8 | Self::U8 => 1,
            Self::S16 | Self::U16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::I64 | Self::F64 => 8,
        }
    }

    fn core(self) -> CoreType {
        match self {
            Self::I64 => CoreType::I64,
            Self::F32 => CoreType::F32,
            Self::F64 => CoreType::F64,
            _ => CoreType::I32,
        }
    }
}

/// Most core types kept for one type; values with more go through memory.
const MOST_FLAT: usize = super::MAX_FLAT_PARAMS + 1;

impl Typed {
    /// Computes the layout; `None` when the type is too large for a 32-bit memory.
    pub(super) fn new(shape: &Shape) -> Option<Self> {
        let number = |number: Number| {
            Some(Self::scalar(Node::Number(number), number.width() as u32, number.core()))
        };
        match shape {
            Shape::Bool => Some(Self::scalar(Node::Bool, 1, CoreType::I32)),
            Shape::Char => Some(Self::scalar(Node::Char, 4, CoreType::I32)),
            Shape::S8 => number(Number::S8),
            Shape::U8 => number(Number::U8),
            Shape::S16 => number(Number::S16),
            Shape::U16 => number(Number::U16),
            Shape::S32 | Shape::U32 => number(Number::I32),
            Shape::S64 | Shape::U64 => number(Number::I64),
            Shape::F32 => number(Number::F32),
            Shape::F64 => number(Number::F64),
            Shape::String => Some(Self::pointer(Node::Text)),
            Shape::Bytes(None) => Some(Self::list(Self::new(&Shape::U8)?, "list")),
            Shape::List(item) => Some(Self::list(Self::new(item)?, "list")),
            Shape::Map(map) => Some(Self::list(Self::new(&map.pair)?, "map")),
            Shape::Bytes(Some(len)) => Self::fixed(Self::new(&Shape::U8)?, *len),
            Shape::FixedList(item, len) => Self::fixed(Self::new(item)?, *len),
            Shape::Tuple(shapes) => Self::of_each(shapes),
            Shape::Record(record) | Shape::Arguments(record) => Self::of_each(&record.shapes),
            Shape::Variant(variant) => Self::cases(variant.payloads.iter().map(Option::as_ref)),
            Shape::Enum(names) => {
                let width = discriminant_width(names.len()) as u32;
                Some(Self::scalar(Node::Enum(names.len()), width, CoreType::I32))
            }
            Shape::Option(option) => Self::cases([None, Some(&option.some)].into_iter()),
            Shape::Result(result) => {
                Self::cases([result.ok.as_ref(), result.err.as_ref()].into_iter())
            }
            Shape::Flags(names) => {
                let width = u32::try_from(flags_width(names.len())).ok()?;
                let words = (width as usize).div_ceil(4).min(MOST_FLAT);
                let (size, align) = (width, width.clamp(1, 4));
                let (flat, node) = (vec![CoreType::I32; words], Node::Flags(width));
                Some(Self { node, size, align, flat, points: false, is_plain: false })
            }
        }
    }

    fn scalar(node: Node, size: u32, core: CoreType) -> Self {
        let is_plain = matches!(node, Node::Number(_));
        Self { node, size, align: size, flat: vec![core], points: false, is_plain }
    }

    /// Layout of a pointer with a length.
    fn pointer(node: Node) -> Self {
        let flat = vec![CoreType::I32; 2];
        Self { node, size: 8, align: 4, flat, points: true, is_plain: false }
    }

    fn list(item: Self, what: &'static str) -> Self {
        Self::pointer(Node::List(Box::new(item), what))
    }

    fn fixed(item: Self, len: u32) -> Option<Self> {
        let times = (len as usize).min(MOST_FLAT);
        let flat = item.flat.iter().copied().cycle().take(item.flat.len() * times);
        Some(Self {
            size: item.size.checked_mul(len)?,
            align: item.align,
            flat: flat.take(MOST_FLAT).collect(),
            points: item.points,
            is_plain: item.is_plain,
            node: Node::Fixed(Box::new(item), len),
        })
    }

    /// Layout of consecutive values.
    pub(super) fn of_each(shapes: &[Shape]) -> Option<Self> {
        let (mut size, mut align) = (0_u32, 1);
        let (mut flat, mut points) = (Vec::new(), false);
        let mut fields = Vec::with_capacity(shapes.len());
        for shape in shapes {
            let ty = Self::new(shape)?;
            let offset = size.checked_next_multiple_of(ty.align)?;
            size = offset.checked_add(ty.size)?;
            align = align.max(ty.align);
            let room = MOST_FLAT - flat.len();
            flat.extend(ty.flat.iter().copied().take(room));
            points |= ty.points;
            fields.push(Field { offset, ty });
        }
        let tight = |end: Option<u32>, field: &Field| {
            let is_next = end == Some(field.offset) && field.ty.is_plain;
            is_next.then(|| field.offset + field.ty.size)
        };
        let size = size.checked_next_multiple_of(align)?;
        let is_plain = fields.iter().fold(Some(0), tight) == Some(size);
        Some(Self { node: Node::Each(fields.into()), size, align, flat, points, is_plain })
    }

    /// Layout of a type with cases.
    fn cases<'s>(shapes: impl ExactSizeIterator<Item = Option<&'s Shape>>) -> Option<Self> {
        let width = discriminant_width(shapes.len());
        let (mut size, mut align) = (0, 1);
        let (mut joined, mut points) = (Vec::new(), false);
        let mut payloads = Vec::with_capacity(shapes.len());
        for shape in shapes {
            let payload = match shape {
                Some(shape) => Some(Self::new(shape)?),
                None => None,
            };
            if let Some(ty) = &payload {
                (size, align) = (ty.size.max(size), ty.align.max(align));
                points |= ty.points;
                join(&mut joined, &ty.flat);
            }
            payloads.push(payload);
        }
        let payload = (width as u32).checked_next_multiple_of(align)?;
        let align = align.max(width as u32);
        let size = payload.checked_add(size)?.checked_next_multiple_of(align)?;
        let flat_payload = joined.len();
        let mut flat = vec![CoreType::I32];
        flat.extend(joined);
        flat.truncate(MOST_FLAT);
        let cases = Cases { width, payload, flat: flat_payload, payloads: payloads.into() };
        let node = Node::Cases(Box::new(cases));
        Some(Self { node, size, align, flat, points, is_plain: false })
    }

    /// Core types of the flattened value, cut to the first [`MOST_FLAT`].
    pub(super) fn flat(&self) -> &[CoreType] {
        &self.flat
    }

    pub(super) fn points(&self) -> bool {
        self.points
    }

    /// Returns true if packed bytes equal the bytes in memory and every bit pattern is valid.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.is_plain
    }
}

/// Joins core types, so that each slot holds either payload.
fn join(joined: &mut Vec<CoreType>, other: &[CoreType]) {
    for (at, ty) in other.iter().enumerate() {
        match joined.get_mut(at) {
            None => joined.push(*ty),
            Some(has) if *has == *ty => {}
            Some(has) => {
                let narrow = |ty: CoreType| matches!(ty, CoreType::I32 | CoreType::F32);
                *has = if narrow(*has) && narrow(*ty) { CoreType::I32 } else { CoreType::I64 };
            }
        }
    }
}
