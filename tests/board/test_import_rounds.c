/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel modules ten thousand times over, with each kind of memory and every end that an attachment can have.
 * On the kernel of build-kernel --debug nothing may be left for kmemleak.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "coprocessor_board.h"
#include "heap_memory.h"
#include "import_board.h"

enum { ROUNDS = 10000, STARTS = 50, PAGE = 4096, STORM_SECONDS = 20, GOINGS = 100 };

#define REGIONS "region=sram,0x31000000+0x400000 region=fast,0x31400000+0x400000,cached"

/* Contiguous memory of the kernel's takes it long, so there is less of it. */
static const char *node_of(int round)
{
	static const char *const others[] = { "/dev/dma_heap/system", "/dev/shm_carveout/sram",
					      "/dev/shm_carveout/fast" };

	return round % 16 == 1 ? "/dev/dma_heap/reserved" : others[round % 3];
}

/* One to four pages, which this program has had mapped and written. */
static int some_memory(int round)
{
	const size_t size = PAGE * (1 + (size_t)round % 7 % 4);
	int memory = heap_memory_at(node_of(round), size, O_RDWR);
	unsigned char *bytes;

	assert_true(memory >= 0);
	bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	assert_ptr_not_equal(bytes, MAP_FAILED);
	memset(bytes, round, size);
	munmap(bytes, size);
	return memory;
}

/* Each kind of memory comes to each of the ends that an attachment can have. */
static void one_round(int round, int lasting)
{
	int importer = import_open(), memory = some_memory(round);
	struct shm_import_segment segments[4];
	struct shm_import_attach attach = { 0 };

	switch (round / 4 % 5) {
	case 0: /* its owner dies; the next stop frees it */
		import_attach(importer, memory);
		break;
	case 1: /* somebody else says that it is unshared */
		attach = import_attach(importer, memory);
		assert_int_equal(import_release(importer, attach.id, 0), 0);
		assert_int_equal(import_release(lasting, attach.id, SHM_IMPORT_UNSHARED), 0);
		break;
	case 2: /* for reading; the memory is closed last */
		assert_int_equal(import_try(importer, memory, SHM_IMPORT_READ, &attach), 0);
		assert_int_equal(import_release(importer, attach.id, SHM_IMPORT_UNSHARED), 0);
		break;
	case 3: /* refused */
		assert_int_equal(import_try(importer, memory, 4, &attach), -EINVAL);
		break;
	default: /* the memory is closed first */
		attach = import_attach(importer, memory);
		close(memory);
		memory = -1;
		assert_in_range(import_segments(importer, attach.id, 0, 4, segments), 1, 4);
		assert_int_equal(import_release(importer, attach.id, SHM_IMPORT_UNSHARED), 0);
	}
	if (memory >= 0)
		close(memory);
	close(importer);
}

/* What the kernel lets go of in its own time keeps it for a moment. */
static void unload(const char *module)
{
	int error = -EWOULDBLOCK;

	for (int waited = 0; waited < COPROCESSOR_PATIENCE && error == -EWOULDBLOCK; waited += 10) {
		error = module_remove(module);
		if (error)
			usleep(10000);
	}
	assert_int_equal(error, 0);
}

static void none_is_held(int importer)
{
	for (int waited = 0; waited < COPROCESSOR_PATIENCE && import_status(importer).held;
	     waited += 10)
		usleep(10000);
	assert_int_equal(import_status(importer).held, 0);
}

static void ten_thousand_rounds_leave_nothing(void **state)
{
	int lasting = -1;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		if (round % (ROUNDS / STARTS) == 0) {
			coprocessor_start();
			module_load("shm_carveout", REGIONS);
			lasting = import_open();
		}
		one_round(round, lasting);
		if ((round + 1) % (ROUNDS / STARTS) == 0) {
			coprocessor_stop();
			none_is_held(lasting);
			close(lasting);
			unload("shm_importer");
			unload("shm_carveout");
		}
	}
	assert_int_equal(coprocessor_unload(), 0);
}

/* Into a parameter that comes and goes, until this process is killed. */
static void write_regions(void)
{
	static const char region[] = "late,0x31000000+0x1000";
	int file;

	for (;;) {
		file = open("/sys/module/shm_carveout/parameters/region", O_WRONLY | O_CLOEXEC);
		if (file < 0)
			continue;
		(void)!write(file, region, sizeof(region) - 1);
		close(file);
	}
}

static void a_region_that_is_written_as_the_module_goes_is_nobodys(void **state)
{
	pid_t writer = fork();
	int error;

	(void)state;
	assert_true(writer >= 0);
	if (!writer)
		write_regions();
	for (int i = 0; i < GOINGS; i++) {
		/* not loaded where the region was written twice before it was */
		error = module_insert("shm_carveout", "");
		usleep(1000);
		assert_int_equal(module_remove("shm_carveout"), error ? -ENOENT : 0);
	}
	kill(writer, SIGKILL);
	assert_int_equal(waitpid(writer, NULL, 0), writer);
	/* whose memory isn't taken any more, nor its name */
	module_load("shm_carveout", "region=late,0x31000000+0x1000");
	assert_int_equal(module_remove("shm_carveout"), 0);
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
		memory = heap_memory("system", 5 * PAGE, O_RDWR);
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
		cmocka_unit_test(a_region_that_is_written_as_the_module_goes_is_nobodys),
		cmocka_unit_test(a_driver_that_comes_and_goes_under_its_users_harms_nobody),
		cmocka_unit_test(ten_thousand_rounds_leave_nothing),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
