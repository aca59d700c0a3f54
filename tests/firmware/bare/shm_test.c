/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdio.h>

#include "shm_test.h"

static jmp_buf failed;

void bare_check(int holds, const char *text, const char *file, int line)
{
	if (holds)
		return;
	printf("# %s:%d: %s: it isn't so\n", file, line, text);
	longjmp(failed, 1);
}

void bare_same(uint64_t a, uint64_t b, const char *text, const char *file, int line)
{
	if (a != b)
		printf("# %#lx and %#lx\n", (unsigned long)a, (unsigned long)b);
	bare_check(a == b, text, file, line);
}

int shm_test_main(int argc, char **argv, const struct CMUnitTest tests[], size_t count)
{
	static size_t i, failures;

	(void)argc;
	(void)argv;
	printf("TAP version 13\n1..%u\n", (unsigned)count);
	for (i = 0; i < count; i++) {
		void *state = NULL;
		int bad = setjmp(failed);

		if (!bad)
			tests[i].test_func(&state);
		failures += (size_t)bad;
		printf("%sok %u - %s\n", bad ? "not " : "", (unsigned)i + 1, tests[i].name);
	}
	return failures ? 1 : 0;
}
