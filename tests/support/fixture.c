/* SPDX-License-Identifier: BSD-3-Clause */
/* Cases that go wrong on purpose, for selftest.py. */
#include "shm_test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void passes(void **state)
{
	(void)state;
	puts("not ok 1 - printed by the case itself");
}

static void fails(void **state)
{
	(void)state;
	assert_memory_equal("abc", "abd", 3);
}

static void skips(void **state)
{
	(void)state;
	shm_test_skip("no %s", "camera");
}

static int setup_that_skips(void **state)
{
	(void)state;
	shm_test_skip("no display");
}

static void leaks_a_descriptor(void **state)
{
	(void)state;
	assert_true(open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0);
}

static void *map_shared(void)
{
	return mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static void leaks_a_shared_mapping(void **state)
{
	(void)state;
	assert_true(map_shared() != MAP_FAILED);
}

static void keeps_a_shared_mapping(void **state)
{
	(void)state;
	shm_test_keeps("the fixture keeps one");
	assert_true(map_shared() != MAP_FAILED);
}

static void has_a_child_that_fails(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0)
		assert_true(false);
	assert_true(waitpid(child, &status, 0) == child);
	assert_int_equal(WEXITSTATUS(status), 1);
}

static void dies(void **state)
{
	(void)state;
	signal(SIGABRT, SIG_DFL);
	abort();
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(passes),
		cmocka_unit_test(fails),
		cmocka_unit_test(skips),
		cmocka_unit_test_setup(passes, setup_that_skips),
		cmocka_unit_test(leaks_a_descriptor),
		cmocka_unit_test(leaks_a_shared_mapping),
		cmocka_unit_test(keeps_a_shared_mapping),
		cmocka_unit_test(has_a_child_that_fails),
		cmocka_unit_test(dies),
	};

	if (argc == 2 && !strcmp(argv[1], "die-before-the-plan"))
		abort();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
