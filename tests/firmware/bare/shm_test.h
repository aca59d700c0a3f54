/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file shm_test.h
 * What tests/support/shm_test.h and cmocka are for, where there is neither: so much of them that a test
 * program is the same on both.
 */
#ifndef SHM_TEST_H
#define SHM_TEST_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct CMUnitTest {
	const char *name;
	void (*test_func)(void **state);
};

#define cmocka_unit_test(function)  \
	{                           \
#function, function \
	}
#define SHM_TEST_COUNT(tests) (sizeof(tests) / sizeof((tests)[0]))

void bare_check(int holds, const char *text, const char *file, int line);
void bare_same(uint64_t a, uint64_t b, const char *text, const char *file, int line);

#define assert_true(x)     bare_check(!!(x), #x, __FILE__, __LINE__)
#define assert_false(x)    bare_check(!(x), "!(" #x ")", __FILE__, __LINE__)
#define assert_null(x)     bare_check((x) == NULL, #x " is NULL", __FILE__, __LINE__)
#define assert_non_null(x) bare_check((x) != NULL, #x " is not NULL", __FILE__, __LINE__)
#define assert_ptr_equal(a, b) \
	bare_same((uintptr_t)(a), (uintptr_t)(b), #a " is " #b, __FILE__, __LINE__)
#define assert_int_equal(a, b) \
	bare_same((uint64_t)(a), (uint64_t)(b), #a " is " #b, __FILE__, __LINE__)
#define assert_int_not_equal(a, b)   bare_check((a) != (b), #a " is not " #b, __FILE__, __LINE__)
#define assert_string_equal(a, b)    bare_check(!strcmp(a, b), #a " is " #b, __FILE__, __LINE__)
#define assert_memory_equal(a, b, n) bare_check(!memcmp(a, b, n), #a " is " #b, __FILE__, __LINE__)

int shm_test_main(int argc, char **argv, const struct CMUnitTest tests[], size_t count);

#endif
