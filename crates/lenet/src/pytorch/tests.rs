use std::io::Write;

use half::{bf16, f16};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::*;
use crate::{
    models,
    nn::{Network, Normalize},
    weights::from_state_dict,
};

/// Writes a pickle of protocol 2.
#[derive(Clone)]
struct Pickler(Vec<u8>);

impl Pickler {
    fn new() -> Self {
        Self(b"\x80\x02".to_vec())
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    fn text(self, text: &str) -> Self {
        self.raw(b"X").raw(&(text.len() as u32).to_le_bytes()).raw(text.as_bytes())
    }

    fn int(self, value: usize) -> Self {
        self.raw(b"J").raw(&(value as u32).to_le_bytes())
    }

    fn sizes(self, sizes: &[usize]) -> Self {
        sizes.iter().fold(self.raw(b"("), |pickler, &size| pickler.int(size)).raw(b"t")
    }

    fn global(self, module: &str, name: &str) -> Self {
        self.raw(format!("c{module}\n{name}\n").as_bytes())
    }

    /// Writes a tensor of all elements of a storage of `len` elements.
    fn tensor(self, storage_type: &str, key: usize, len: usize, shape: &[usize], strides: &[usize]) -> Self {
        self.global("torch._utils", "_rebuild_tensor_v2")
            .raw(b"((")
            .text("storage")
            .global("torch", storage_type)
            .text(&key.to_string())
            .text("cpu")
            .int(len)
            .raw(b"tQ")
            .int(0)
            .sizes(shape)
            .sizes(strides)
            .raw(b"\x89")
            .global("collections", "OrderedDict")
            .raw(b")RtR")
    }

    fn stop(self) -> Vec<u8> {
        self.raw(b".").0
    }
}

/// Returns the file that holds a pickle and storages.
fn archive(pickle: &[u8], storages: &[Vec<u8>]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut member = |name: String, bytes: &[u8]| {
        archive.start_file(format!("model/{name}"), options).unwrap();
        archive.write_all(bytes).unwrap();
    };
    member("data.pkl".to_owned(), pickle);
    member("byteorder".to_owned(), b"little");
    for (key, storage) in storages.iter().enumerate() {
        member(format!("data/{key}"), storage);
    }
    archive.finish().unwrap().into_inner()
}

/// Returns the strides of a contiguous tensor.
fn contiguous(shape: &[usize]) -> Vec<usize> {
    (1..=shape.len()).map(|axis| shape[axis..].iter().product()).collect()
}

/// Returns a file of a network, whose parameters `encode` encodes. `wrap` puts the dictionary of tensors into others.
fn file_of(
    network: &Network,
    prefix: &str,
    storage_type: &str,
    encode: impl Fn(f32) -> Vec<u8>,
    wrap: impl Fn(Pickler, &dyn Fn(Pickler) -> Pickler) -> Pickler,
) -> Vec<u8> {
    let tensors: Vec<_> = network.tensors().collect();
    let dict = |pickler: Pickler| {
        let pickler = pickler.global("collections", "OrderedDict").raw(b")R(");
        let write = |pickler: Pickler, (key, tensor): (usize, &crate::nn::NamedTensor)| {
            let (shape, len) = (&tensor.shape, tensor.values.len());
            let pickler = pickler.text(&format!("{prefix}{}", tensor.name));
            pickler.tensor(storage_type, key, len, shape, &contiguous(shape))
        };
        let pickler = tensors.iter().enumerate().fold(pickler, write).raw(b"u");
        // What PyTorch adds as an attribute.
        pickler.raw(b"}").text("_metadata").raw(b"}sb")
    };
    let storages: Vec<_> = tensors
        .iter()
        .map(|tensor| tensor.values.iter().flat_map(|&value| encode(value)).collect())
        .collect();
    archive(&wrap(Pickler::new(), &dict).stop(), &storages)
}

#[test]
fn reads_networks_in_all_types_from_dictionaries_and_checkpoints() {
    let mut network = Network::new(models::lenet5(), Normalize::UNIT, 5).unwrap();
    let single = |value: f32| value.to_le_bytes().to_vec();
    let state_dict = |pickler: Pickler, dict: &dyn Fn(Pickler) -> Pickler| dict(pickler);
    let checkpoint = |key: &'static str| {
        move |pickler: Pickler, dict: &dyn Fn(Pickler) -> Pickler| {
            let pickler = pickler.raw(b"}(").text("epoch").int(7).text("optimizer").raw(b"}").text(key);
            dict(pickler).text("best").raw(b"G\0\0\0\0\0\0\0\0u")
        }
    };
    let read = |file: &[u8]| from_state_dict(file, models::lenet5(), Normalize::UNIT).unwrap();
    for file in [
        file_of(&network, "", "FloatStorage", single, state_dict),
        file_of(&network, "module.", "FloatStorage", single, state_dict),
        file_of(&network, "_orig_mod.module.", "FloatStorage", single, checkpoint("state_dict")),
        file_of(&network, "", "FloatStorage", single, checkpoint("model")),
        file_of(&network, "", "DoubleStorage", |value| f64::from(value).to_le_bytes().to_vec(), state_dict),
    ] {
        assert_eq!(read(&file).parameters(), network.parameters());
    }
    let half =
        file_of(&network, "", "HalfStorage", |value| f16::from_f32(value).to_le_bytes().to_vec(), state_dict);
    network.round_to_f16();
    assert_eq!(read(&half).parameters(), network.parameters());
    let brain = |value: f32| bf16::from_f32(value);
    let file =
        file_of(&network, "", "BFloat16Storage", |value| brain(value).to_le_bytes().to_vec(), state_dict);
    for (found, expected) in read(&file).parameters().iter().zip(network.parameters()) {
        assert_eq!(*found, brain(*expected).to_f32());
    }
}

/// Returns the file of a tensor `w` with the storage 0, 1, 2, ...
fn file_with_tensor(len: usize, shape: &[usize], strides: &[usize]) -> Vec<u8> {
    let values = (0..len).flat_map(|index| (index as f32).to_le_bytes()).collect();
    let pickle = Pickler::new().raw(b"}").text("w").tensor("FloatStorage", 0, len, shape, strides).raw(b"s");
    archive(&pickle.stop(), &[values])
}

#[test]
fn gathers_tensors_that_are_views() {
    let tensors = read_tensors(&file_with_tensor(6, &[3, 2], &[1, 3])).unwrap();
    let (_, bytes) = &tensors["w"];
    let values: Vec<f32> = bytes.as_chunks().0.iter().map(|word| f32::from_le_bytes(*word)).collect();
    assert_eq!(values, [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    for (shape, strides) in [([3, 3], [1, 2]), ([2, 4], [4, 1]), ([1 << 30, 2], [1 << 30, 1])] {
        let found = read_tensors(&file_with_tensor(6, &shape, &strides));
        assert!(matches!(found, Err(PyTorchError::OutOfStorage { .. } | PyTorchError::TooLarge { .. })));
    }
    // One element, repeated.
    let found = read_tensors(&file_with_tensor(6, &[1 << 20, 1 << 10], &[0, 0]));
    assert!(matches!(found, Err(PyTorchError::TooLarge { .. })), "{found:?}");
}

/// Returns the message of the error for a pickle.
fn message(pickle: &[u8]) -> String {
    read_tensors(&archive(pickle, &[vec![0; 8]])).unwrap_err().to_string()
}

#[test]
fn other_functions_and_classes_are_refused_by_name() {
    let run = Pickler::new().global("os", "system").text("true").raw(b"\x85R").stop();
    assert!(message(&run).starts_with("os.system: expected tensors and containers"));
    let model = Pickler::new().global("__main__", "LeNet5").raw(b")\x81}b").stop();
    assert!(message(&model).contains("save model.state_dict() rather than the model"));
    let stacked = Pickler::new().text("builtins").text("eval").raw(b"\x93").stop();
    assert!(message(&stacked).starts_with("builtins.eval: "));
    let instance = Pickler::new().raw(b"(i__main__\nLeNet5\n.").stop();
    assert_eq!(message(&instance), "pickle: expected tensors and containers, found opcode 0x69 at byte 3");
}

#[test]
fn cycles_shared_values_and_deep_nesting_end() {
    // A dictionary that contains itself, a list of a million references to itself, and 100,000 lists within each other.
    let cycle = Pickler::new().raw(b"}q\0").text("a").raw(b"h\0s").stop();
    let list = Pickler::new().raw(b"]q\0(").raw(&b"h\0".repeat(1 << 20)).raw(b"e").stop();
    let deep = Pickler::new().raw(&b"]".repeat(100_000)).raw(&b"a".repeat(99_999)).stop();
    for pickle in [cycle, list, deep] {
        assert!(message(&pickle).starts_with("content: expected a state_dict"));
    }
    let many = Pickler::new().raw(&b"N".repeat((1 << 20) + 1)).stop();
    assert_eq!(message(&many), "pickle: expected at most 1048576 values, found more");
}

#[test]
fn malformed_pickles_and_archives_are_errors() {
    let tensor = Pickler::new().raw(b"}").text("w").tensor("FloatStorage", 0, 2, &[2], &[1]).raw(b"s").stop();
    assert!(read_tensors(&archive(&tensor, &[vec![0; 8]])).is_ok());
    for len in 0..tensor.len() {
        assert!(Pickle::parse(&tensor[..len]).is_err(), "{len} bytes");
    }
    for (pickle, expected) in [
        (&b"0."[..], "pickle: expected tensors and containers, found opcode 0x30 at byte 0"),
        (b"R.", "pickle: expected more values before it at byte 1"),
        (b"h\x05.", "pickle: expected a value that was stored at byte 2"),
        (b"}Ns.", "pickle: expected a value before it at byte 3"),
        (b"NNNs.", "pickle: expected a dictionary at byte 4"),
        (b"}(Nu.", "pickle: expected a value for each key at byte 4"),
        (b"t.", "pickle: expected the mark of a group at byte 1"),
        (b"NQ.", "pickle: expected a storage at byte 2"),
        (b"X\xff\xff\xff\xff.", "pickle: expected more bytes at byte 5"),
        (
            b"}.",
            "content: expected a state_dict, or one under state_dict, model_state_dict or model; found the keys ",
        ),
        (
            b"N.",
            "content: expected a state_dict, or one under state_dict, model_state_dict or model; found no dictionary of names",
        ),
    ] {
        assert_eq!(message(pickle), expected);
    }
    for (storages, expected) in [
        (vec![], "archive: expected a member data/0, found none; it was not written by torch.save"),
        (vec![vec![0; 7]], "data/0: expected 2 elements of F32, found 7 bytes"),
    ] {
        assert_eq!(read_tensors(&archive(&tensor, &storages)).unwrap_err().to_string(), expected);
    }
    assert!(matches!(read_tensors(LEGACY_MAGIC), Err(PyTorchError::Legacy)));
    assert!(matches!(read_tensors(b"PK\x03\x04"), Err(PyTorchError::Archive(_))));
    let empty = ZipWriter::new(Cursor::new(Vec::new())).finish().unwrap().into_inner();
    assert!(matches!(read_tensors(&empty), Err(PyTorchError::MissingMember { .. })));
}

#[test]
fn file_of_another_network_names_what_is_missing() {
    let error = from_state_dict(&file_with_tensor(6, &[6], &[1]), models::lenet5(), Normalize::UNIT);
    assert_eq!(
        error.unwrap_err().to_string(),
        "parameters: expected 61706 for lenet5, found at most 12; conv1.weight is missing"
    );
}
