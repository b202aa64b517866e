/* Writes the maximum of each window of x (channels, height, width) to y, which may begin where x begins or before. */
static void max_pool2d(const int8_t *x, int channels, int height, int width, int kernel_size, int stride, int8_t *y) {
    for (int c = 0; c < channels; c++, x += height * width) {
        for (int i = 0; i + kernel_size <= height; i += stride) {
            for (int j = 0; j + kernel_size <= width; j += stride) {
                int8_t max = x[i * width + j];
                for (int u = 0; u < kernel_size; u++) {
                    for (int v = 0; v < kernel_size; v++) {
                        const int8_t value = x[(i + u) * width + j + v];
                        if (value > max) max = value;
                    }
                }
                *y++ = max;
            }
        }
    }
}
