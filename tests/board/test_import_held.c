/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that a running coprocessor may still write, while nobody is left who gave it. The firmware does write,
 * again and again; the next owners of memory must never see it.
 */
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "coprocessor_board.h"
#include "heap_memory.h"
#include "import_board.h"

enum { MIB = 1 << 20, RW = SHM_IMPORT_READ | SHM_IMPORT_WRITE, LATE_BYTE = 0x66, NEXT = 4 };

static void pause_ms(int milliseconds)
{
	struct timespec time = { .tv_nsec = milliseconds * 1000000L };

	nanosleep(&time, NULL);
}

/* From now on the firmware writes there, each millisecond or so, until it is told of length 0 or stops. */
static void write_late(int channel, uint64_t address, uint64_t length)
{
	coprocessor_work(channel, COPROCESSOR_LATE, address, length, LATE_BYTE);
}

/* A process that gives memory to the firmware and dies with it. Its id and address. */
static uint64_t give_and_die(int channel, uint64_t *ret_address)
{
	uint64_t said[2] = { 0, 0 };
	int tell[2], status;
	pid_t child;

	close(import_open()); /* the module is there */
	assert_int_equal(pipe2(tell, O_CLOEXEC), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		int importer = import_open(), memory = heap_memory("reserved", MIB, O_RDWR);

		said[0] = import_attach(importer, memory).id;
		said[1] = import_address(importer, said[0]);
		write_late(channel, said[1], MIB);
		_exit(write(tell[1], said, sizeof(said)) == sizeof(said) ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(read(tell[0], said, sizeof(said)), sizeof(said));
	close(tell[0]);
	close(tell[1]);
	*ret_address = said[1];
	return said[0];
}

/* Whether what the firmware writes shows in buffers that are allocated now. */
static bool next_owners_see_it(void)
{
	unsigned char *bytes[NEXT];
	int memory[NEXT];
	bool seen = false;

	for (int i = 0; i < NEXT; i++) {
		memory[i] = heap_memory("reserved", MIB, O_RDWR);
		bytes[i] = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED, memory[i], 0);
		assert_ptr_not_equal(bytes[i], MAP_FAILED);
		memset(bytes[i], 0x42, MIB);
	}
	pause_ms(100);
	for (int i = 0; i < NEXT; i++) {
		for (size_t at = 0; at < MIB; at++)
			seen = seen || bytes[i][at] != 0x42;
		munmap(bytes[i], MIB);
		close(memory[i]);
	}
	return seen;
}

static void wait_until_nothing_is_held(int importer)
{
	for (int waited = 0; waited < 1000 && import_status(importer).held; waited += 10)
		pause_ms(10);
	assert_int_equal(import_status(importer).held, 0);
}

static void without_holding_a_late_write_destroys_the_next_owners_bytes(void **state)
{
	int importer, channel;
	uint64_t address, id;

	(void)state;
	coprocessor_start();
	channel = coprocessor_channel(COPROCESSOR_WORK);
	importer = import_open();
	id = give_and_die(channel, &address);
	/* a lie: it goes on writing. If nothing shows, the other cases prove nothing. */
	assert_int_equal(import_release(importer, id, SHM_IMPORT_UNSHARED), 0);
	assert_true(next_owners_see_it());
	write_late(channel, 0, 0);
	close(importer);
	close(channel);
}

static void the_memory_of_the_dead_goes_to_nobody_until_unshared(void **state)
{
	int importer, channel, memory;
	struct shm_import_attach again;
	struct shm_import_held held = { 0 };
	uint64_t address, id;

	(void)state;
	coprocessor_start();
	channel = coprocessor_channel(COPROCESSOR_WORK);
	importer = import_open();
	id = give_and_die(channel, &address);
	assert_false(next_owners_see_it());

	assert_int_equal(import_status(importer).held, MIB);
	assert_int_equal(import_status(importer).attached, 0);
	assert_int_equal(import_held(importer, 0, &held), 0);
	assert_int_equal(held.id, id);
	assert_int_equal(held.size, MIB);
	assert_int_equal(held.address, address);
	assert_int_equal(held.segments, 1);
	assert_int_equal(held.access, RW);
	assert_int_equal(held.uid, getuid());
	assert_string_equal(held.program, "test_import_hel");
	assert_int_equal(held.run, import_status(importer).runs);
	assert_int_equal(import_held(importer, id, &held), -ENOENT);
	assert_int_equal(module_remove("shm_importer"), -EWOULDBLOCK);

	write_late(channel, 0, 0);
	assert_int_equal(import_release(importer, id, SHM_IMPORT_UNSHARED), 0);
	assert_int_equal(import_status(importer).held, 0);
	assert_int_equal(import_release(importer, id, SHM_IMPORT_UNSHARED), -ENOENT);
	/* and then it does go to the next */
	memory = heap_memory("reserved", MIB, O_RDWR);
	again = import_attach(importer, memory);
	assert_int_equal(import_address(importer, again.id), address);
	assert_int_equal(import_release(importer, again.id, SHM_IMPORT_UNSHARED), 0);
	close(memory);
	close(importer);
	close(channel);
}

static void a_stop_frees_it(void **state)
{
	int importer, channel;
	uint64_t address;

	(void)state;
	coprocessor_start();
	channel = coprocessor_channel(COPROCESSOR_WORK);
	importer = import_open();
	give_and_die(channel, &address);
	give_and_die(channel, &address);
	assert_int_equal(import_status(importer).held, 2 * MIB);
	close(channel);
	coprocessor_stop();
	wait_until_nothing_is_held(importer);
	assert_false(next_owners_see_it());
	close(importer);
	assert_int_equal(module_remove("shm_importer"), 0);
}

static void a_crash_frees_it_within_a_second(void **state)
{
	const struct coprocessor_job trap = { .what = COPROCESSOR_TRAP };
	struct pollfd ended = { .events = POLLPRI };
	struct coprocessor_job answer;
	int importer, channel;
	uint64_t address;

	(void)state;
	coprocessor_start();
	channel = coprocessor_channel(COPROCESSOR_WORK);
	importer = import_open();
	give_and_die(channel, &address);
	ended.fd = importer;
	assert_int_equal(poll(&ended, 1, 0), 0);
	coprocessor_talk(channel, &trap, sizeof(trap), &answer, sizeof(answer), 0);
	assert_int_equal(poll(&ended, 1, COPROCESSOR_PATIENCE), 1);
	wait_until_nothing_is_held(importer);
	close(channel);

	/* it runs again by itself, and takes memory again */
	channel = coprocessor_channel(COPROCESSOR_WORK);
	assert_int_equal(import_status(importer).running, 1);
	give_and_die(channel, &address);
	assert_false(next_owners_see_it());
	close(channel);
	coprocessor_stop();
	wait_until_nothing_is_held(importer);
	close(importer);
}

static void held_memory_counts_to_the_limit(void **state)
{
	int importer, channel, limit, memory;
	struct shm_import_attach attach = { 0 };
	uint64_t address, id;

	(void)state;
	coprocessor_start();
	channel = coprocessor_channel(COPROCESSOR_WORK);
	importer = import_open();
	limit = open("/sys/module/shm_importer/parameters/limit_mb", O_RDWR | O_CLOEXEC);
	assert_int_equal(write(limit, "2", 1), 1);
	id = give_and_die(channel, &address);
	memory = heap_memory("reserved", 2 * MIB, O_RDWR);
	assert_int_equal(import_try(importer, memory, RW, &attach), -EDQUOT);
	assert_int_equal(import_status(importer).limit, 2 * MIB);
	write_late(channel, 0, 0);
	assert_int_equal(import_release(importer, id, SHM_IMPORT_UNSHARED), 0);
	assert_int_equal(import_try(importer, memory, RW, &attach), 0);
	assert_int_equal(import_release(importer, attach.id, SHM_IMPORT_UNSHARED), 0);
	assert_int_equal(write(limit, "512", 3), 3);
	close(memory);
	close(limit);
	close(importer);
	close(channel);
}

static void what_a_program_releases_without_a_word_is_held(void **state)
{
	int memory = heap_memory("system", MIB, O_RDWR), importer;
	struct shm_import_attach attach;

	(void)state;
	coprocessor_start();
	importer = import_open();
	attach = import_attach(importer, memory);
	assert_int_equal(import_release(importer, attach.id, 0), 0);
	assert_int_equal(import_status(importer).held, MIB);
	assert_int_equal(import_release(importer, attach.id, 0), -ENOENT);
	assert_int_equal(import_release(importer, attach.id, SHM_IMPORT_UNSHARED), 0);
	assert_int_equal(import_status(importer).held, 0);
	close(importer);
	close(memory);
}

static void only_who_attached_it_says_unshared(void **state)
{
	int memory = heap_memory("system", MIB, O_RDWR), importer, other, status;
	struct shm_import_attach attach;
	pid_t child;

	(void)state;
	coprocessor_start();
	importer = import_open();
	other = import_open();
	attach = import_attach(importer, memory);
	/* whose owner lives */
	assert_int_equal(import_release(other, attach.id, SHM_IMPORT_UNSHARED), -ENOENT);
	close(importer);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		bool refused = !setuid(65534) &&
			       import_release(other, attach.id, SHM_IMPORT_UNSHARED) == -EPERM;

		_exit(refused ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(import_release(other, attach.id, SHM_IMPORT_UNSHARED), 0);
	close(other);
	close(memory);
}

static void the_driver_may_go_while_memory_is_held(void **state)
{
	int importer, channel;
	uint64_t address;

	(void)state;
	coprocessor_start();
	channel = coprocessor_channel(COPROCESSOR_WORK);
	importer = import_open();
	give_and_die(channel, &address);
	close(channel);
	assert_int_equal(coprocessor_unload(), 0);
	assert_int_equal(import_status(importer).held, 0);
	assert_false(next_owners_see_it());
	close(importer);
	assert_int_equal(module_remove("shm_importer"), 0);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_holding_a_late_write_destroys_the_next_owners_bytes),
		cmocka_unit_test(the_memory_of_the_dead_goes_to_nobody_until_unshared),
		cmocka_unit_test(a_stop_frees_it),
		cmocka_unit_test(a_crash_frees_it_within_a_second),
		cmocka_unit_test(held_memory_counts_to_the_limit),
		cmocka_unit_test(what_a_program_releases_without_a_word_is_held),
		cmocka_unit_test(only_who_attached_it_says_unshared),
		cmocka_unit_test(the_driver_may_go_while_memory_is_held),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
