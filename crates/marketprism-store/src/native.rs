//! Blocks of ClickHouse's Native format: whole columns, as the engine keeps them, made of messages with no row between.
//!
//! Several times cheaper than rows on both sides: the engine takes a column as it is. A `LowCardinality` column takes
//! plain strings. Which columns a table has is in `rows/`; here is only how a value lies in its column.

use marketprism_core::message::Level;

/// One block: what an insert sends.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) rows: usize,
    pub(crate) columns: Vec<Column>,
}

/// The values of one column.
#[derive(Debug)]
pub(crate) struct Column {
    name: &'static str,
    kind: String,
    /// 1 where the value is NULL; empty for a column that cannot be NULL.
    nulls: Vec<u8>,
    data: Vec<u8>,
    /// The columns inside an array of pairs; `data` are its offsets then.
    nested: [Vec<u8>; 2],
}

impl Column {
    /// An empty column with room for so many values.
    pub(crate) fn of<T: Value>(name: &'static str, rows: usize) -> Self {
        let data = Vec::with_capacity(rows.saturating_mul(T::BYTES_USUAL));
        Self { name, kind: T::kind(), nulls: Vec::new(), data, nested: [const { Vec::new() }; 2] }
    }

    #[inline]
    pub(crate) fn push<T: Value>(&mut self, value: T) {
        value.push(self);
    }

    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    /// The value of a column of one row as the format RowBinary has it: pairs side by side, and nothing behind a NULL.
    pub(crate) fn append_row_binary(&self, out: &mut Vec<u8>) {
        let [first, second] = &self.nested;
        out.extend_from_slice(&self.nulls);
        if self.nulls == [1] {
            return;
        }
        if self.kind.starts_with("Array") {
            varint((first.len() / size_of::<i128>()) as u64, out);
            for pair in first.chunks(size_of::<i128>()).zip(second.chunks(size_of::<i128>())) {
                out.extend_from_slice(pair.0);
                out.extend_from_slice(pair.1);
            }
        } else {
            out.extend_from_slice(&self.data);
        }
    }
}

impl Block {
    /// The block as bytes: its size, then each column with name and type.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let sizes = self.columns.iter().map(|column| {
            let nested: usize = column.nested.iter().map(Vec::len).sum();
            column.name.len() + column.kind.len() + column.nulls.len() + column.data.len() + nested + 20
        });
        let mut out = Vec::with_capacity(sizes.sum::<usize>() + 20);
        varint(self.columns.len() as u64, &mut out);
        varint(self.rows as u64, &mut out);
        for Column { name, kind, nulls, data, nested: [first, second] } in &self.columns {
            for text in [*name, kind] {
                varint(text.len() as u64, &mut out);
                out.extend_from_slice(text.as_bytes());
            }
            for bytes in [nulls, data, first, second] {
                out.extend_from_slice(bytes);
            }
        }
        out
    }
}

/// A value as a column holds it.
pub(crate) trait Value {
    /// Bytes of a usual value, for the first allocation.
    const BYTES_USUAL: usize;
    /// ClickHouse's name of the type.
    fn kind() -> String;
    fn push(self, column: &mut Column);
    /// What stands where the value is NULL.
    fn push_default(column: &mut Column);
}

macro_rules! fixed_width {
    ($($(#[$meta:meta])* $type:ty = $kind:literal;)+) => { $(
        $(#[$meta])*
        impl Value for $type {
            const BYTES_USUAL: usize = size_of::<$type>();
            fn kind() -> String {
                $kind.to_owned()
            }
            #[inline]
            fn push(self, column: &mut Column) {
                column.data.extend_from_slice(&self.to_le_bytes());
            }
            fn push_default(column: &mut Column) {
                column.data.extend_from_slice(&[0; size_of::<$type>()]);
            }
        }
    )+ };
}
fixed_width! {
    u16 = "UInt16";
    u32 = "UInt32";
    u64 = "UInt64";
    /// Signed 64-bit numbers are times here, µs since 1970.
    i64 = "DateTime64(6, 'UTC')";
    /// Signed 128-bit numbers are units of 10^-18.
    i128 = "Decimal(38, 18)";
}

impl Value for bool {
    const BYTES_USUAL: usize = 1;
    fn kind() -> String {
        "Bool".to_owned()
    }
    fn push(self, column: &mut Column) {
        column.data.push(u8::from(self));
    }
    fn push_default(column: &mut Column) {
        column.data.push(0);
    }
}

impl Value for &str {
    const BYTES_USUAL: usize = 12;
    fn kind() -> String {
        "String".to_owned()
    }
    #[inline]
    fn push(self, column: &mut Column) {
        varint(self.len() as u64, &mut column.data);
        column.data.extend_from_slice(self.as_bytes());
    }
    fn push_default(column: &mut Column) {
        column.data.push(0);
    }
}

impl<T: Value> Value for Option<T> {
    const BYTES_USUAL: usize = T::BYTES_USUAL;
    fn kind() -> String {
        format!("Nullable({})", T::kind())
    }
    #[inline]
    fn push(self, column: &mut Column) {
        column.nulls.push(u8::from(self.is_none()));
        match self {
            Some(value) => value.push(column),
            None => T::push_default(column),
        }
    }
    fn push_default(column: &mut Column) {
        T::push_default(column);
    }
}

/// Levels of a book are pairs of price and quantity.
impl Value for &[Level] {
    const BYTES_USUAL: usize = size_of::<u64>();
    fn kind() -> String {
        "Array(Tuple(Decimal(38, 18), Decimal(38, 18)))".to_owned()
    }
    fn push(self, column: &mut Column) {
        let [prices, quantities] = &mut column.nested;
        for level in self {
            prices.extend_from_slice(&level.price.units().to_le_bytes());
            quantities.extend_from_slice(&level.quantity.units().to_le_bytes());
        }
        // An offset is where the array ends, counted over all rows before.
        let end = (prices.len() / size_of::<i128>()) as u64;
        column.data.extend_from_slice(&end.to_le_bytes());
    }
    fn push_default(column: &mut Column) {
        Value::push([].as_slice(), column);
    }
}

/// Seven bits a byte, the lowest first.
#[inline]
fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}
