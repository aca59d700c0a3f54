/* SPDX-License-Identifier: BSD-3-Clause */
/* QEMU's virt machine without an operating system: output, clock, the second hart, the end. */
#ifndef BARE_H
#define BARE_H

#include <stdint.h>
#include <stdnoreturn.h>

int64_t bare_now_ns(void);
unsigned bare_hart(void);

/* A function for the second hart; is it through? */
void bare_run_second(void (*run)(void));
void bare_wait_second(void);

noreturn void bare_exit(unsigned status);

#endif
