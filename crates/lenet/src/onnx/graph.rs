//! The graph of a network: from pixels to probabilities.

use super::{
    PixelType,
    schema::{
        AttributeProto, AttributeType, DataType, DimensionProto, GraphProto, NodeProto, TensorProto,
        TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
    },
};
use crate::nn::{BatchNorm2d, Conv2d, Layer, LayerSummary, Network, PixelShuffle, PredictionKind};

/// Collects the nodes and the constants of a graph.
#[derive(Default)]
pub struct GraphBuilder {
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
}

impl GraphBuilder {
    /// Returns the graph of a network.
    pub fn build(mut self, network: &Network, input: PixelType) -> GraphProto {
        let architecture = network.architecture();
        self.constants.extend(network.tensors().map(|tensor| {
            let dims = tensor.shape.iter().map(|&size| size as i64).collect();
            float_tensor(tensor.name, dims, &tensor.values)
        }));
        let shape = architecture.input_shape();
        let sample = if shape.channels == 1 {
            vec![shape.height, shape.width]
        } else {
            vec![shape.channels, shape.height, shape.width]
        };
        let mut value = self.normalize(network, input);
        let layers = architecture.summary().expect("a network has a valid architecture");
        for layer in &layers {
            value = self.layer(layer, value);
        }
        self.probabilities(network, value);
        let pixel_type = match input {
            PixelType::Uint8 => DataType::Uint8,
            PixelType::Float => DataType::Float,
        };
        let shape = architecture.output_shape();
        let output = match architecture.prediction_kind() {
            PredictionKind::Class { classes, .. } => vec![classes],
            PredictionKind::Dense { labels } => vec![labels, shape.height, shape.width],
        };
        GraphProto {
            node: self.nodes,
            name: Some(architecture.name().to_owned()),
            initializer: self.constants,
            input: vec![value_info("pixels", pixel_type, &sample, "0 is paper, 255 is ink")],
            output: vec![value_info("probabilities", DataType::Float, &output, "0 to 1")],
        }
    }

    /// Adds the normalization: `(pixel / 255 - mean) / std`, `(batch, channels, height, width)`.
    fn normalize(&mut self, network: &Network, input: PixelType) -> String {
        let shape = network.architecture().input_shape();
        let pixels = match input {
            PixelType::Uint8 => {
                self.node("Cast", "/input/float", &["pixels"], vec![int("to", DataType::Float as i64)])
            }
            PixelType::Float => "pixels".to_owned(),
        };
        let dims = [-1, shape.channels as i64, shape.height as i64, shape.width as i64];
        let dims = self.int_constant("/input/input_shape", &dims);
        let samples = self.node("Reshape", "/input/samples", &[&pixels, &dims], Vec::new());
        let normalization = network.normalization();
        let white = self.float_constant("/input/white", 255.0);
        let mean = self.float_constant("/input/mean", normalization.mean);
        let std = self.float_constant("/input/std", normalization.std);
        let scaled = self.node("Div", "/input/scaled", &[&samples, &white], Vec::new());
        let centered = self.node("Sub", "/input/centered", &[&scaled, &mean], Vec::new());
        self.node("Div", "/input/normalized", &[&centered, &std], Vec::new())
    }

    /// Adds a layer, whose parameters are constants already. Returns the name of its output.
    fn layer(&mut self, layer: &LayerSummary, input: String) -> String {
        let name = layer.name;
        let parameter = |parameter: &str| format!("{name}.{parameter}");
        let (weight, bias) = (parameter("weight"), parameter("bias"));
        match *layer.layer {
            Layer::Conv2d(Conv2d { kernel_size, stride, padding, dilation, .. }) => {
                let attributes = vec![
                    ints("kernel_shape", [kernel_size; 2]),
                    ints("strides", [stride; 2]),
                    ints("pads", [padding; 4]),
                    ints("dilations", [dilation; 2]),
                ];
                self.layer_node("Conv", name, &[&input, &weight, &bias], attributes)
            }
            Layer::Linear(_) => {
                self.layer_node("Gemm", name, &[&input, &weight, &bias], vec![int("transB", 1)])
            }
            Layer::BatchNorm2d(_) => {
                let (mean, var) = (parameter("running_mean"), parameter("running_var"));
                let epsilon = vec![float("epsilon", BatchNorm2d::EPSILON as f32)];
                self.layer_node("BatchNormalization", name, &[&input, &weight, &bias, &mean, &var], epsilon)
            }
            Layer::MaxPool2d(pool) => {
                self.layer_node("MaxPool", name, &[&input], pool_attributes(pool.kernel_size, pool.stride))
            }
            Layer::AvgPool2d(pool) => self.layer_node(
                "AveragePool",
                name,
                &[&input],
                pool_attributes(pool.kernel_size, pool.stride),
            ),
            Layer::PixelShuffle(PixelShuffle { upscale_factor }) => {
                // The order in which PyTorch takes the channels.
                let attributes = vec![int("blocksize", upscale_factor as i64), string("mode", "CRD")];
                self.layer_node("DepthToSpace", name, &[&input], attributes)
            }
            Layer::ReLU => self.layer_node("Relu", name, &[&input], Vec::new()),
            Layer::Tanh => self.layer_node("Tanh", name, &[&input], Vec::new()),
            Layer::Flatten => self.layer_node("Flatten", name, &[&input], vec![int("axis", 1)]),
            Layer::Dropout(_) => input,
        }
    }

    /// Adds the probabilities of the logits.
    fn probabilities(&mut self, network: &Network, logits: String) {
        let temperature = self.float_constant("/output/temperature", network.temperature());
        let logits = self.node("Div", "/output/logits", &[&logits, &temperature], Vec::new());
        match network.architecture().prediction_kind() {
            PredictionKind::Class { classes, outlier_class: true } => {
                // Another logit of 0 for each sample.
                let pads = self.int_constant("/output/outlier_class", &[0, 0, 0, 1]);
                let logits =
                    self.node("Pad", "/output/logits_with_outlier_class", &[&logits, &pads], Vec::new());
                let all = self.node("Softmax", "/output/all_probabilities", &[&logits], vec![int("axis", 1)]);
                let starts = self.int_constant("/output/first_class", &[0]);
                let ends = self.int_constant("/output/end_of_classes", &[classes as i64]);
                let axes = self.int_constant("/output/class_axis", &[1]);
                self.last_node("Slice", &[&all, &starts, &ends, &axes], Vec::new())
            }
            PredictionKind::Class { outlier_class: false, .. } => {
                self.last_node("Softmax", &[&logits], vec![int("axis", 1)])
            }
            PredictionKind::Dense { .. } => self.last_node("Sigmoid", &[&logits], Vec::new()),
        };
    }

    /// Adds the node of a layer. Returns the name of its output, which differs from all names of constants and other nodes.
    fn layer_node(
        &mut self,
        op_type: &str,
        layer: &str,
        input: &[&str],
        attribute: Vec<AttributeProto>,
    ) -> String {
        self.push_node(op_type, layer, &format!("{layer}.output"), input, attribute)
    }

    /// Adds a node, whose output has its name.
    fn node(&mut self, op_type: &str, name: &str, input: &[&str], attribute: Vec<AttributeProto>) -> String {
        self.push_node(op_type, name, name, input, attribute)
    }

    /// Adds the last node.
    fn last_node(&mut self, op_type: &str, input: &[&str], attribute: Vec<AttributeProto>) -> String {
        self.push_node(op_type, "/output/probabilities", "probabilities", input, attribute)
    }

    fn push_node(
        &mut self,
        op_type: &str,
        name: &str,
        output: &str,
        input: &[&str],
        attribute: Vec<AttributeProto>,
    ) -> String {
        self.nodes.push(NodeProto {
            input: input.iter().map(|&input| input.to_owned()).collect(),
            output: vec![output.to_owned()],
            name: Some(name.to_owned()),
            op_type: Some(op_type.to_owned()),
            attribute,
        });
        output.to_owned()
    }

    /// Adds a number. Returns its name.
    fn float_constant(&mut self, name: &str, value: f32) -> String {
        self.constants.push(float_tensor(name.to_owned(), Vec::new(), &[value]));
        name.to_owned()
    }

    /// Adds a vector of integers. Returns its name.
    fn int_constant(&mut self, name: &str, values: &[i64]) -> String {
        self.constants.push(TensorProto {
            dims: vec![values.len() as i64],
            data_type: Some(DataType::Int64.into()),
            name: Some(name.to_owned()),
            raw_data: Some(values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        });
        name.to_owned()
    }
}

fn float_tensor(name: String, dims: Vec<i64>, values: &[f32]) -> TensorProto {
    TensorProto {
        dims,
        data_type: Some(DataType::Float.into()),
        name: Some(name),
        raw_data: Some(values.iter().flat_map(|value| value.to_le_bytes()).collect()),
    }
}

/// Describes an input or output, `(batch, sample...)`.
fn value_info(name: &str, elements: DataType, sample: &[usize], doc_string: &str) -> ValueInfoProto {
    let batch = DimensionProto { dim_value: None, dim_param: Some("batch".to_owned()) };
    let sizes = sample.iter().map(|&size| DimensionProto { dim_value: Some(size as i64), dim_param: None });
    let tensor = TensorTypeProto {
        elem_type: Some(elements.into()),
        shape: Some(TensorShapeProto { dim: std::iter::once(batch).chain(sizes).collect() }),
    };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto { tensor_type: Some(tensor) }),
        doc_string: Some(doc_string.to_owned()),
    }
}

fn pool_attributes(kernel_size: usize, stride: usize) -> Vec<AttributeProto> {
    vec![ints("kernel_shape", [kernel_size; 2]), ints("strides", [stride; 2])]
}

fn attribute(name: &str, r#type: AttributeType) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), r#type: Some(r#type.into()), ..AttributeProto::default() }
}

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: Some(value), ..attribute(name, AttributeType::Float) }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..attribute(name, AttributeType::Int) }
}

fn string(name: &str, value: &str) -> AttributeProto {
    AttributeProto { s: Some(value.as_bytes().to_vec()), ..attribute(name, AttributeType::String) }
}

fn ints<const N: usize>(name: &str, values: [usize; N]) -> AttributeProto {
    AttributeProto { ints: values.map(|value| value as i64).to_vec(), ..attribute(name, AttributeType::Ints) }
}
