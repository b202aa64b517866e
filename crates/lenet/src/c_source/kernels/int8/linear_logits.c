/* Multiplies x (in_features) by weight (out_features, in_features) to logits (out_features) with one scale for each. */
static void linear_logits(const int8_t *x, int zero_point, int in_features, const int8_t *weight, const int32_t *bias,
                          const float *scale, float *logits, int out_features) {
    for (int o = 0; o < out_features; o++, weight += in_features) {
        logits[o] = (float)dot(x, zero_point, in_features, weight, bias[o]) * scale[o];
    }
}
