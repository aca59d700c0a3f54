/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>

#include "bare.h"

#define UART     ((volatile uint8_t *)0x10000000)
#define FINISHER ((volatile uint32_t *)0x100000)
#define MTIME    ((volatile uint64_t *)0x200bff8) /* 10 MHz */

#define UART_LSR  5
#define LSR_EMPTY 0x20
#define PASS      0x5555u
#define FAIL      0x3333u

extern void (*volatile bare_second)(void);

void bare_main(void);
void bare_trapped(unsigned long cause, unsigned long at, unsigned long value);
int main(int argc, char **argv);

static int put(char c, FILE *file)
{
	(void)file;
	while (!(UART[UART_LSR] & LSR_EMPTY))
		;
	UART[0] = (uint8_t)c;
	return (unsigned char)c;
}

static FILE uart = FDEV_SETUP_STREAM(put, NULL, NULL, _FDEV_SETUP_WRITE);
/* used: the C library is no part of link-time optimisation */
__attribute__((used)) FILE *const stdout = &uart;
__attribute__((used)) FILE *const stderr = &uart;

int64_t bare_now_ns(void)
{
	return (int64_t)(*MTIME * 100);
}

unsigned bare_hart(void)
{
	unsigned long hart;

	__asm__ volatile("csrr %0, mhartid" : "=r"(hart));
	return (unsigned)hart;
}

void bare_run_second(void (*run)(void))
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	bare_second = run;
}

void bare_wait_second(void)
{
	while (bare_second)
		;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

noreturn void bare_exit(unsigned status)
{
	*FINISHER = status ? status << 16 | FAIL : PASS;
	for (;;)
		;
}

void bare_trapped(unsigned long cause, unsigned long at, unsigned long value)
{
	printf("Bail out! trap %lu at %#lx of %#lx on hart %u\n", cause, at, value, bare_hart());
	bare_exit(3);
}

void bare_main(void)
{
	static char name[] = "bare";
	char *arguments[] = { name, NULL };

	bare_exit((unsigned)main(1, arguments));
}
