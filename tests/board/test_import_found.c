/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_importer and a core that the driver found running, as a boot loader leaves it: it is attached and detached
 * instead of started and stopped, and where its bus has no dma-ranges, the table of carveouts has its addresses.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "coprocessor_board.h"
#include "heap_memory.h"
#include "import_board.h"
#include "uapi/shm_carveout.h"

enum { KIB = 1024, MIB = 1 << 20, SIZE = 256 * KIB };

static int carveout(const char *name, size_t size)
{
	char node[64];
	int memory;

	snprintf(node, sizeof(node), SHM_CARVEOUT_FOLDER "%s", name);
	memory = heap_memory_at(node, size, O_RDWR);
	if (memory < 0)
		fail_msg("%s: %s", node, strerror(-memory));
	return memory;
}

static void add_region(const char *region)
{
	int file = open("/sys/module/shm_carveout/parameters/region", O_WRONLY | O_CLOEXEC);

	assert_true(file >= 0);
	if (write(file, region, strlen(region)) < 0)
		fail_msg("%s: %s", region, strerror(errno));
	close(file);
}

static void state_is(const char *wanted)
{
	char state[32];

	coprocessor_read("state", state, sizeof(state));
	assert_string_equal(state, wanted);
}

/* Attached to a core that runs already. */
static void find_core(const char *parameters)
{
	if (coprocessor_is_there())
		assert_int_equal(coprocessor_unload(), 0);
	coprocessor_load(parameters);
	state_is("detached");
	assert_int_equal(coprocessor_write("state", "start"), 0);
	state_is("attached");
}

static int forget_core(void **state)
{
	(void)state;
	return coprocessor_unload() || module_remove("shm_importer");
}

/* The first address that the core is told, or -errno. */
static long long address_of(int importer, int memory)
{
	struct shm_import_attach attach = { 0 };
	int error = import_try(importer, memory, SHM_IMPORT_READ | SHM_IMPORT_WRITE, &attach);
	long long address;

	if (error)
		return error;
	address = (long long)import_address(importer, attach.id);
	assert_int_equal(import_release(importer, attach.id, SHM_IMPORT_UNSHARED), 0);
	return address;
}

static void the_table_of_carveouts_has_a_bus_of_its_owns_addresses(void **state)
{
	int importer, inside, beside, across;

	(void)state;
	find_core("booted=1 ranges=0");
	importer = import_open();
	module_load("shm_carveout", "");
	add_region("dsp,remoteproc=board/shared,cached");
	add_region("sram,0x31000000+0x100000,cached");
	/* its first half is the second vring's carveout, the other nobody's */
	add_region("edge,0x30110000+0x20000,cached");
	inside = carveout("dsp", SIZE);
	assert_int_equal(address_of(importer, inside),
			 COPROCESSOR_BASE + COPROCESSOR_SHARED + (long long)COPROCESSOR_OFFSET);
	close(inside);
	/* the table says nothing of it */
	beside = carveout("sram", SIZE);
	assert_int_equal(address_of(importer, beside), ASIDE_BASE);
	close(beside);
	/* one piece for the CPU, two for the core */
	across = carveout("edge", 128 * KIB);
	assert_int_equal(address_of(importer, across), -ERANGE);
	close(across);
	across = carveout("edge", 64 * KIB);
	assert_int_equal(address_of(importer, across), COPROCESSOR_BASE + COPROCESSOR_VRING +
							       COPROCESSOR_VRING_SIZE +
							       (long long)COPROCESSOR_OFFSET);
	close(across);
	assert_int_equal(import_status(importer).attached, 0);
	close(importer);
	assert_int_equal(module_remove("shm_carveout"), 0);
}

static void a_core_that_is_left_alone_keeps_what_it_uses(void **state)
{
	struct shm_import_segment segment;
	struct shm_import_attach own, again;
	int importer, dying, memory;
	uint64_t held;

	(void)state;
	find_core("booted=1");
	importer = import_open();
	dying = import_open();
	memory = heap_memory("reserved", MIB, O_RDWR);
	held = import_address(dying, import_attach(dying, memory).id);
	close(memory);
	close(dying);
	memory = heap_memory("reserved", MIB, O_RDWR);
	own = import_attach(importer, memory);
	close(memory);

	assert_int_equal(coprocessor_write("state", "detach"), 0);
	state_is("detached");
	assert_int_equal(import_status(importer).running, 0);
	assert_int_equal(import_segments(importer, own.id, 0, 1, &segment), -ESTALE);
	/* it runs on, so its owner's release holds this as well */
	assert_int_equal(import_release(importer, own.id, 0), 0);
	assert_int_equal(import_status(importer).held, 2 * MIB);

	/* nor does the next attachment end a run in which it may have written */
	assert_int_equal(coprocessor_write("state", "start"), 0);
	state_is("attached");
	assert_int_equal(import_status(importer).held, 2 * MIB);
	memory = heap_memory("reserved", MIB, O_RDWR);
	again = import_attach(importer, memory);
	assert_int_not_equal(import_address(importer, again.id), held);
	assert_int_equal(import_release(importer, again.id, SHM_IMPORT_UNSHARED), 0);
	close(memory);

	/* a stop does */
	assert_int_equal(coprocessor_write("state", "stop"), 0);
	state_is("offline");
	for (int waited = 0; waited < 1000 && import_status(importer).held; waited += 10)
		usleep(10000);
	assert_int_equal(import_status(importer).held, 0);
	close(importer);
}

static void it_is_found_again_by_the_next_driver(void **state)
{
	struct shm_import_attach attach;
	int importer, memory;

	(void)state;
	find_core("booted=1");
	assert_int_equal(coprocessor_unload(), 0);
	find_core("booted=1");
	importer = import_open();
	memory = heap_memory("system", SIZE, O_RDWR);
	attach = import_attach(importer, memory);
	assert_int_equal(import_release(importer, attach.id, 0), 0);
	/* the driver stops what it has attached to */
	assert_int_equal(coprocessor_unload(), 0);
	assert_int_equal(import_status(importer).held, 0);
	close(memory);
	close(importer);
	coprocessor_load("");
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(the_table_of_carveouts_has_a_bus_of_its_owns_addresses,
					  forget_core),
		cmocka_unit_test_teardown(a_core_that_is_left_alone_keeps_what_it_uses,
					  forget_core),
		cmocka_unit_test_teardown(it_is_found_again_by_the_next_driver, forget_core),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
