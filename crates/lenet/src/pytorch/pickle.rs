//! Pickles of tensors and containers, of Python's protocols 2 to 5. Nothing is executed: a pickle names functions and classes,
//! and all but those of [`Global`] are refused by their names.

use std::collections::HashMap;

use safetensors::Dtype;

use super::PyTorchError;

/// Number of values of a pickle, at most.
const MAX_VALUES: usize = 1 << 20;

/// Number of dimensions of a tensor, at most. Values that are copied have a bounded size.
const MAX_DIMENSIONS: usize = 8;

/// Index of a value in [`Pickle::values`]. Values refer to each other by it, so that shared, nested and cyclic ones take neither
/// more memory nor recursion.
pub type ValueId = usize;

/// A value of Python.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `None`, `True`, a float, bytes or another value without parts that is not needed.
    Scalar,
    Int(i64),
    Text(String),
    Tuple(Vec<ValueId>),
    List(Vec<ValueId>),
    /// Keys and values in the order in which they were set.
    Dict(Vec<(ValueId, ValueId)>),
    Global(Global),
    Storage(Storage),
    Tensor(Tensor),
}

/// A function or class that a pickle may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Size,
    Device,
    StorageType(Dtype),
}

impl Global {
    fn from_name(name: &str) -> Result<Self, PyTorchError> {
        Ok(match name {
            "collections.OrderedDict" => Self::OrderedDict,
            "torch._utils._rebuild_tensor_v2" => Self::RebuildTensor,
            "torch._utils._rebuild_parameter" => Self::RebuildParameter,
            "torch.Size" => Self::Size,
            "torch.device" => Self::Device,
            "torch.FloatStorage" => Self::StorageType(Dtype::F32),
            "torch.HalfStorage" => Self::StorageType(Dtype::F16),
            "torch.BFloat16Storage" => Self::StorageType(Dtype::BF16),
            "torch.DoubleStorage" => Self::StorageType(Dtype::F64),
            "torch.LongStorage" => Self::StorageType(Dtype::I64),
            "torch.IntStorage" => Self::StorageType(Dtype::I32),
            "torch.ShortStorage" => Self::StorageType(Dtype::I16),
            "torch.CharStorage" => Self::StorageType(Dtype::I8),
            "torch.ByteStorage" => Self::StorageType(Dtype::U8),
            "torch.BoolStorage" => Self::StorageType(Dtype::BOOL),
            _ => return Err(PyTorchError::Global { name: name.to_owned() }),
        })
    }
}

/// The elements of tensors, in a member of the archive.
#[derive(Debug, Clone, PartialEq)]
pub struct Storage {
    /// Name of the member, which is a number.
    pub key: u32,
    pub dtype: Dtype,
    /// Number of elements.
    pub len: usize,
}

/// Elements of a storage as a tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    pub storage: Storage,
    /// Index of the first element.
    pub offset: usize,
    pub shape: Vec<usize>,
    /// Distance between the elements of each dimension.
    pub strides: Vec<usize>,
}

/// The values of a pickle.
#[derive(Debug)]
pub struct Pickle {
    pub values: Vec<Value>,
    /// The value that was pickled.
    pub root: ValueId,
}

impl Pickle {
    /// Reads a pickle.
    ///
    /// # Errors
    /// [`PyTorchError::Global`], [`PyTorchError::Opcode`], [`PyTorchError::Malformed`] or [`PyTorchError::TooManyValues`].
    pub fn parse(bytes: &[u8]) -> Result<Self, PyTorchError> {
        let machine = Machine {
            bytes,
            position: 0,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        };
        machine.run()
    }

    /// Returns the entries of a dictionary whose keys are texts, or `None` if the value is another.
    pub fn entries(&self, id: ValueId) -> Option<Vec<(&str, ValueId)>> {
        let Value::Dict(entries) = &self.values[id] else { return None };
        let entry = |&(key, value): &(ValueId, ValueId)| match &self.values[key] {
            Value::Text(key) => Some((key.as_str(), value)),
            _ => None,
        };
        entries.iter().map(entry).collect()
    }
}

/// The stack machine that a pickle is a program of.
struct Machine<'a> {
    bytes: &'a [u8],
    position: usize,
    values: Vec<Value>,
    stack: Vec<ValueId>,
    /// Heights of the stack where groups begin.
    marks: Vec<usize>,
    memo: HashMap<u32, ValueId>,
}

impl Machine<'_> {
    fn run(mut self) -> Result<Pickle, PyTorchError> {
        loop {
            let position = self.position;
            let [opcode] = self.take()?;
            match opcode {
                // PROTO
                0x80 => {
                    let [_] = self.take()?;
                }
                // FRAME
                0x95 => {
                    let _: [u8; 8] = self.take()?;
                }
                b'.' => return Ok(Pickle { root: self.pop()?, values: self.values }),
                b'N' | 0x88 | 0x89 => self.push(Value::Scalar)?,
                b'G' => {
                    let _: [u8; 8] = self.take()?;
                    self.push(Value::Scalar)?;
                }
                b'K' => {
                    let [byte] = self.take()?;
                    self.push(Value::Int(byte.into()))?;
                }
                b'M' => {
                    let value = u16::from_le_bytes(self.take()?);
                    self.push(Value::Int(value.into()))?;
                }
                b'J' => {
                    let value = i32::from_le_bytes(self.take()?);
                    self.push(Value::Int(value.into()))?;
                }
                // LONG1
                0x8a => {
                    let [len] = self.take()?;
                    let value = self.long(len.into())?;
                    self.push(value)?;
                }
                b'X' => {
                    let len = u32::from_le_bytes(self.take()?);
                    self.push_text(len as usize)?;
                }
                // SHORT_BINUNICODE
                0x8c => {
                    let [len] = self.take()?;
                    self.push_text(len.into())?;
                }
                b'C' | b'U' => {
                    let [len] = self.take()?;
                    self.take_slice(len.into())?;
                    self.push(Value::Scalar)?;
                }
                b'B' => {
                    let len = u32::from_le_bytes(self.take()?);
                    self.take_slice(len as usize)?;
                    self.push(Value::Scalar)?;
                }
                b'}' => self.push(Value::Dict(Vec::new()))?,
                b']' => self.push(Value::List(Vec::new()))?,
                b')' => self.push(Value::Tuple(Vec::new()))?,
                b'(' => self.marks.push(self.stack.len()),
                b't' => {
                    let items = self.pop_group()?;
                    self.push(Value::Tuple(items))?;
                }
                // TUPLE1 to TUPLE3
                0x85..=0x87 => {
                    let items = self.pop_items(usize::from(opcode - 0x84))?;
                    self.push(Value::Tuple(items))?;
                }
                b's' => {
                    let items = self.pop_items(2)?;
                    self.set_items(&items)?;
                }
                b'u' => {
                    let items = self.pop_group()?;
                    self.set_items(&items)?;
                }
                b'a' => {
                    let items = self.pop_items(1)?;
                    self.append(items)?;
                }
                b'e' => {
                    let items = self.pop_group()?;
                    self.append(items)?;
                }
                b'q' => {
                    let [index] = self.take()?;
                    self.memoize(index.into())?;
                }
                b'r' => {
                    let index = u32::from_le_bytes(self.take()?);
                    self.memoize(index)?;
                }
                // MEMOIZE
                0x94 => self.memoize(self.memo.len() as u32)?,
                b'h' => {
                    let [index] = self.take()?;
                    self.recall(index.into())?;
                }
                b'j' => {
                    let index = u32::from_le_bytes(self.take()?);
                    self.recall(index)?;
                }
                b'c' => {
                    let name = format!("{}.{}", self.take_line()?, self.take_line()?);
                    self.push(Value::Global(Global::from_name(&name)?))?;
                }
                // STACK_GLOBAL
                0x93 => {
                    let items = self.pop_items(2)?;
                    let name = format!("{}.{}", self.text(items[0])?, self.text(items[1])?);
                    self.push(Value::Global(Global::from_name(&name)?))?;
                }
                b'Q' => {
                    let id = self.pop()?;
                    let storage = self.storage(id)?;
                    self.push(Value::Storage(storage))?;
                }
                b'R' => {
                    let items = self.pop_items(2)?;
                    let value = self.call(items[0], items[1])?;
                    self.push(value)?;
                }
                // BUILD sets attributes, such as the `_metadata` of a state_dict.
                b'b' => {
                    self.pop()?;
                    if !matches!(self.values[self.top()?], Value::Dict(_)) {
                        return Err(self.malformed("attributes of a dictionary"));
                    }
                }
                _ => return Err(PyTorchError::Opcode { opcode, position }),
            }
        }
    }

    fn malformed(&self, expected: &'static str) -> PyTorchError {
        PyTorchError::Malformed { expected, position: self.position }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], PyTorchError> {
        // The slice has N bytes.
        Ok(self.take_slice(N)?.try_into().expect("N bytes"))
    }

    fn take_slice(&mut self, len: usize) -> Result<&[u8], PyTorchError> {
        let rest = &self.bytes[self.position..];
        let Some(slice) = rest.get(..len) else { return Err(self.malformed("more bytes")) };
        self.position += len;
        Ok(slice)
    }

    fn take_line(&mut self) -> Result<String, PyTorchError> {
        let len = self.bytes[self.position..].iter().position(|&byte| byte == b'\n');
        let Some(len) = len else { return Err(self.malformed("the end of a name")) };
        let line = String::from_utf8_lossy(self.take_slice(len)?).into_owned();
        self.position += 1;
        Ok(line)
    }

    /// Reads an integer of `len` bytes in two's complement. What 64 bits can't hold is not needed.
    fn long(&mut self, len: usize) -> Result<Value, PyTorchError> {
        let bytes = self.take_slice(len)?;
        if len > 8 {
            return Ok(Value::Scalar);
        }
        let is_negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut word = if is_negative { [0xff; 8] } else { [0; 8] };
        word[..len].copy_from_slice(bytes);
        Ok(Value::Int(i64::from_le_bytes(word)))
    }

    fn push_text(&mut self, len: usize) -> Result<(), PyTorchError> {
        let text = str::from_utf8(self.take_slice(len)?).map(str::to_owned);
        match text {
            Ok(text) => self.push(Value::Text(text)),
            Err(_) => Err(self.malformed("text in UTF-8")),
        }
    }

    fn push(&mut self, value: Value) -> Result<(), PyTorchError> {
        if self.values.len() == MAX_VALUES {
            return Err(PyTorchError::TooManyValues { max: MAX_VALUES });
        }
        self.stack.push(self.values.len());
        self.values.push(value);
        Ok(())
    }

    /// Removes the last value of the stack. Groups that are not closed are not part of it.
    fn pop(&mut self) -> Result<ValueId, PyTorchError> {
        Ok(self.pop_items(1)?[0])
    }

    fn top(&self) -> Result<ValueId, PyTorchError> {
        self.stack.last().copied().ok_or_else(|| self.malformed("a value before it"))
    }

    fn pop_items(&mut self, count: usize) -> Result<Vec<ValueId>, PyTorchError> {
        let start = self.stack.len().checked_sub(count);
        match start.filter(|&start| self.marks.last().is_none_or(|&mark| mark <= start)) {
            Some(start) => Ok(self.stack.split_off(start)),
            None => Err(self.malformed("more values before it")),
        }
    }

    /// Removes the values since the last mark.
    fn pop_group(&mut self) -> Result<Vec<ValueId>, PyTorchError> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.split_off(mark)),
            None => Err(self.malformed("the mark of a group")),
        }
    }

    fn memoize(&mut self, index: u32) -> Result<(), PyTorchError> {
        self.memo.insert(index, self.top()?);
        Ok(())
    }

    fn recall(&mut self, index: u32) -> Result<(), PyTorchError> {
        match self.memo.get(&index) {
            Some(&id) => self.stack.push(id),
            None => return Err(self.malformed("a value that was stored")),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[ValueId]) -> Result<(), PyTorchError> {
        let dict = self.top()?;
        let (pairs, []) = items.as_chunks() else { return Err(self.malformed("a value for each key")) };
        let Value::Dict(entries) = &mut self.values[dict] else { return Err(self.malformed("a dictionary")) };
        entries.extend(pairs.iter().map(|&[key, value]| (key, value)));
        Ok(())
    }

    fn append(&mut self, items: Vec<ValueId>) -> Result<(), PyTorchError> {
        let list = self.top()?;
        let Value::List(list) = &mut self.values[list] else { return Err(self.malformed("a list")) };
        list.extend(items);
        Ok(())
    }

    fn text(&self, id: ValueId) -> Result<&str, PyTorchError> {
        match &self.values[id] {
            Value::Text(text) => Ok(text),
            _ => Err(self.malformed("a text")),
        }
    }

    fn size(&self, id: ValueId) -> Result<usize, PyTorchError> {
        match self.values[id] {
            Value::Int(value) => value.try_into().map_err(|_| self.malformed("a size")),
            _ => Err(self.malformed("a size")),
        }
    }

    fn sizes(&self, id: ValueId) -> Result<Vec<usize>, PyTorchError> {
        match &self.values[id] {
            Value::Tuple(items) if items.len() <= MAX_DIMENSIONS => {
                items.iter().map(|&item| self.size(item)).collect()
            }
            _ => Err(self.malformed("a tuple of at most eight sizes")),
        }
    }

    /// Returns the storage that `("storage", type, key, device, len)` describes.
    fn storage(&self, id: ValueId) -> Result<Storage, PyTorchError> {
        let Value::Tuple(items) = &self.values[id] else { return Err(self.malformed("a storage")) };
        let &[kind, dtype, key, _, len] = items.as_slice() else { return Err(self.malformed("a storage")) };
        let Value::Global(Global::StorageType(dtype)) = self.values[dtype] else {
            return Err(self.malformed("the type of a storage"));
        };
        if self.text(kind)? != "storage" {
            return Err(self.malformed("a storage"));
        }
        let key = self.text(key)?.parse().map_err(|_| self.malformed("the number of a storage"))?;
        Ok(Storage { key, dtype, len: self.size(len)? })
    }

    /// Returns what a function or class returns for a tuple of arguments.
    fn call(&self, function: ValueId, arguments: ValueId) -> Result<Value, PyTorchError> {
        let (Value::Global(function), Value::Tuple(arguments)) =
            (&self.values[function], &self.values[arguments])
        else {
            return Err(self.malformed("a function and a tuple of arguments"));
        };
        match (function, arguments.as_slice()) {
            (Global::OrderedDict, []) => Ok(Value::Dict(Vec::new())),
            (Global::RebuildTensor, &[storage, offset, shape, strides, ..]) => {
                let Value::Storage(storage) = &self.values[storage] else {
                    return Err(self.malformed("the storage of a tensor"));
                };
                let (shape, strides) = (self.sizes(shape)?, self.sizes(strides)?);
                if shape.len() != strides.len() {
                    return Err(self.malformed("a stride for each dimension"));
                }
                Ok(Value::Tensor(Tensor {
                    storage: storage.clone(),
                    offset: self.size(offset)?,
                    shape,
                    strides,
                }))
            }
            (Global::RebuildParameter, &[tensor, ..]) if matches!(self.values[tensor], Value::Tensor(_)) => {
                Ok(self.values[tensor].clone())
            }
            (Global::Size, &[sizes]) => Ok(Value::Tuple(match &self.values[sizes] {
                Value::Tuple(items) | Value::List(items) if items.len() <= MAX_DIMENSIONS => items.clone(),
                _ => return Err(self.malformed("the sizes of a shape")),
            })),
            (Global::Device, _) => Ok(Value::Scalar),
            _ => Err(self.malformed("other arguments of a function")),
        }
    }
}
