/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file shm_test.h
 * What every test program shares: cmocka's assertions, and a main that prints TAP.
 *
 *	static void free_takes_null(void **state)
 *	{
 *		(void)state;
 *		metal_shm_free(NULL, NULL);
 *	}
 *
 *	int main(int argc, char **argv)
 *	{
 *		static const struct CMUnitTest tests[] = {
 *			cmocka_unit_test(free_takes_null),
 *		};
 *
 *		return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
 *	}
 *
 * A case that ends with another number of open descriptors or shared mappings than it began with
 * fails, and so does one that leaves DMA-BUFs behind where SHM_TEST_BOARD is set and debugfs tells.
 * What a program prints to stdout goes to stderr: stdout carries TAP alone.
 */
#ifndef SHM_TEST_H
#define SHM_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SHM_TEST_COUNT(tests) (sizeof(tests) / sizeof((tests)[0]))

/**
 * Run a program's cases, each as a group of its own.
 *
 * --list prints their names and runs nothing; --only PATTERN runs those whose name the shell
 * pattern matches.
 *
 * @param argc   main's
 * @param argv   main's
 * @param tests  the cases
 * @param count  how many
 * @return main's: 0 when none failed, 1 when one did, 2 for arguments it doesn't know or a pattern
 *         that matches none
 */
int shm_test_main(int argc, char **argv, const struct CMUnitTest tests[], size_t count);

/**
 * End the running case as skipped: what it needs is missing on this machine.
 *
 * Works in a case and in its set-up. On the board a skip counts as a failure.
 *
 * @param format  printf's, says what is missing
 */
void shm_test_skip(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/**
 * Let the running case leave descriptors and mappings behind.
 *
 * For what other libraries keep for the life of the process.
 *
 * @param reason  who keeps what, printed with the case
 */
void shm_test_keeps(const char *reason);

/**
 * Print a line with the running case, whether it passes or fails.
 *
 * For what is worth reading of a test that passed: a table, a seed. A case has room for 2000 characters.
 *
 * @param format  printf's, one line without a newline
 */
void shm_test_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Without a reason nobody learns what was missing. */
#undef skip
#define skip() use_shm_test_skip

#endif
