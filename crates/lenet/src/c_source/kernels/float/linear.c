/* Multiplies x (in_features) by weight (out_features, in_features) to y (out_features). */
static void linear(const float *x, int in_features, const float *weight, const float *bias, float *y, int out_features) {
    for (int o = 0; o < out_features; o++) {
        float sum = bias[o];
        for (int k = 0; k < in_features; k++) sum += *weight++ * x[k];
        y[o] = sum;
    }
}
