/* Moves pixels, 0 to 255, to the range of int8_t. */
static void quantize_pixels(const uint8_t *pixels, int count, int8_t *y) {
    for (int k = 0; k < count; k++) y[k] = (int8_t)(pixels[k] - 128);
}
