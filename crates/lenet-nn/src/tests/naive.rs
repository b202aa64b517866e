//! Slow f64 twins of every layer, loss and optimiser: plain loops, to judge the fast ones by.
//!
//! Names and conventions are PyTorch's (<https://docs.pytorch.org/docs/stable/nn.html>); convolution is
//! cross-correlation.

/// Activations, (batch, channels, height, width), row-major.
#[derive(Clone, Debug)]
pub struct Tensor {
    pub shape: [usize; 4],
    pub data: Vec<f64>,
}

/// A layer's parameters or their gradients; both empty where it has none.
#[derive(Clone, Debug, Default)]
pub struct Parameters {
    /// (outputs, inputs, kernel, kernel) or (outputs, inputs).
    pub weight: Vec<f64>,
    /// (outputs).
    pub bias: Vec<f64>,
}

#[derive(Clone, Debug)]
pub enum Layer {
    /// `y[o] = bias[o] + sum over i, ky, kx of weight[o, i, ky, kx] x[i, y stride + ky - padding, ...]`, zero outside.
    Conv2d {
        inputs: usize,
        outputs: usize,
        kernel: usize,
        stride: usize,
        padding: usize,
    },
    /// `y = weight x + bias` over all of a sample's values, whatever their shape.
    Linear {
        inputs: usize,
        outputs: usize,
    },
    /// The gradient goes to the first maximum in row-major order.
    MaxPool2d {
        kernel: usize,
        stride: usize,
    },
    AvgPool2d {
        kernel: usize,
        stride: usize,
    },
    /// `weight (x - mean) / sqrt(var + 1e-5) + bias`, with mean and variance of the channel over the whole batch.
    BatchNorm2d {
        channels: usize,
    },
    /// Flat at zero.
    Relu,
    Tanh,
    /// `y = mask x`: the mask holds 0 where a value is dropped, 1 / (1 - p) where it stays.
    Dropout {
        mask: Vec<f64>,
    },
}
use Layer::*;

impl Layer {
    /// Inputs to each output and number of outputs, of a layer with parameters.
    pub fn fans(&self) -> Option<(usize, usize)> {
        match *self {
            Conv2d { inputs, outputs, kernel, .. } => Some((inputs * kernel * kernel, outputs)),
            Linear { inputs, outputs } => Some((inputs, outputs)),
            BatchNorm2d { channels } => Some((1, channels)),
            _ => None,
        }
    }

    pub fn output_shape(&self, [n, c, h, w]: [usize; 4]) -> [usize; 4] {
        match *self {
            Conv2d { outputs, kernel, stride, padding, .. } => {
                let size = |size| (size + 2 * padding - kernel) / stride + 1;
                [n, outputs, size(h), size(w)]
            }
            Linear { outputs, .. } => [n, outputs, 1, 1],
            MaxPool2d { kernel, stride } | AvgPool2d { kernel, stride } => {
                [n, c, (h - kernel) / stride + 1, (w - kernel) / stride + 1]
            }
            BatchNorm2d { .. } | Relu | Tanh | Dropout { .. } => [n, c, h, w],
        }
    }

    /// Calls `visit(output, weight, input)` for each input that an output depends on, row-major, with flat
    /// indices. The weight is that of the pair, 0 in a pooling, the element's own index in element-wise layers.
    fn terms(&self, shape: [usize; 4], mut visit: impl FnMut(usize, usize, usize)) {
        let [n, channels, h, w] = shape;
        let flat = |n: usize, c: usize, y: usize, x: usize| ((n * channels + c) * h + y) * w + x;
        let outputs = indices(self.output_shape(shape)).enumerate();
        match *self {
            Conv2d { inputs, kernel, stride, padding, .. } => {
                for (output, [n, o, y, x]) in outputs {
                    for (tap, [_, i, ky, kx]) in indices([1, inputs, kernel, kernel]).enumerate() {
                        // Left of or above the image wraps to a huge number: outside as well.
                        let y = (y * stride + ky).wrapping_sub(padding);
                        let x = (x * stride + kx).wrapping_sub(padding);
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
            BatchNorm2d { .. } | Relu | Tanh | Dropout { .. } => {
                (0..n * channels * h * w).for_each(|i| visit(i, i, i))
            }
        }
    }

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
            Relu => y[o] = x[i].max(0.0),
            Tanh => y[o] = x[i].tanh(),
            Dropout { mask } => y[o] = mask[w] * x[i],
            BatchNorm2d { .. } => {}
        });
        Tensor { shape, data: y }
    }

    /// Gradients of the input and the parameters, given the output's.
    pub fn backward(&self, p: &Parameters, x: &Tensor, dy: &Tensor) -> (Tensor, Parameters) {
        if let BatchNorm2d { .. } = self {
            return normalization_backward(p, x, dy);
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
            // Taken by the first maximum, it is 0 for any other.
            MaxPool2d { .. } if x[i] == y[o] => dx[i] += std::mem::take(&mut dy[o]),
            AvgPool2d { kernel, .. } => dx[i] += dy[o] / (kernel * kernel) as f64,
            Relu if x[i] > 0.0 => dx[i] = dy[o],
            MaxPool2d { .. } | Relu => {}
            Tanh => dx[i] = (1.0 - y[o] * y[o]) * dy[o],
            Dropout { mask } => dx[i] = mask[w] * dy[o],
            BatchNorm2d { .. } => {}
        });
        (Tensor { shape, data: dx }, dp)
    }
}

/// Added to a variance.
const EPS: f64 = 1e-5;

/// Mean and variance of each channel over the batch.
pub fn moments(x: &Tensor) -> [Vec<f64>; 2] {
    let [_, channels, ..] = x.shape;
    let pixels = (x.data.len() / channels) as f64;
    let mut means = vec![0.0; channels];
    indices(x.shape).zip(&x.data).for_each(|([_, c, ..], x)| means[c] += x / pixels);
    let mut vars = vec![0.0; channels];
    indices(x.shape).zip(&x.data).for_each(|([_, c, ..], x)| vars[c] += (x - means[c]).powi(2) / pixels);
    [means, vars]
}

/// By the chain rule through each pixel's own value, the mean and the variance.
fn normalization_backward(p: &Parameters, x: &Tensor, dy: &Tensor) -> (Tensor, Parameters) {
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

/// All indices of a four-dimensional array, row-major.
fn indices([n, c, h, w]: [usize; 4]) -> impl Iterator<Item = [usize; 4]> {
    (0..n * c * h * w).map(move |i| [i / (c * h * w), i / (h * w) % c, i / w % h, i % w])
}

/// Cross-entropy of softmax(logits) with rows of target probabilities, (batch, classes) both, averaged over the
/// batch: `-sum t log softmax(z)`. Returns it and its gradient of the logits, `sum(t) softmax(z) - t`.
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

/// Rows of probabilities that name one class each.
pub fn one_hot(labels: &[u8], classes: usize) -> Vec<f64> {
    labels.iter().flat_map(|&label| (0..classes).map(move |c| f64::from(c == label as usize))).collect()
}

/// PyTorch's label smoothing: each row of targets gives a share of itself evenly to all classes.
pub fn smooth(targets: &[f64], share: f64, classes: usize) -> Vec<f64> {
    targets.iter().map(|t| (1.0 - share) * t + share / classes as f64).collect()
}

/// PyTorch's SGD: `g <- g + decay p; v <- momentum v + g; p <- p - rate v`, with a decay for each parameter. Call the
/// result with parameters and gradients, once a step.
pub fn sgd(rate: f64, momentum: f64, decay: Vec<f64>) -> impl FnMut(&mut [f64], &[f64]) {
    let mut v = vec![0.0; decay.len()];
    move |p, g| {
        for i in 0..v.len() {
            v[i] = momentum * v[i] + g[i] + decay[i] * p[i];
            p[i] -= rate * v[i];
        }
    }
}

/// Adam (Kingma & Ba 2015, <https://arxiv.org/abs/1412.6980>, algorithm 1) with its default settings, after the decay of
/// AdamW (Loshchilov & Hutter 2019, <https://arxiv.org/abs/1711.05101>, algorithm 2): one for each parameter.
pub fn adam(rate: f64, decay: Vec<f64>) -> impl FnMut(&mut [f64], &[f64]) {
    let (beta1, beta2, epsilon) = (0.9, 0.999, 1e-8);
    let (mut m, mut v, mut t) = (vec![0.0; decay.len()], vec![0.0; decay.len()], 0);
    move |p, g| {
        t += 1;
        for i in 0..m.len() {
            p[i] -= rate * decay[i] * p[i];
            m[i] = beta1 * m[i] + (1.0 - beta1) * g[i];
            v[i] = beta2 * v[i] + (1.0 - beta2) * g[i] * g[i];
            let m = m[i] / (1.0 - f64::powi(beta1, t));
            let v = v[i] / (1.0 - f64::powi(beta2, t));
            p[i] -= rate * m / (v.sqrt() + epsilon);
        }
    }
}

/// A layer of every kind, with an input shape that suits it.
pub fn random_layers(rng: &mut fastrand::Rng, batch: usize) -> Vec<(Layer, [usize; 4])> {
    let shape = [batch, rng.usize(1..4), rng.usize(3..8), rng.usize(3..8)];
    let [_, inputs, h, w] = shape;
    let outputs = rng.usize(1..8);
    let (kernel, stride, padding) = (rng.usize(1..4), rng.usize(1..4), rng.usize(0..3));
    let mask = (0..shape.iter().product()).map(|_| if rng.bool() { 2.0 } else { 0.0 }).collect();
    [
        Conv2d { inputs, outputs, kernel, stride, padding },
        Linear { inputs: inputs * h * w, outputs },
        MaxPool2d { kernel, stride },
        AvgPool2d { kernel, stride },
        BatchNorm2d { channels: inputs },
        Relu,
        Tanh,
        Dropout { mask },
    ]
    .map(|layer| (layer, shape))
    .into()
}

/// Values in [-1, 1] in random order, at least 1 / `len` from each other and from 0: away from the kinks of ReLU
/// and of maxima.
pub fn distinct(rng: &mut fastrand::Rng, len: usize) -> Vec<f64> {
    let mut values: Vec<f64> = (0..len).map(|i| (2 * i + 1) as f64 / len as f64 - 1.0).collect();
    values.iter_mut().filter(|v| **v == 0.0).for_each(|v| *v = 1.0);
    rng.shuffle(&mut values);
    values
}

/// Asserts that `gradient` is that of `f` at `x`: central differences agree within 1e-6 of the largest.
fn check_gradient(what: &str, x: &[f64], gradient: &[f64], f: impl Fn(Vec<f64>) -> f64) {
    const STEP: f64 = 1e-5;
    let largest = gradient.iter().fold(1e-3, |a: f64, b| a.max(b.abs()));
    for i in 0..x.len() {
        let at = |step| {
            let mut x = x.to_vec();
            x[i] += step;
            f(x)
        };
        let (expected, found) = ((at(STEP) - at(-STEP)) / (2.0 * STEP), gradient[i]);
        let close = (expected - found).abs() <= 1e-6 * largest;
        assert!(close, "{what}[{i}]: expected {expected}, found {found}");
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
