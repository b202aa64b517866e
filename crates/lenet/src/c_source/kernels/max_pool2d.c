/* Writes the maximum of each window of x (channels, height, width) to y, which may begin where x begins or before. */
static void max_pool2d(const $element *x, int channels, int height, int width, int kernel_size, int stride, $element *y) {
    for (int c = 0; c < channels; c++, x += height * width) {
        for (int i = 0; i + kernel_size <= height; i += stride) {
            for (int j = 0; j + kernel_size <= width; j += stride) {
                $element max = x[i * width + j];
                for (int u = 0; u < kernel_size; u++) {
                    for (int v = 0; v < kernel_size; v++) {
                        const $element value = x[(i + u) * width + j + v];
                        if (value > max) max = value;
                    }
                }
                *y++ = max;
            }
        }
    }
}
