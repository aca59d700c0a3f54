/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A driver that goes while its core can't be stopped: what the core may still write is lost until the next boot,
 * to be given to nobody. So is the module, which is why this program is the last of its group.
 */
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "coprocessor_board.h"
#include "heap_memory.h"
#include "import_board.h"

#define DRIVER     "/sys/bus/platform/drivers/board-coprocessor/"
#define PARAMETERS "/sys/module/board_coprocessor/parameters/"
#define LISTING    "/sys/kernel/debug/shm_importer"

enum { MIB = 1 << 20, OTHERS = 8 };

static int put(const char *path, const char *text)
{
	int file = open(path, O_WRONLY | O_CLOEXEC), error;

	if (file < 0)
		fail_msg("%s: %s", path, strerror(errno));
	error = write(file, text, strlen(text)) < 0 ? -errno : 0;
	close(file);
	return error;
}

static bool listing_has(const char *text)
{
	char all[4096];
	FILE *file = fopen(LISTING, "re");
	size_t size;

	assert_non_null(file);
	size = fread(all, 1, sizeof(all) - 1, file);
	fclose(file);
	all[size] = '\0';
	return strstr(all, text);
}

static void what_a_core_that_cannot_be_stopped_uses_is_lost(void **state)
{
	struct pollfd gone = { .events = POLLPRI };
	struct shm_import_attach own, again;
	int importer, dying, memory, others[OTHERS];
	uint64_t lost[2];

	(void)state;
	shm_test_keeps("shm_importer: two DMA-BUFs that are lost");
	if (coprocessor_is_there())
		assert_int_equal(coprocessor_unload(), 0);
	coprocessor_load("booted=1");
	assert_int_equal(coprocessor_write("state", "start"), 0);
	importer = import_open();
	dying = import_open();
	memory = heap_memory("reserved", MIB, O_RDWR);
	lost[0] = import_address(dying, import_attach(dying, memory).id);
	close(memory);
	close(dying);
	memory = heap_memory("reserved", MIB, O_RDWR);
	own = import_attach(importer, memory);
	lost[1] = import_address(importer, own.id);
	close(memory);

	assert_int_equal(put(PARAMETERS "stuck", "1"), 0);
	assert_int_equal(coprocessor_write("state", "stop"), -EBUSY);
	assert_int_equal(import_status(importer).held, MIB);
	assert_int_equal(put(DRIVER "unbind", "board-coprocessor"), 0);
	assert_int_equal(put(PARAMETERS "stuck", "0"), 0);
	gone.fd = importer;
	assert_int_equal(poll(&gone, 1, 0), 1);
	assert_true(gone.revents & POLLHUP);
	assert_true(listing_has("lost"));

	/* nobody can say any more that the core is done */
	assert_int_equal(import_release(importer, own.id, SHM_IMPORT_UNSHARED), 0);
	assert_int_equal(import_status(importer).held, 2 * MIB);
	assert_int_equal(import_release(importer, own.id, SHM_IMPORT_UNSHARED), -ENODEV);
	assert_int_equal(import_status(importer).held, 2 * MIB);
	close(importer);
	assert_int_equal(module_remove("shm_importer"), -EWOULDBLOCK);

	/* the driver comes back to a core that runs; it is another for all that was */
	assert_int_equal(put(DRIVER "bind", "board-coprocessor"), 0);
	assert_int_equal(coprocessor_write("state", "start"), 0);
	importer = import_open();
	assert_int_equal(import_status(importer).held, 0);
	for (int i = 0; i < OTHERS; i++) {
		others[i] = heap_memory("reserved", MIB, O_RDWR);
		again = import_attach(importer, others[i]);
		assert_int_not_equal(import_address(importer, again.id), lost[0]);
		assert_int_not_equal(import_address(importer, again.id), lost[1]);
		assert_int_equal(import_release(importer, again.id, SHM_IMPORT_UNSHARED), 0);
	}
	for (int i = 0; i < OTHERS; i++)
		close(others[i]);
	close(importer);
	assert_int_equal(coprocessor_unload(), 0);
	assert_true(listing_has("lost"));
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_core_that_cannot_be_stopped_uses_is_lost),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
