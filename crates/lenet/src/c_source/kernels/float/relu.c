/* Replaces negative elements by 0. */
static void relu(float *x, int count) {
    for (int k = 0; k < count; k++) {
        if (x[k] < 0.0f) x[k] = 0.0f;
    }
}
