/* Reads a digit on a Cortex-M3, and prints it to the debugger or emulator by semihosting. */
#include "micro.h"

/* The operations of semihosting ("Semihosting for AArch32 and AArch64", Arm). */
enum { SYS_WRITE0 = 0x04, SYS_EXIT = 0x18, ADP_STOPPED_APPLICATION_EXIT = 0x20026 };

extern uint32_t data_load[], data_start[], data_end[], bss_start[], bss_end[], stack_end[];

static void semihost(uint32_t operation, uint32_t argument) {
    register uint32_t r0 __asm__("r0") = operation;
    register uint32_t r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

/* Draws a seven of 20 rows: a horizontal and a slanted stroke, each three pixels wide. */
static void draw_seven(uint8_t *pixels) {
    for (int row = 4; row < 24; row++) {
        const int left = row < 7 ? 8 : 18 - (row - 7) / 2;
        const int right = row < 7 ? 21 : left + 3;
        for (int column = left; column < right; column++) pixels[28 * row + column] = 255;
    }
}

static void run(void) {
    static struct micro_workspace workspace;
    static uint8_t pixels[MICRO_PIXELS];
    draw_seven(pixels);
    char text[] = "digit: ?\n";
    text[7] = (char)('0' + micro_predict(&workspace, pixels));
    semihost(SYS_WRITE0, (uint32_t)text);
    semihost(SYS_EXIT, ADP_STOPPED_APPLICATION_EXIT);
}

/* Copies initial values to RAM, and clears the rest. */
static void reset(void) {
    const uint32_t *load = data_load;
    for (uint32_t *word = data_start; word < data_end; word++) *word = *load++;
    for (uint32_t *word = bss_start; word < bss_end; word++) *word = 0;
    run();
    for (;;) {
    }
}

/* The processor starts with the stack pointer and the address of the first function. */
__attribute__((section(".vectors"), used)) static void *const vectors[2] = {stack_end, (void *)reset};
