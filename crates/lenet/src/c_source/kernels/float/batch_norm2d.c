/* Multiplies each channel of x (channels, plane) by its scale and adds its shift. */
static void batch_norm2d(float *x, int channels, int plane, const float *scale, const float *shift) {
    for (int c = 0; c < channels; c++) {
        for (int k = 0; k < plane; k++, x++) *x = *x * scale[c] + shift[c];
    }
}
