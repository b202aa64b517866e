//! Files that `torch.save` wrote, as safetensors files.
//!
//! Such a file is a ZIP archive with a pickle, which describes tensors, and a member for each storage. A pickle is a program;
//! only those that make tensors and containers are read, and none is executed.

mod pickle;

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    io::{Cursor, Read},
};

use safetensors::tensor::{TensorView, serialize};
use zip::{ZipArchive, result::ZipError};

use crate::Error;
use pickle::{Pickle, Storage, Tensor, Value, ValueId};

/// What a ZIP archive begins with.
const ZIP_MAGIC: &[u8] = b"PK\x03\x04";
/// What the files of `torch.save` before PyTorch 1.6 begin with: a pickle of a number.
const LEGACY_MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e";

/// Bytes of a pickle, at most: a hundred for each tensor, and twice as many for those of an optimizer.
const MAX_PICKLE_BYTES: u64 = 1 << 24;
/// Bytes of all storages and tensors for each byte of the file, at most. Tensors may share a storage.
const MAX_EXPANSION: usize = 4;

/// Names under which checkpoints have a `state_dict`.
const STATE_DICT_KEYS: [&str; 3] = ["state_dict", "model_state_dict", "model"];
/// What wrappers of models put before the names of parameters: `DataParallel` and `torch.compile`.
const WRAPPER_PREFIXES: [&str; 2] = ["module.", "_orig_mod."];

/// Errors of [`to_safetensors`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PyTorchError {
    /// The file was written by a version of PyTorch before 1.6.
    #[error("version: expected a file of PyTorch 1.6 or later, found an older one; load and save it again")]
    Legacy,
    /// The archive can't be read.
    #[error("archive: could not be read")]
    Archive(#[source] ZipError),
    /// A member of the archive is missing.
    #[error("archive: expected a member {name}, found none; it was not written by torch.save")]
    MissingMember {
        /// The path of the member, without the folder that contains all.
        name: String,
    },
    /// A member of the archive is too large or too small.
    #[error("{name}: expected {expected}, found {found} bytes")]
    MemberSize {
        /// The path of the member.
        name: String,
        /// The size that is expected.
        expected: String,
        /// The size.
        found: u64,
    },
    /// The values are those of a machine with another order of bytes.
    #[error("byteorder: expected little, found {found}")]
    ByteOrder {
        /// The order.
        found: String,
    },
    /// The pickle names a function or class that is not one of tensors and containers.
    #[error(
        "{name}: expected tensors and containers, found another class or function, which is not executed; \
         save model.state_dict() rather than the model"
    )]
    Global {
        /// Module and name.
        name: String,
    },
    /// The pickle has an instruction that tensors don't need.
    #[error("pickle: expected tensors and containers, found opcode {opcode:#04x} at byte {position}")]
    Opcode {
        /// The instruction.
        opcode: u8,
        /// Its position.
        position: usize,
    },
    /// The pickle ends early, or an instruction has other values than it needs.
    #[error("pickle: expected {expected} at byte {position}")]
    Malformed {
        /// What is expected.
        expected: &'static str,
        /// Position behind the instruction.
        position: usize,
    },
    /// The pickle makes too many values.
    #[error("pickle: expected at most {max} values, found more")]
    TooManyValues {
        /// The limit.
        max: usize,
    },
    /// There is no `state_dict` in the file.
    #[error(
        "content: expected a state_dict, or one under state_dict, model_state_dict or model; found {found}"
    )]
    NoStateDict {
        /// What the file has instead.
        found: String,
    },
    /// A tensor reaches over the end of its storage.
    #[error(
        "{name}: expected a tensor within its storage of {len} elements, found one that reaches over its end"
    )]
    OutOfStorage {
        /// Name of the tensor.
        name: String,
        /// Elements of the storage.
        len: usize,
    },
    /// The tensors together are much larger than the file.
    #[error("tensors: expected at most {max} bytes, found more")]
    TooLarge {
        /// The limit.
        max: usize,
    },
}

/// Returns whether bytes begin like a file of `torch.save`.
pub(crate) fn is_pytorch(bytes: &[u8]) -> bool {
    bytes.starts_with(ZIP_MAGIC) || bytes.starts_with(LEGACY_MAGIC)
}

/// Converts a file that `torch.save` wrote to safetensors: a `state_dict`, or a checkpoint that has one under a usual key. The
/// prefixes `module.` and `_orig_mod.` of all names are removed.
///
/// # Errors
/// [`Error::PyTorch`] if it is no such file, or has other objects than tensors and containers; [`Error::Unwritable`] if
/// safetensors can't hold a name.
pub fn to_safetensors(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let tensors = read_tensors(bytes).map_err(Error::PyTorch)?;
    let views = tensors
        .iter()
        .map(|(name, (tensor, bytes))| {
            Ok((name, TensorView::new(tensor.storage.dtype, tensor.shape.clone(), bytes)?))
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(Error::Unwritable)?;
    serialize(views, None).map_err(Error::Unwritable)
}

/// Returns the tensors of the `state_dict` by their names, with their elements in row-major order.
fn read_tensors(bytes: &[u8]) -> Result<BTreeMap<String, (Tensor, Vec<u8>)>, PyTorchError> {
    if bytes.starts_with(LEGACY_MAGIC) {
        return Err(PyTorchError::Legacy);
    }
    let mut archive = Archive::new(bytes)?;
    if let Some(order) = archive.read("byteorder", 16)?
        && order != b"little"
    {
        return Err(PyTorchError::ByteOrder { found: String::from_utf8_lossy(&order).into_owned() });
    }
    let pickle = archive.read("data.pkl", MAX_PICKLE_BYTES)?;
    let pickle = pickle.ok_or(PyTorchError::MissingMember { name: "data.pkl".to_owned() })?;
    let pickle = Pickle::parse(&pickle)?;
    let mut budget = Budget::new(MAX_EXPANSION * bytes.len());
    let mut storages = HashMap::new();
    let mut tensors = BTreeMap::new();
    for (name, tensor) in state_dict(&pickle)? {
        let storage: &Vec<u8> = match storages.entry(tensor.storage.key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(archive.read_storage(&tensor.storage, &mut budget)?),
        };
        let elements = gather(&name, tensor, storage, &mut budget)?;
        tensors.insert(name, (tensor.clone(), elements));
    }
    Ok(tensors)
}

/// Returns the tensors of a `state_dict` by their names without prefixes.
fn state_dict(pickle: &Pickle) -> Result<Vec<(String, &Tensor)>, PyTorchError> {
    let root = pickle.entries(pickle.root);
    let nested = root.iter().flatten().filter(|(key, _)| STATE_DICT_KEYS.contains(key));
    let candidates = [pickle.root].into_iter().chain(nested.map(|&(_, value)| value));
    let found = candidates.filter_map(|id| tensors_of(pickle, id)).next();
    let mut tensors = found.ok_or_else(|| PyTorchError::NoStateDict {
        found: match &root {
            Some(entries) => {
                let keys: Vec<_> = entries.iter().map(|&(key, _)| key).take(10).collect();
                format!("the keys {}", keys.join(", "))
            }
            None => "no dictionary of names".to_owned(),
        },
    })?;
    while let Some(prefix) =
        WRAPPER_PREFIXES.into_iter().find(|prefix| tensors.iter().all(|(name, _)| name.starts_with(prefix)))
    {
        tensors.iter_mut().for_each(|(name, _)| *name = name.split_off(prefix.len()));
    }
    Ok(tensors)
}

/// Returns the tensors of a dictionary that has nothing but tensors, and at least one.
fn tensors_of(pickle: &Pickle, id: ValueId) -> Option<Vec<(String, &Tensor)>> {
    let tensor = |(name, value): (&str, ValueId)| match &pickle.values[value] {
        Value::Tensor(tensor) => Some((name.to_owned(), tensor)),
        _ => None,
    };
    let tensors: Vec<_> = pickle.entries(id)?.into_iter().map(tensor).collect::<Option<_>>()?;
    (!tensors.is_empty()).then_some(tensors)
}

/// The bytes that storages and tensors may take.
struct Budget {
    max: usize,
    left: usize,
}

impl Budget {
    fn new(max: usize) -> Self {
        Self { max, left: max }
    }

    /// Takes a number of bytes, `None` if it has overflown, and returns it.
    fn take(&mut self, bytes: Option<usize>) -> Result<usize, PyTorchError> {
        let bytes = bytes.filter(|&bytes| bytes <= self.left);
        let bytes = bytes.ok_or(PyTorchError::TooLarge { max: self.max })?;
        self.left -= bytes;
        Ok(bytes)
    }
}

/// Returns the elements of a tensor in row-major order.
fn gather(name: &str, tensor: &Tensor, storage: &[u8], budget: &mut Budget) -> Result<Vec<u8>, PyTorchError> {
    let Tensor { storage: Storage { dtype, .. }, offset, shape, strides } = tensor;
    let size = dtype.bitsize() / 8;
    // Tensors may disagree on the length of the storage that they share.
    let len = storage.len() / size;
    let bytes = shape.iter().try_fold(size, |product, &size| product.checked_mul(size));
    let bytes = budget.take(bytes)?;
    // The index of the last element.
    let last = shape.iter().zip(strides).try_fold(*offset, |last, (&size, &stride)| {
        size.saturating_sub(1).checked_mul(stride).and_then(|distance| last.checked_add(distance))
    });
    if bytes > 0 && last.is_none_or(|last| last >= len) {
        return Err(PyTorchError::OutOfStorage { name: name.to_owned(), len });
    }
    let mut elements = Vec::with_capacity(bytes);
    let mut index = vec![0; shape.len()];
    while elements.len() < bytes {
        let at: usize =
            offset + index.iter().zip(strides).map(|(index, stride)| index * stride).sum::<usize>();
        elements.extend_from_slice(&storage[at * size..][..size]);
        for (index, &size) in index.iter_mut().zip(shape).rev() {
            *index += 1;
            if *index < size {
                break;
            }
            *index = 0;
        }
    }
    Ok(elements)
}

/// The archive. Its members are in a folder.
struct Archive<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    /// Path of the folder, with a slash at the end.
    folder: String,
    /// Bytes of the archive.
    len: u64,
}

impl<'a> Archive<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, PyTorchError> {
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(PyTorchError::Archive)?;
        let mut names = archive.file_names().flatten();
        let folder = names.find_map(|name| name.strip_suffix("data.pkl").map(str::to_owned));
        drop(names);
        let folder = folder.ok_or(PyTorchError::MissingMember { name: "data.pkl".to_owned() })?;
        Ok(Self { archive, folder, len: bytes.len() as u64 })
    }

    /// Reads a member of at most `max` bytes, or returns `None` if there is none.
    fn read(&mut self, name: &str, max: u64) -> Result<Option<Vec<u8>>, PyTorchError> {
        let member = match self.archive.by_name(&format!("{}{name}", self.folder)) {
            Ok(member) => member,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(PyTorchError::Archive(error)),
        };
        let found = member.size();
        if found > max {
            let expected = format!("at most {max} bytes");
            return Err(PyTorchError::MemberSize { name: name.to_owned(), expected, found });
        }
        let mut bytes = Vec::new();
        // The size in the archive's directory may be wrong.
        member.take(max).read_to_end(&mut bytes).map_err(|error| PyTorchError::Archive(error.into()))?;
        Ok(Some(bytes))
    }

    /// Reads all elements of a storage.
    fn read_storage(&mut self, storage: &Storage, budget: &mut Budget) -> Result<Vec<u8>, PyTorchError> {
        let Storage { key, dtype, len } = storage;
        let name = format!("data/{key}");
        let expected = budget.take(len.checked_mul(dtype.bitsize() / 8))?;
        let bytes =
            self.read(&name, self.len)?.ok_or_else(|| PyTorchError::MissingMember { name: name.clone() })?;
        if bytes.len() != expected {
            let (expected, found) = (format!("{len} elements of {dtype}"), bytes.len() as u64);
            return Err(PyTorchError::MemberSize { name, expected, found });
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests;
