/*
 * Convolves x (channels, height, width) with weight (out_channels, channels, kernel_size, kernel_size) to y (out_channels,
 * out_height, out_width). Outside of x are zeros.
 */
static void conv2d(const int8_t *x, int zero_point, int channels, int height, int width, const int8_t *weight,
                   const int32_t *bias, const uint16_t *multiplier, const uint8_t *shift, int kernel_size, int stride,
                   int padding, int dilation, int8_t *y, int y_zero_point, int out_channels, int out_height,
                   int out_width) {
    for (int o = 0; o < out_channels; o++) {
        for (int i = 0; i < out_height; i++) {
            for (int j = 0; j < out_width; j++) {
                const int8_t *w = weight + o * channels * kernel_size * kernel_size;
                int32_t sum = bias[o];
                for (int c = 0; c < channels; c++) {
                    for (int u = 0; u < kernel_size; u++) {
                        const int row = i * stride + u * dilation - padding;
                        for (int v = 0; v < kernel_size; v++, w++) {
                            const int column = j * stride + v * dilation - padding;
                            if (row >= 0 && row < height && column >= 0 && column < width) {
                                sum += *w * (x[(c * height + row) * width + column] - zero_point);
                            }
                        }
                    }
                }
                *y++ = requantize(sum, multiplier[o], shift[o], y_zero_point);
            }
        }
    }
}
