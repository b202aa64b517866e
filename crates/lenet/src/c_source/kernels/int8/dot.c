/* Returns bias plus the inner product of a row of weights with x. */
static int32_t dot(const int8_t *x, int zero_point, int in_features, const int8_t *weight, int32_t bias) {
    for (int k = 0; k < in_features; k++) bias += weight[k] * (x[k] - zero_point);
    return bias;
}
