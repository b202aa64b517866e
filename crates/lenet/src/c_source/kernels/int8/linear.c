/* Multiplies x (in_features) by weight (out_features, in_features) to y (out_features). */
static void linear(const int8_t *x, int zero_point, int in_features, const int8_t *weight, const int32_t *bias,
                   const uint16_t *multiplier, const uint8_t *shift, int8_t *y, int y_zero_point, int out_features) {
    for (int o = 0; o < out_features; o++, weight += in_features) {
        const int32_t sum = dot(x, zero_point, in_features, weight, bias[o]);
        y[o] = requantize(sum, multiplier[o], shift[o], y_zero_point);
    }
}
