/* SPDX-License-Identifier: BSD-3-Clause */
/* Which memory a coprocessor is given, and how its addresses are learned; firmware works on each in place. */
#include <fcntl.h>
#include <linux/udmabuf.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rproc_board.h"

#define CARVEOUT (COPROCESSOR_BASE + (uint64_t)COPROCESSOR_OFFSET + COPROCESSOR_SHARED)

/* The last user's descriptor goes a moment after the program closed it. */
static void without_module(const char *name)
{
	int error = module_remove(name);

	for (unsigned i = 0; i < 200 && error == -EWOULDBLOCK; i++) {
		pause_ms(10);
		error = module_remove(name);
	}
	if (error && error != -ENOENT)
		fail_msg("%s: %d", name, error);
}

static struct metal_device *start(const char *name)
{
	struct metal_device *dsp = NULL;

	ok(metal_shm_rproc_open(name, &dsp));
	ok(metal_shm_rproc_start(dsp, "board-odd.elf", METAL_SHM_RPROC_STOP_WITH_US));
	ok(metal_shm_rproc_connect(dsp, LONG));
	return dsp;
}

static const struct metal_shm_segment *segments_of(const struct shared *s, size_t *ret_n)
{
	const struct metal_shm_segment *segments = NULL;

	ok(metal_shm_segments(s->view, &segments, ret_n));
	return segments;
}

/* Shared, given, changed in place and taken back. */
static void work_on(struct shared *s)
{
	s->bytes = metal_shm_map(s->shm, METAL_SHM_READ | METAL_SHM_WRITE);
	assert_non_null(s->bytes);
	s->view = metal_shm_attach(s->shm, s->dsp);
	if (!s->view)
		fail_msg("%s", metal_shm_last_error());
	ok(metal_shm_rproc_share(s->dsp, s->shm, RW, NULL));
	fill(s, 9);
	dsp_order(s->dsp, ODD_ADD, 6, 0);
	ok(metal_shm_sync_for_device(s->shm, s->dsp, RW));
	ok(metal_shm_sync_for_cpu_timeout(s->shm, RW, LONG));
	expect(s, 9, 6);
}

static void let_go(struct shared *s)
{
	metal_shm_detach(s->view, s->dsp);
	metal_shm_free(s->shm, NULL);
}

static void firmware_that_takes_one_piece_is_given_one(void **state)
{
	struct shared s = { .size = 3 * MIB + 5 * 4096 };
	char story[2048];
	size_t n;

	(void)state;
	metal_shm_device_close(dsp_open());
	s.dsp = start("board,max_segments=1");
	s.shm = metal_shm_allocate_for(s.size, &s.dsp, 1, 0);
	if (!s.shm)
		fail_msg("%s", metal_shm_last_error());
	metal_shm_explain(s.shm, story, sizeof(story));
	shm_test_note("%s", story);
	assert_non_null(strstr(story, "put off heap:system: rproc:remoteproc"));
	assert_non_null(strstr(story, "memory: heap:reserved"));
	work_on(&s);
	segments_of(&s, &n);
	assert_int_equal(n, 1);
	let_go(&s);
	dsp_close(s.dsp);
}

/* The heaps lie above, or mostly; the carveout of the resource table lies below. */
static void memory_within_reach_is_found(void **state)
{
	const uint64_t reach = COPROCESSOR_BASE + COPROCESSOR_SIZE;
	const struct metal_shm_segment *segments;
	struct shared s = { .size = MIB };
	struct metal_device *carveout = NULL;
	char words[64];
	size_t n;

	(void)state;
	metal_shm_device_close(dsp_open());
	assert_int_equal(coprocessor_unload(), 0);
	snprintf(words, sizeof(words), "reach=%#llx", (unsigned long long)reach);
	coprocessor_load(words);
	module_load("shm_carveout", "");
	s.dsp = start("board");
	ok(metal_shm_device_open("rproc:board/shared", &carveout));
	metal_shm_device_close(carveout);
	for (unsigned i = 0; i < 3; i++) {
		s.shm = metal_shm_allocate_for(s.size, &s.dsp, 1, 0);
		if (!s.shm)
			fail_msg("%s", metal_shm_last_error());
		work_on(&s);
		segments = segments_of(&s, &n);
		for (size_t at = 0; at < n; at++)
			assert_true(segments[at].device_address + segments[at].length <=
				    COPROCESSOR_OFFSET + reach);
		let_go(&s);
	}
	s.shm = metal_shm_allocate_for(s.size, &s.dsp, 1, METAL_SHM_CONTIGUOUS);
	if (!s.shm)
		fail_msg("%s", metal_shm_last_error());
	metal_shm_explain(s.shm, words, sizeof(words));
	assert_true(!strncmp(words, "memory: rproc:remoteproc", 24));
	metal_shm_free(s.shm, NULL);
	/* more than the carveout has, and the heap in one piece is out of reach */
	s.shm = metal_shm_allocate_for(COPROCESSOR_SHARED_SIZE + 4096, &s.dsp, 1,
				       METAL_SHM_CONTIGUOUS);
	assert_null(s.shm);
	fails(-errno, ENOMEM, "refused heap:reserved: remoteproc");
	assert_non_null(strstr(metal_shm_last_error(), "reaches addresses up to 0xb0ffffff alone"));
	assert_non_null(strstr(metal_shm_last_error(), "of which the largest free piece has"));
	dsp_close(s.dsp);
	without_module("shm_carveout");
	assert_int_equal(coprocessor_unload(), 0);
}

static void memory_has_its_address_by_its_place_without_the_module(void **state)
{
	const struct metal_shm_segment *segments;
	struct metal_device *memory;
	struct shared s = { .size = 2 * MIB };
	size_t n;

	(void)state;
	metal_shm_device_close(dsp_open());
	without_module("shm_importer");
	module_load("shm_carveout", "");
	s.dsp = start("board");
	memory = memory_open("rproc:board/shared");
	s.shm = metal_shm_allocate(s.size, memory, 0);
	assert_null(metal_shm_attach(s.shm, s.dsp));
	fails(-errno, ENOTSUP, "the module shm_importer is not loaded); by its place: ");
	metal_shm_free(s.shm, NULL);

	module_load("board_dma_buf_phys", "");
	/* chosen by the resource table, of all memory that there is */
	s.shm = metal_shm_allocate_for(s.size, &s.dsp, 1, 0);
	if (!s.shm)
		fail_msg("%s", metal_shm_last_error());
	work_on(&s);
	segments = segments_of(&s, &n);
	assert_int_equal(n, 1);
	shm_test_note("at %#llx", (unsigned long long)segments[0].device_address);
	assert_true(segments[0].device_address >= CARVEOUT);
	assert_true(segments[0].device_address + s.size <= CARVEOUT + COPROCESSOR_SHARED_SIZE);
	let_go(&s);
	/* and memory that no table knows has none */
	metal_shm_device_close(memory);
	memory = memory_open("heap:reserved");
	s.shm = metal_shm_allocate(s.size, memory, 0);
	assert_null(metal_shm_attach(s.shm, s.dsp));
	fails(-errno, ENOTSUP, "is in no carveout of remoteproc");
	metal_shm_free(s.shm, NULL);
	metal_shm_device_close(memory);
	assert_int_equal(access("/sys/module/shm_importer", F_OK), -1);
	dsp_close(s.dsp);
	without_module("board_dma_buf_phys");
	without_module("shm_carveout");
}

/* Pages that the program mapped itself, before anybody thought of a coprocessor. */
static void firmware_works_on_pages_of_the_programs_own(void **state)
{
	struct udmabuf_create what = { .flags = UDMABUF_FLAGS_CLOEXEC, .size = MIB };
	int file = memfd_create("own", MFD_CLOEXEC | MFD_ALLOW_SEALING), dmabuf;
	int device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	unsigned char *own;
	struct shared s = { .size = MIB };

	(void)state;
	assert_true(file >= 0 && device >= 0);
	assert_int_equal(ftruncate(file, MIB), 0);
	own = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	assert_true(own != MAP_FAILED);
	memset(own, 0x17, MIB);
	assert_int_equal(fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	what.memfd = (uint32_t)file;
	dmabuf = ioctl(device, UDMABUF_CREATE, &what);
	assert_true(dmabuf >= 0);
	s.dsp = dsp_start();
	s.shm = metal_shm_import(dmabuf, 0, 0);
	close(dmabuf);
	assert_non_null(s.shm);
	s.view = metal_shm_attach(s.shm, s.dsp);
	if (!s.view)
		fail_msg("%s", metal_shm_last_error());
	ok(metal_shm_rproc_share(s.dsp, s.shm, RW, NULL));
	dsp_order(s.dsp, ODD_ADD, 0x20, 0);
	ok(metal_shm_sync_for_device(s.shm, s.dsp, RW));
	ok(metal_shm_sync_for_cpu_timeout(s.shm, RW, LONG));
	for (size_t i = 0; i < MIB; i++)
		assert_int_equal(own[i], 0x37);
	let_go(&s);
	dsp_close(s.dsp);
	munmap(own, MIB);
	close(device);
	close(file);
}

/* Without a file behind them nothing can hold them in place for a core that has no IOMMU. */
static void pages_that_are_no_files_are_refused_with_the_reason(void **state)
{
	static unsigned char own[8192];
	struct metal_device *dsp = dsp_start();
	struct metal_generic_shm *shm = metal_shm_wrap(own, sizeof(own), NULL, NULL);

	(void)state;
	assert_null(metal_shm_attach(shm, dsp));
	fails(-errno, ENOTSUP, "needs a DMA-BUF, and the memory is none");
	metal_shm_free(shm, NULL);
	dsp_close(dsp);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(firmware_that_takes_one_piece_is_given_one),
		cmocka_unit_test(memory_within_reach_is_found),
		cmocka_unit_test(memory_has_its_address_by_its_place_without_the_module),
		cmocka_unit_test(firmware_works_on_pages_of_the_programs_own),
		cmocka_unit_test(pages_that_are_no_files_are_refused_with_the_reason),
	};

	wait_once();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
