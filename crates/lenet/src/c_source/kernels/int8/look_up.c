/* Replaces each element by that of a table, which begins with the element for -128. */
static void look_up(int8_t *x, int count, const int8_t *table) {
    for (int k = 0; k < count; k++) x[k] = table[x[k] + 128];
}
