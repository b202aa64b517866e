//! Timing of single layers, for `benches/layers.rs`. Not part of the public API.

use crate::{
    Architecture, Error,
    activation_layout::{LANES, Lanes, zeros},
    operator::{LayerContext, PassContext},
};

/// Time and work of one layer.
#[derive(Debug, Clone)]
pub struct LayerProfile {
    /// Name of the layer.
    pub name: String,
    /// Seconds of the forward pass.
    pub forward_seconds: f64,
    /// Seconds of the backward pass.
    pub backward_seconds: f64,
    /// Multiply-adds of the forward pass by the formula of the layer. Idle lanes do not count.
    pub forward_multiply_adds: usize,
    /// Multiply-adds of the backward pass. The first layer with parameters needs no gradient of its input.
    pub backward_multiply_adds: usize,
}

/// Measures the layers of `architecture` one by one, in training, on one thread with `samples` samples.
///
/// `seconds` calls its argument some times and returns the time of one call. Layers run in the same calls as in a worker:
/// block by block, or on all blocks if they share passes over the weights. The optimizer is not measured, and a pooling
/// layer and the activation before it, which share a backward pass in training, are measured separately.
///
/// # Errors
/// If the architecture is invalid.
pub fn profile_layers(
    architecture: &Architecture,
    samples: usize,
    mut seconds: impl FnMut(&mut dyn FnMut()) -> f64,
) -> Result<Vec<LayerProfile>, Error> {
    let level = fearless_simd::Level::new();
    let max_blocks = samples.div_ceil(LANES);
    let pass = PassContext { level, training: true, dropout_key: Some(1), first_block: 0, samples };
    let mut input = architecture.input_shape();
    let mut is_first = true;
    let mut profiles = Vec::new();
    for row in architecture.summary()? {
        let output = row.output;
        let (mut x, mut dx) = (zeros(max_blocks * input.len()), zeros(max_blocks * input.len()));
        let (mut y, mut dy) = (zeros(max_blocks * output.len()), zeros(max_blocks * output.len()));
        for (values, value) in [(&mut x, 0.5), (&mut y, 0.25), (&mut dy, 0.125)] {
            values.fill(Lanes([value; LANES]));
        }
        let parameters = vec![0.01; row.parameters + row.buffers];
        let mut gradient = vec![0.0; parameters.len()];
        let context = LayerContext { input, output, max_blocks, random_stream: 0 };
        let (forward_seconds, backward_seconds) = if let Some(activation) = row.layer.as_activation() {
            let forward =
                seconds(&mut || y.chunks_mut(output.len()).for_each(|y| activation.forward(level, y)));
            let backward = seconds(&mut || {
                let ys = y.chunks(output.len());
                ys.zip(dy.chunks_mut(output.len())).for_each(|(y, dy)| activation.backward(level, y, dy));
            });
            (forward, backward)
        } else if let Some(mut operator) = row.layer.operator(context) {
            let scratch_len =
                operator.deferred_weight_gradient().map_or(0, |layer| layer.scratch_len(max_blocks));
            let mut scratch = zeros(scratch_len);
            let blocks = if operator.takes_whole_batch() { max_blocks } else { 1 };
            let (input_len, output_len) = (blocks * input.len(), blocks * output.len());
            let forward = seconds(&mut || {
                operator.prepare_parameters(level, &parameters);
                for (x, y) in x.chunks(input_len).zip(y.chunks_mut(output_len)) {
                    operator.forward(pass, &parameters, x, y);
                }
            });
            let backward = seconds(&mut || {
                let xs = x.chunks(input_len).zip(dx.chunks_mut(input_len));
                for ((x, dx), dy) in xs.zip(dy.chunks(output_len)) {
                    let dx = if is_first { None } else { Some(dx) };
                    operator.backward(pass, &parameters, x, dy, dx, &mut gradient);
                }
                operator.write_accumulated_gradient(level, &mut gradient);
                if let Some(layer) = operator.deferred_weight_gradient() {
                    let batch = |slice| (slice == 0).then_some((&x[..], &dy[..]));
                    let panel_len = layer.panel_weight_count();
                    for (panel, gradient) in
                        gradient[..layer.weight_count()].chunks_mut(panel_len).enumerate()
                    {
                        layer.write_weight_panel_gradient(
                            level,
                            panel * panel_len,
                            &batch,
                            &mut scratch,
                            gradient,
                        );
                    }
                }
            });
            (forward, backward)
        } else {
            (0.0, 0.0)
        };
        let multiply_adds = row.multiply_adds * samples;
        profiles.push(LayerProfile {
            name: row.name.to_owned(),
            forward_seconds,
            backward_seconds,
            forward_multiply_adds: multiply_adds,
            backward_multiply_adds: if is_first { multiply_adds } else { 2 * multiply_adds },
        });
        is_first &= row.parameters == 0;
        input = output;
    }
    Ok(profiles)
}
