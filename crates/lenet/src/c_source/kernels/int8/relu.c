/* Replaces negative elements by 0. */
static void relu(int8_t *x, int zero_point, int count) {
    for (int k = 0; k < count; k++) {
        if (x[k] < zero_point) x[k] = (int8_t)zero_point;
    }
}
