/* Converts pixels: y = (pixel / 255 - mean) / std. */
static void normalize(const uint8_t *pixels, int count, float mean, float std, float *y) {
    for (int k = 0; k < count; k++) y[k] = ((float)pixels[k] / 255.0f - mean) / std;
}
