/* Replaces each element by its hyperbolic tangent. */
static void hyperbolic_tangent(float *x, int count) {
    for (int k = 0; k < count; k++) x[k] = tanhf(x[k]);
}
