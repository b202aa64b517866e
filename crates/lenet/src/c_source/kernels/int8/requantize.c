/* Returns sum * multiplier / 2^shift, rounded, in the quantization of an output. */
static int8_t requantize(int32_t sum, uint16_t multiplier, uint8_t shift, int zero_point) {
    const int64_t rounding = (int64_t)1 << (shift - 1);
    const int64_t value = (((int64_t)sum * multiplier + rounding) >> shift) + zero_point;
    return (int8_t)(value < -128 ? -128 : value > 127 ? 127 : value);
}
