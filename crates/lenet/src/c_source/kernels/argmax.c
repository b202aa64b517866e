/* Returns the index of the largest of the values. */
static int argmax(const float *values, int count) {
    int best = 0;
    for (int k = 1; k < count; k++) {
        if (values[k] > values[best]) best = k;
    }
    return best;
}
