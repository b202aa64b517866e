//! What the sources of all element types share: the header, the constants, and the memory of the activations.

use std::fmt::{self, Display, Write as _};

use super::{
    CSource,
    steps::{Placement, Step},
};
use crate::{
    Error,
    nn::{Network, PredictionKind, Shape},
};

/// A constant of C's type `float`.
pub struct Float(pub f32);

impl fmt::Display for Float {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        // `Debug` always writes a point or an exponent, without which the suffix would be invalid.
        write!(f, "{:?}f", self.0)
    }
}

/// Width of the lines of constants, in columns.
const LINE_WIDTH: usize = 120;

/// Collects the parts of a source file.
pub struct SourceWriter {
    /// Prefix of all public names.
    name: String,
    constants: Vec<Constant>,
    constant_bytes: usize,
    /// The functions that the statements call, each once, in the order of their definition. `$element` is the type of the
    /// activations.
    functions: Vec<&'static str>,
    /// The statements that compute logits from pixels.
    statements: String,
}

/// An array of constants.
struct Constant {
    name: String,
    c_type: &'static str,
    len: usize,
    /// The values, in lines of source.
    lines: String,
}

/// Where the activations are in the workspace, in elements.
pub struct ActivationOffsets {
    /// Offsets of the input and the output of each step.
    pub steps: Vec<[usize; 2]>,
    /// Offset of the last output.
    pub last: usize,
    /// Length of the workspace.
    pub len: usize,
}

impl ActivationOffsets {
    /// Places activations at the start and at the end of the workspace: the input of the network and the output of a pooling at
    /// the start, the output of a convolution or fully connected layer at the end that its input doesn't have.
    pub fn new<O>(input: Shape, steps: &[Step<O>], placement: impl Fn(&O) -> Placement) -> Self {
        let needed = steps.iter().map(|step| match placement(&step.op) {
            Placement::InPlace | Placement::Before => step.input.len(),
            Placement::Apart => step.input.len() + step.output.len(),
        });
        let len = needed.fold(input.len(), usize::max);
        let (mut is_at_start, mut last) = (true, 0);
        let steps = steps.iter().map(|step| {
            let input = last;
            match placement(&step.op) {
                Placement::InPlace => return [input; 2],
                Placement::Before => is_at_start = true,
                Placement::Apart => is_at_start = !is_at_start,
            }
            last = if is_at_start { 0 } else { len - step.output.len() };
            [input, last]
        });
        let steps = steps.collect();
        Self { steps, last, len }
    }
}

impl SourceWriter {
    /// Returns a writer for a file whose public names begin with `name`.
    pub fn new(name: &str) -> Result<Self, Error> {
        let mut characters = name.chars();
        let is_identifier = characters.next().is_some_and(|first| first.is_ascii_lowercase())
            && characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !is_identifier {
            let expected = "a name of lower-case letters, digits and underscores that begins with a letter";
            return Err(Error::CSource { layer: name.to_owned(), expected });
        }
        Ok(Self {
            name: name.to_owned(),
            constants: Vec::new(),
            constant_bytes: 0,
            functions: Vec::new(),
            statements: String::new(),
        })
    }

    /// Adds an array of constants unless there is an equal one. Returns its name, which is made of those of the layer and the
    /// parameter.
    pub fn constant<T: Display>(
        &mut self,
        layer: &str,
        parameter: &str,
        c_type: &'static str,
        values: impl ExactSizeIterator<Item = T>,
    ) -> String {
        let len = values.len();
        let lines = values_to_lines(values);
        if let Some(equal) =
            self.constants.iter().find(|constant| constant.c_type == c_type && constant.lines == lines)
        {
            return equal.name.clone();
        }
        self.constant_bytes += len * size_of::<T>();
        let name = self.unique_name(&format!("{}_{parameter}", identifier(layer)));
        self.constants.push(Constant { name: name.clone(), c_type, len, lines });
        name
    }

    /// Returns a name that no constant has. Names of layers that differ may be the same identifier.
    fn unique_name(&self, name: &str) -> String {
        let is_free = |name: &String| self.constants.iter().all(|constant| constant.name != *name);
        let numbered = (2..).map(|number| format!("{name}_{number}"));
        std::iter::once(name.to_owned()).chain(numbered).find(is_free).expect("endless numbers")
    }

    /// Adds the definition of a function unless it was added before.
    pub fn function(&mut self, definition: &'static str) {
        if !self.functions.contains(&definition) {
            self.functions.push(definition);
        }
    }

    /// Adds a statement that writes an activation of a shape. In it, `x` is the workspace.
    pub fn statement(&mut self, layer: &str, shape: Shape, call: impl Display) {
        let Shape { channels, height, width } = shape;
        let layer = identifier(layer);
        let _ = write!(self.statements, "    /* {layer}: ({channels}, {height}, {width}) */\n    {call};\n");
    }

    /// Returns the files. `c_type` is that of the activations, of `element_bytes`, and `description` says how they are computed.
    pub fn finish(
        mut self,
        network: &Network,
        c_type: &str,
        element_bytes: usize,
        len: usize,
        description: &str,
    ) -> CSource {
        let architecture = network.architecture();
        let PredictionKind::Class { classes, outlier_class } = architecture.prediction_kind() else {
            unreachable!("`steps` rejects networks that label pixels");
        };
        self.function(include_str!("kernels/argmax.c"));
        self.function(include_str!("kernels/softmax.c"));
        let shape = architecture.input_shape();
        let threshold = network.rejection_threshold().map_or(String::new(), |threshold| {
            format!(
                "/* An image whose probabilities add up to less is rejected. */\n\
                 #define $NAME_REJECTION_THRESHOLD {}\n",
                Float(threshold)
            )
        });
        let constants = self.constants.iter().map(|Constant { name, c_type, len, lines }| {
            format!("static const {c_type} {name}[{len}] = {{\n{lines}}};\n")
        });
        let fill = |template: &str| {
            template
                .replace("$functions", &self.functions.join("\n"))
                .replace("$description", description)
                .replace("$threshold", &threshold)
                .replace("$shape", &format!("({}, {}, {})", shape.channels, shape.height, shape.width))
                .replace("$pixels", &shape.len().to_string())
                .replace("$classes", &classes.to_string())
                .replace("$element", c_type)
                .replace("$len", &len.to_string())
                .replace("$temperature", &Float(network.temperature()).to_string())
                .replace("$outlier_class", if outlier_class { "1" } else { "0" })
                .replace("$statements", &self.statements)
                .replace("$NAME", &self.name.to_uppercase())
                .replace("$name", &self.name)
        };
        let header = fill(include_str!("templates/network.h"));
        // The constants are long, and have no parameters of the template.
        let source = fill(include_str!("templates/network.c"));
        let source = source.replace("$constants", &constants.collect::<Vec<_>>().join("\n"));
        CSource { header, source, constant_bytes: self.constant_bytes, workspace_bytes: len * element_bytes }
    }
}

/// Returns the call of a pooling, which reads at the offset `x` and writes at `y`.
pub fn pooling(
    function: &str,
    input: Shape,
    [kernel_size, stride]: [usize; 2],
    [x, y]: [usize; 2],
) -> String {
    let Shape { channels, height, width } = input;
    format!("{function}(x + {x}, {channels}, {height}, {width}, {kernel_size}, {stride}, x + {y})")
}

/// Returns the name of a layer as an identifier of C. The layers of PyTorch's `Sequential` are numbers.
fn identifier(name: &str) -> String {
    let prefix = if name.starts_with(|first: char| first.is_ascii_digit()) { "layer" } else { "" };
    let characters = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    prefix.chars().chain(characters).collect()
}

/// Returns values as lines of source.
fn values_to_lines(values: impl Iterator<Item = impl Display>) -> String {
    let (mut lines, mut width) = (String::new(), 0);
    for value in values {
        let value = format!(" {value},");
        if width == 0 || width + value.len() > LINE_WIDTH {
            lines += if width == 0 { "   " } else { "\n   " };
            width = 3;
        }
        width += value.len();
        lines += &value;
    }
    lines + "\n"
}
