//! Layers, loss and optimizers as plain loops in double precision: the oracle for the engine's kernels.
//!
//! Names and conventions are PyTorch's (<https://docs.pytorch.org/docs/stable/nn.html>); convolution is cross-correlation.
//! This module is tested against finite differences below and against PyTorch's results in [`golden`](super::golden).

/// Activations `(batch, channels, height, width)` in row-major order.
#[derive(Clone, Debug)]
pub struct Tensor {
    pub shape: [usize; 4],
    pub data: Vec<f64>,
}

/// The parameters of a layer or their gradients. Both are empty for a layer without parameters.
#[derive(Clone, Debug, Default)]
pub struct Parameters {
    /// `(outputs, inputs, kernel, kernel)`, `(outputs, inputs)` or `(channels)`
    pub weight: Vec<f64>,
    /// `(outputs)`
    pub bias: Vec<f64>,
}

#[derive(Clone, Debug)]
pub enum Layer {
    /// `y[o, i, j] = bias[o] + sum over c, u, v of weight[o, c, u, v] x[c, i stride + u dilation - padding, j stride + v
    /// dilation - padding]`, where `x` is zero outside.
    Conv2d { inputs: usize, outputs: usize, kernel: usize, stride: usize, padding: usize, dilation: usize },
    /// `y = weight x + bias`, where `x` is a flattened sample.
    Linear { inputs: usize, outputs: usize },
    /// Maximum of each window. Its gradient goes to the first maximum in row-major order.
    MaxPool2d { kernel: usize, stride: usize },
    /// Mean of each window.
    AvgPool2d { kernel: usize, stride: usize },
    /// `y[c, h factor + i, w factor + j] = x[(c factor + i) factor + j, h, w]`
    PixelShuffle { factor: usize },
    /// `y = weight (x - mean) / sqrt(var + 1e-5) + bias`, with mean and variance of the channel over the batch.
    BatchNorm2d { channels: usize },
    /// `max(x, 0)`, with derivative 0 at 0.
    Relu,
    /// Hyperbolic tangent.
    Tanh,
    /// `y = mask x`. The mask is 0 for dropped values and `1 / (1 - p)` for the others.
    Dropout { mask: Vec<f64> },
}
use Layer::*;

impl Layer {
    /// Returns the number of inputs of each output and the number of outputs of a layer with parameters.
    pub fn fans(&self) -> Option<(usize, usize)> {
        match *self {
            Conv2d { inputs, outputs, kernel, .. } => Some((inputs * kernel * kernel, outputs)),
            Linear { inputs, outputs } => Some((inputs, outputs)),
            BatchNorm2d { channels } => Some((1, channels)),
            _ => None,
        }
    }

    /// Returns the shape of the output for the shape of the input.
    pub fn output_shape(&self, [n, c, h, w]: [usize; 4]) -> [usize; 4] {
        match *self {
            Conv2d { outputs, kernel, stride, padding, dilation, .. } => {
                let size = |size| (size + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
                [n, outputs, size(h), size(w)]
            }
            Linear { outputs, .. } => [n, outputs, 1, 1],
            MaxPool2d { kernel, stride } | AvgPool2d { kernel, stride } => {
                [n, c, (h - kernel) / stride + 1, (w - kernel) / stride + 1]
            }
            PixelShuffle { factor } => [n, c / (factor * factor), h * factor, w * factor],
            BatchNorm2d { .. } | Relu | Tanh | Dropout { .. } => [n, c, h, w],
        }
    }

    /// Calls `visit(output, weight, input)` with the flat indices of each pair of an output and an input that it depends on, in
    /// row-major order. `weight` is the index of the weight of the pair; 0 in pooling; the index of the element in
    /// element-wise layers.
    fn terms(&self, shape: [usize; 4], mut visit: impl FnMut(usize, usize, usize)) {
        let [n, channels, h, w] = shape;
        let flat = |n: usize, c: usize, y: usize, x: usize| ((n * channels + c) * h + y) * w + x;
        let outputs = indices(self.output_shape(shape)).enumerate();
        match *self {
            Conv2d { inputs, kernel, stride, padding, dilation, .. } => {
                for (output, [n, o, y, x]) in outputs {
                    for (tap, [_, i, ky, kx]) in indices([1, inputs, kernel, kernel]).enumerate() {
                        // Indices to the left of the image and above it wrap to huge numbers, which are outside as well.
                        let y = (y * stride + ky * dilation).wrapping_sub(padding);
                        let x = (x * stride + kx * dilation).wrapping_sub(padding);
                        if y < h && x < w {
                            visit(output, o * inputs * kernel * kernel + tap, flat(n, i, y, x));
                        }
                    }
                }
            }
            Linear { inputs, .. } => {
                for (output, [n, o, ..]) in outputs {
                    (0..inputs).for_each(|i| visit(output, o * inputs + i, n * inputs + i));
                }
            }
            MaxPool2d { kernel, stride } | AvgPool2d { kernel, stride } => {
                for (output, [n, c, y, x]) in outputs {
                    for [_, _, ky, kx] in indices([1, 1, kernel, kernel]) {
                        visit(output, 0, flat(n, c, y * stride + ky, x * stride + kx));
                    }
                }
            }
            PixelShuffle { factor } => {
                for (output, [n, c, y, x]) in outputs {
                    let (i, j) = (y % factor, x % factor);
                    visit(output, 0, flat(n, (c * factor + i) * factor + j, y / factor, x / factor));
                }
            }
            BatchNorm2d { .. } | Relu | Tanh | Dropout { .. } => {
                (0..n * channels * h * w).for_each(|i| visit(i, i, i))
            }
        }
    }

    /// Returns the output of the layer.
    pub fn forward(&self, p: &Parameters, x: &Tensor) -> Tensor {
        if let BatchNorm2d { .. } = self {
            let [mean, var] = moments(x);
            let value = |([_, c, ..], x): ([usize; 4], &f64)| {
                p.weight[c] * (x - mean[c]) / (var[c] + EPS).sqrt() + p.bias[c]
            };
            return Tensor { shape: x.shape, data: indices(x.shape).zip(&x.data).map(value).collect() };
        }
        let shape = self.output_shape(x.shape);
        let mut y: Vec<f64> = indices(shape)
            .map(|[_, o, ..]| match self {
                Conv2d { .. } | Linear { .. } => p.bias[o],
                MaxPool2d { .. } => f64::NEG_INFINITY,
                _ => 0.0,
            })
            .collect();
        let x_shape = x.shape;
        let x = &x.data;
        self.terms(x_shape, |o, w, i| match self {
            Conv2d { .. } | Linear { .. } => y[o] += p.weight[w] * x[i],
            MaxPool2d { .. } => y[o] = y[o].max(x[i]),
            AvgPool2d { kernel, .. } => y[o] += x[i] / (kernel * kernel) as f64,
            PixelShuffle { .. } => y[o] = x[i],
            Relu => y[o] = x[i].max(0.0),
            Tanh => y[o] = x[i].tanh(),
            Dropout { mask } => y[o] = mask[w] * x[i],
            BatchNorm2d { .. } => {}
        });
        Tensor { shape, data: y }
    }

    /// Returns the gradients of the input and of the parameters from the gradient `dy` of the output.
    pub fn backward(&self, p: &Parameters, x: &Tensor, dy: &Tensor) -> (Tensor, Parameters) {
        if let BatchNorm2d { .. } = self {
            return batch_norm_backward(p, x, dy);
        }
        let mut dx = vec![0.0; x.data.len()];
        let mut dp = Parameters { weight: vec![0.0; p.weight.len()], bias: vec![0.0; p.bias.len()] };
        if self.fans().is_some() {
            indices(dy.shape).zip(&dy.data).for_each(|([_, o, ..], dy)| dp.bias[o] += dy);
        }
        let y = self.forward(p, x).data;
        let shape = x.shape;
        let (x, mut dy) = (&x.data, dy.data.clone());
        self.terms(shape, |o, w, i| match self {
            Conv2d { .. } | Linear { .. } => {
                dx[i] += p.weight[w] * dy[o];
                dp.weight[w] += x[i] * dy[o];
            }
            // Taking the gradient leaves 0 for further maxima of the window.
            MaxPool2d { .. } if x[i] == y[o] => dx[i] += std::mem::take(&mut dy[o]),
            AvgPool2d { kernel, .. } => dx[i] += dy[o] / (kernel * kernel) as f64,
            PixelShuffle { .. } => dx[i] = dy[o],
            Relu if x[i] > 0.0 => dx[i] = dy[o],
            MaxPool2d { .. } | Relu => {}
            Tanh => dx[i] = (1.0 - y[o] * y[o]) * dy[o],
            Dropout { mask } => dx[i] = mask[w] * dy[o],
            BatchNorm2d { .. } => {}
        });
        (Tensor { shape, data: dx }, dp)
    }
}

/// Added to variances to avoid a division by zero.
const EPS: f64 = 1e-5;

/// Returns mean and variance of each channel over the batch.
pub fn moments(x: &Tensor) -> [Vec<f64>; 2] {
    let [_, channels, ..] = x.shape;
    let pixels = (x.data.len() / channels) as f64;
    let mut means = vec![0.0; channels];
    indices(x.shape).zip(&x.data).for_each(|([_, c, ..], x)| means[c] += x / pixels);
    let mut vars = vec![0.0; channels];
    indices(x.shape).zip(&x.data).for_each(|([_, c, ..], x)| vars[c] += (x - means[c]).powi(2) / pixels);
    [means, vars]
}

/// Applies the chain rule through the normalized value, the mean and the variance.
fn batch_norm_backward(p: &Parameters, x: &Tensor, dy: &Tensor) -> (Tensor, Parameters) {
    let [mean, var] = moments(x);
    let channels = mean.len();
    let pixels = (x.data.len() / channels) as f64;
    let elements = || indices(x.shape).map(|[_, c, ..]| c).zip(&x.data).zip(&dy.data);
    let mut dp = Parameters { weight: vec![0.0; channels], bias: vec![0.0; channels] };
    let (mut dmean, mut dvar) = (vec![0.0; channels], vec![0.0; channels]);
    for ((c, x), dy) in elements() {
        let deviation = (var[c] + EPS).sqrt();
        dp.weight[c] += dy * (x - mean[c]) / deviation;
        dp.bias[c] += dy;
        dmean[c] -= dy * p.weight[c] / deviation;
        dvar[c] -= 0.5 * dy * p.weight[c] * (x - mean[c]) / deviation.powi(3);
    }
    let dx = elements().map(|((c, x), dy)| {
        dy * p.weight[c] / (var[c] + EPS).sqrt() + (dmean[c] + dvar[c] * 2.0 * (x - mean[c])) / pixels
    });
    (Tensor { shape: x.shape, data: dx.collect() }, dp)
}

/// Iterates over the indices of a four-dimensional array in row-major order.
fn indices([n, c, h, w]: [usize; 4]) -> impl Iterator<Item = [usize; 4]> {
    (0..n * c * h * w).map(move |i| [i / (c * h * w), i / (h * w) % c, i / w % h, i % w])
}

/// Returns the cross-entropy `-sum t log softmax(z)` of logits `z` and target probabilities `t`, both `(batch, classes)`,
/// averaged over the batch, and its gradient with respect to the logits, `sum(t) softmax(z) - t`.
pub fn cross_entropy(logits: &[f64], targets: &[f64], classes: usize) -> (f64, Vec<f64>) {
    let batch = (logits.len() / classes) as f64;
    let (mut loss, mut gradient) = (0.0, Vec::new());
    for (z, t) in logits.chunks(classes).zip(targets.chunks(classes)) {
        let largest = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let log_sum = largest + z.iter().map(|z| (z - largest).exp()).sum::<f64>().ln();
        let total: f64 = t.iter().sum();
        for (z, t) in z.iter().zip(t) {
            loss -= t * (z - log_sum) / batch;
            gradient.push((total * (z - log_sum).exp() - t) / batch);
        }
    }
    (loss, gradient)
}

/// Returns the binary cross-entropy `-t log sigmoid(z) - (1 - t) log(1 - sigmoid(z))`, averaged over all logits `z` with target
/// probabilities `t`, and its gradient with respect to the logits, `(sigmoid(z) - t) / count`.
pub fn binary_cross_entropy(logits: &[f64], targets: &[f64]) -> (f64, Vec<f64>) {
    let count = logits.len() as f64;
    let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
    let terms = || logits.iter().zip(targets);
    let loss = terms().map(|(&z, t)| -t * sigmoid(z).ln() - (1.0 - t) * sigmoid(-z).ln()).sum::<f64>();
    (loss / count, terms().map(|(&z, t)| (sigmoid(z) - t) / count).collect())
}

/// Returns one-hot target probabilities, `(batch, classes)`.
pub fn one_hot(labels: &[u8], classes: usize) -> Vec<f64> {
    labels.iter().flat_map(|&label| (0..classes).map(move |c| f64::from(c == label as usize))).collect()
}

/// Returns targets after PyTorch's label smoothing: `(1 - smoothing) t + smoothing / classes`.
pub fn smooth(targets: &[f64], smoothing: f64, classes: usize) -> Vec<f64> {
    targets.iter().map(|t| (1.0 - smoothing) * t + smoothing / classes as f64).collect()
}

/// Returns a step of PyTorch's SGD, `g <- g + decay p; v <- momentum v + g; p <- p - lr v`, as a function of parameters and
/// gradients. `decay` has an element for each parameter.
pub fn sgd(lr: f64, momentum: f64, decay: Vec<f64>) -> impl FnMut(&mut [f64], &[f64]) {
    let mut v = vec![0.0; decay.len()];
    move |p, g| {
        for i in 0..v.len() {
            v[i] = momentum * v[i] + g[i] + decay[i] * p[i];
            p[i] -= lr * v[i];
        }
    }
}

/// Returns a step of Adam (Kingma & Ba 2015, <https://arxiv.org/abs/1412.6980>, algorithm 1) with its default settings, after
/// the decoupled weight decay of AdamW (Loshchilov & Hutter 2019, <https://arxiv.org/abs/1711.05101>, algorithm 2), as a
/// function of parameters and gradients. `decay` has an element for each parameter.
pub fn adam(lr: f64, decay: Vec<f64>) -> impl FnMut(&mut [f64], &[f64]) {
    let (beta1, beta2, epsilon) = (0.9, 0.999, 1e-8);
    let (mut m, mut v, mut t) = (vec![0.0; decay.len()], vec![0.0; decay.len()], 0);
    move |p, g| {
        t += 1;
        for i in 0..m.len() {
            p[i] -= lr * decay[i] * p[i];
            m[i] = beta1 * m[i] + (1.0 - beta1) * g[i];
            v[i] = beta2 * v[i] + (1.0 - beta2) * g[i] * g[i];
            let m = m[i] / (1.0 - f64::powi(beta1, t));
            let v = v[i] / (1.0 - f64::powi(beta2, t));
            p[i] -= lr * m / (v.sqrt() + epsilon);
        }
    }
}

/// Returns a random layer of every kind with an input shape that it accepts.
pub fn random_layers(rng: &mut fastrand::Rng, batch: usize) -> Vec<(Layer, [usize; 4])> {
    let shape = [batch, rng.usize(1..4), rng.usize(3..8), rng.usize(3..8)];
    let [_, inputs, h, w] = shape;
    let outputs = rng.usize(1..8);
    let (kernel, stride) = (rng.usize(1..4), rng.usize(1..4));
    let padding = rng.usize(0..kernel);
    // Grown where the kernel would not fit in the input.
    let dilation = rng.usize(1..4);
    let extent = dilation * (kernel - 1) + 1;
    let dilated_padding = rng.usize(extent.saturating_sub(h.min(w)).div_ceil(2)..extent);
    let factor = rng.usize(1..4);
    let mask = (0..shape.iter().product()).map(|_| if rng.bool() { 2.0 } else { 0.0 }).collect();
    let layers = [
        Conv2d { inputs, outputs, kernel, stride, padding, dilation: 1 },
        Conv2d { inputs, outputs, kernel, stride, padding: dilated_padding, dilation },
        Linear { inputs: inputs * h * w, outputs },
        MaxPool2d { kernel, stride },
        AvgPool2d { kernel, stride },
        BatchNorm2d { channels: inputs },
        Relu,
        Tanh,
        Dropout { mask },
    ];
    let shuffle = (PixelShuffle { factor }, [batch, inputs * factor * factor, h, w]);
    layers.map(|layer| (layer, shape)).into_iter().chain([shuffle]).collect()
}

/// Returns values in [-1, 1] in random order that differ by at least `1 / len` from each other and from 0. The derivatives of
/// ReLU and of maxima do not jump near such values.
pub fn distinct(rng: &mut fastrand::Rng, len: usize) -> Vec<f64> {
    let mut values: Vec<f64> = (0..len).map(|i| (2 * i + 1) as f64 / len as f64 - 1.0).collect();
    values.iter_mut().filter(|v| **v == 0.0).for_each(|v| *v = 1.0);
    rng.shuffle(&mut values);
    values
}

/// Asserts that `gradient` agrees with central differences of `f` at `x`, within 1e-6 of its largest magnitude.
fn check_gradient(name: &str, x: &[f64], gradient: &[f64], f: impl Fn(Vec<f64>) -> f64) {
    const STEP: f64 = 1e-5;
    let largest = gradient.iter().fold(1e-3, |a: f64, b| a.max(b.abs()));
    for i in 0..x.len() {
        let value_at = |step| {
            let mut x = x.to_vec();
            x[i] += step;
            f(x)
        };
        let (expected, found) = ((value_at(STEP) - value_at(-STEP)) / (2.0 * STEP), gradient[i]);
        let close = (expected - found).abs() <= 1e-6 * largest;
        assert!(close, "{name}[{i}]: expected {expected}, found {found}");
    }
}

#[test]
fn layers_pass_a_finite_difference_check() {
    let mut rng = fastrand::Rng::with_seed(0);
    for _ in 0..10 {
        for (layer, shape) in random_layers(&mut rng, 2) {
            let x = Tensor { shape, data: distinct(&mut rng, shape.iter().product()) };
            let (fan_in, outputs) = layer.fans().unwrap_or_default();
            let p = Parameters {
                weight: distinct(&mut rng, fan_in * outputs),
                bias: distinct(&mut rng, outputs),
            };
            let shape = layer.output_shape(shape);
            let dy = Tensor { shape, data: distinct(&mut rng, shape.iter().product()) };
            let (dx, dp) = layer.backward(&p, &x, &dy);

            let value = |p: &Parameters, x: &Tensor| -> f64 {
                layer.forward(p, x).data.iter().zip(&dy.data).map(|(y, dy)| y * dy).sum()
            };
            check_gradient(&format!("{layer:?} dx"), &x.data, &dx.data, |data| {
                value(&p, &Tensor { shape: x.shape, data })
            });
            check_gradient(&format!("{layer:?} dweight"), &p.weight, &dp.weight, |weight| {
                value(&Parameters { weight, bias: p.bias.clone() }, &x)
            });
            check_gradient(&format!("{layer:?} dbias"), &p.bias, &dp.bias, |bias| {
                value(&Parameters { weight: p.weight.clone(), bias }, &x)
            });
        }
    }
}

#[test]
fn cross_entropy_passes_a_finite_difference_check() {
    let mut rng = fastrand::Rng::with_seed(0);
    let logits = distinct(&mut rng, 5 * 7);
    let soft: Vec<f64> = (0..logits.len()).map(|_| rng.f64()).collect();
    let hard = one_hot(&[3, 0, 6, 6, 1], 7);
    for targets in [smooth(&hard, 0.1, 7), soft, hard] {
        let (_, gradient) = cross_entropy(&logits, &targets, 7);
        check_gradient("logits", &logits, &gradient, |logits| cross_entropy(&logits, &targets, 7).0);
    }
}

#[test]
fn binary_cross_entropy_passes_a_finite_difference_check() {
    let mut rng = fastrand::Rng::with_seed(0);
    let logits = distinct(&mut rng, 35);
    let targets: Vec<f64> = (0..logits.len()).map(|i| if i % 3 == 0 { 1.0 } else { rng.f64() }).collect();
    let (_, gradient) = binary_cross_entropy(&logits, &targets);
    check_gradient("logits", &logits, &gradient, |logits| binary_cross_entropy(&logits, &targets).0);
}
