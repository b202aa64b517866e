/* Writes the mean of each window of x (channels, height, width) to y, which may begin where x begins or before. */
static void avg_pool2d(const int8_t *x, int channels, int height, int width, int kernel_size, int stride, int8_t *y) {
    const int count = kernel_size * kernel_size;
    for (int c = 0; c < channels; c++, x += height * width) {
        for (int i = 0; i + kernel_size <= height; i += stride) {
            for (int j = 0; j + kernel_size <= width; j += stride) {
                int sum = 0;
                for (int u = 0; u < kernel_size; u++) {
                    for (int v = 0; v < kernel_size; v++) sum += x[(i + u) * width + j + v];
                }
                *y++ = (int8_t)((sum + (sum < 0 ? -count : count) / 2) / count);
            }
        }
    }
}
