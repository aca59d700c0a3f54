/* SPDX-License-Identifier: BSD-3-Clause */
/* The coprocessor itself: its driver, its firmware, and that each side lives when the other dies. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "coprocessor_board.h"
#include "shm_test.h"

#define SHARED_SIZE 65536

static void echoes(void)
{
	const char *message = "Hello, coprocessor";
	int channel = coprocessor_channel(COPROCESSOR_ECHO);
	char answer[64];

	assert_int_equal(coprocessor_talk(channel, message, strlen(message), answer, sizeof(answer),
					  COPROCESSOR_PATIENCE),
			 strlen(message));
	assert_memory_equal(answer, "hELLO\f\000COPROCESSOR", strlen(message));
	close(channel);
}

static void it_answers_each_time_it_is_started(void **state)
{
	(void)state;
	for (int round = 0; round < 3; round++) {
		coprocessor_start();
		echoes();
		coprocessor_stop();
		assert_false(coprocessor_has_channel(COPROCESSOR_ECHO));
	}
}

static void it_works_on_memory_in_place_at_addresses_of_its_own(void **state)
{
	const unsigned long long address =
		COPROCESSOR_BASE + COPROCESSOR_SHARED + (unsigned long long)COPROCESSOR_OFFSET;
	int memory = open("/dev/mem", O_RDWR | O_CLOEXEC), channel;
	unsigned char *bytes;

	(void)state;
	assert_true(memory >= 0);
	bytes = mmap(NULL, SHARED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memory,
		     COPROCESSOR_BASE + COPROCESSOR_SHARED);
	assert_ptr_not_equal(bytes, MAP_FAILED);
	for (unsigned i = 0; i < SHARED_SIZE; i++)
		bytes[i] = (unsigned char)(i * 7 + (i >> 8));

	coprocessor_start();
	channel = coprocessor_channel(COPROCESSOR_WORK);
	coprocessor_work(channel, COPROCESSOR_ADD, address, SHARED_SIZE, 3);
	for (unsigned i = 0; i < SHARED_SIZE; i++)
		assert_int_equal(bytes[i], (unsigned char)(i * 7 + (i >> 8) + 3));
	coprocessor_work(channel, COPROCESSOR_FILL, address + 1, SHARED_SIZE - 2, 2);
	assert_int_equal(
		coprocessor_work(channel, COPROCESSOR_SUM, address + 1, SHARED_SIZE - 2, 0),
		2 * (SHARED_SIZE - 2));
	assert_int_equal(bytes[0], 3);

	close(channel);
	munmap(bytes, SHARED_SIZE);
	close(memory);
}

static void a_trap_is_reported_and_the_core_comes_back(void **state)
{
	const struct coprocessor_job job = { .what = COPROCESSOR_TRAP };
	struct coprocessor_job answer;
	int channel;

	(void)state;
	coprocessor_start();
	channel = coprocessor_channel(COPROCESSOR_WORK);
	/* the channel goes away under its reader */
	assert_int_equal(coprocessor_talk(channel, &job, sizeof(job), &answer, sizeof(answer),
					  COPROCESSOR_PATIENCE),
			 0);
	close(channel);
	echoes();
	coprocessor_stop();
}

static void a_firmware_that_hangs_can_be_stopped(void **state)
{
	const struct coprocessor_job job = { .what = COPROCESSOR_HANG };
	struct coprocessor_job answer;
	int channel;

	(void)state;
	coprocessor_start();
	channel = coprocessor_channel(COPROCESSOR_WORK);
	assert_int_equal(coprocessor_talk(channel, &job, sizeof(job), &answer, sizeof(answer), 300),
			 0);
	coprocessor_stop();
	close(channel);
	coprocessor_start();
	echoes();
}

static void the_driver_goes_and_comes_while_the_core_runs(void **state)
{
	(void)state;
	for (int round = 0; round < 5; round++) {
		coprocessor_start();
		assert_int_equal(coprocessor_unload(), 0);
		assert_false(coprocessor_is_there());
	}
	coprocessor_start();
	echoes();
	assert_int_equal(coprocessor_unload(), 0);
}

static void a_missing_firmware_is_an_error_and_no_more(void **state)
{
	(void)state;
	coprocessor_load("");
	assert_int_equal(coprocessor_write("firmware", "there-is-none.elf"), 0);
	assert_int_equal(coprocessor_write("state", "start"), -ENOENT);
	assert_int_equal(coprocessor_write("firmware", "board-coprocessor.elf"), 0);
	coprocessor_start();
	echoes();
	assert_int_equal(coprocessor_unload(), 0);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_answers_each_time_it_is_started),
		cmocka_unit_test(it_works_on_memory_in_place_at_addresses_of_its_own),
		cmocka_unit_test(a_trap_is_reported_and_the_core_comes_back),
		cmocka_unit_test(a_firmware_that_hangs_can_be_stopped),
		cmocka_unit_test(the_driver_goes_and_comes_while_the_core_runs),
		cmocka_unit_test(a_missing_firmware_is_an_error_and_no_more),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
