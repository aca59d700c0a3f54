/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel modules ten thousand times over, with every end that an attachment can have. On the kernel of
 * build-kernel --debug nothing may be left for kmemleak.
 */
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

#include "coprocessor_board.h"
#include "heap_memory.h"
#include "import_board.h"

enum { ROUNDS = 10000, STARTS = 50, SIZE = 20480, STORM_SECONDS = 20 };

static void ten_thousand_rounds_leave_nothing(void **state)
{
	static const char *const nodes[] = { "/dev/dma_heap/system", "/dev/shm_carveout/sram" };
	int importer, lasting, memory;
	struct shm_import_attach attach;

	(void)state;
	coprocessor_start();
	module_load("shm_carveout", "region=sram,0x31000000+0x400000");
	lasting = import_open();
	for (int round = 0; round < ROUNDS; round++) {
		if (round % (ROUNDS / STARTS) == 0) {
			coprocessor_stop();
			coprocessor_start();
		}
		importer = import_open();
		memory = heap_memory_at(nodes[round % 2], SIZE, O_RDWR);
		assert_true(memory >= 0);
		attach = import_attach(importer, memory);
		close(memory);
		switch (round % 4) {
		case 0: /* its owner dies; the next stop frees it */
			break;
		case 1: /* somebody else says that it is unshared */
			assert_int_equal(import_release(importer, attach.id, 0), 0);
			assert_int_equal(import_release(lasting, attach.id, SHM_IMPORT_UNSHARED),
					 0);
			break;
		default:
			assert_int_equal(import_release(importer, attach.id, SHM_IMPORT_UNSHARED),
					 0);
		}
		close(importer);
	}
	coprocessor_stop();
	for (int waited = 0; waited < 1000 && import_status(lasting).held; waited += 10)
		usleep(10000);
	assert_int_equal(import_status(lasting).held, 0);
	close(lasting);
	assert_int_equal(module_remove("shm_importer"), 0);
	assert_int_equal(module_remove("shm_carveout"), 0);
	assert_int_equal(coprocessor_unload(), 0);
}

/* One of several at once. What it is refused with depends on the moment; it must only not be anything else. */
static int live_through_it(int seed)
{
	const time_t end = time(NULL) + STORM_SECONDS;
	struct shm_import_bind bind = { .name = "board" };
	struct shm_import_segment segments[4];
	struct shm_import_attach attach = { 0 };
	int importer, memory, error;

	for (unsigned round = (unsigned)seed; time(NULL) < end; round++) {
		importer = open(SHM_IMPORTER_NODE, O_RDWR | O_CLOEXEC);
		if (importer < 0)
			return 1;
		memory = heap_memory("system", SIZE, O_RDWR);
		if (ioctl(importer, SHM_IMPORT_BIND, &bind)) {
			if (errno != ENODEV)
				return 2;
		} else {
			for (int i = 0; i < 4; i++) {
				error = import_try(importer, memory, SHM_IMPORT_READ, &attach);
				if (error && error != -EHOSTDOWN && error != -ENODEV)
					return 3;
				if (error)
					continue;
				error = import_segments(importer, attach.id, 0, 4, segments);
				if (error < 0 && error != -ESTALE)
					return 4;
				if ((round + (unsigned)i) % 3 &&
				    import_release(importer, attach.id, SHM_IMPORT_UNSHARED))
					return 5;
			}
		}
		close(memory);
		close(importer);
	}
	return 0;
}

static void a_driver_that_comes_and_goes_under_its_users_harms_nobody(void **state)
{
	const time_t end = time(NULL) + STORM_SECONDS;
	pid_t users[4];
	int status;

	(void)state;
	coprocessor_start();
	close(import_open());
	for (int i = 0; i < 4; i++) {
		users[i] = fork();
		assert_true(users[i] >= 0);
		if (!users[i])
			_exit(live_through_it(i));
	}
	while (time(NULL) < end) {
		coprocessor_start();
		usleep(20000);
		coprocessor_write("state", "stop");
		coprocessor_start();
		usleep(20000);
		assert_int_equal(coprocessor_unload(), 0);
	}
	for (int i = 0; i < 4; i++) {
		assert_int_equal(waitpid(users[i], &status, 0), users[i]);
		assert_int_equal(status, 0);
	}
	coprocessor_start();
	assert_int_equal(coprocessor_unload(), 0);
	assert_int_equal(module_remove("shm_importer"), 0);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_driver_that_comes_and_goes_under_its_users_harms_nobody),
		cmocka_unit_test(ten_thousand_rounds_leave_nothing),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
