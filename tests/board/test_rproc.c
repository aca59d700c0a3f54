/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that a coprocessor works on in place, at addresses of its own: what works when both sides are good. */
#include <fcntl.h>
#include <linux/udmabuf.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rproc_board.h"

static void work_in_place(const char *source, size_t size, size_t least_segments)
{
	struct metal_device *dsp = dsp_start();
	const struct metal_shm_segment *segments;
	struct shared s = share(dsp, source, size);
	size_t n;

	ok(metal_shm_segments(s.view, &segments, &n));
	shm_test_note("%s: %zu KiB in %zu segments, the first at %#llx", source, size >> 10, n,
		      (unsigned long long)segments[0].device_address);
	assert_true(n >= least_segments);
	for (unsigned round = 1; round <= 3; round++) {
		fill(&s, round);
		dsp_order(dsp, ODD_ADD, 10 * round, 0);
		ok(metal_shm_sync_for_device(s.shm, dsp, RW));
		ok(metal_shm_sync_for_cpu_timeout(s.shm, RW, LONG));
		expect(&s, round, 10 * round);
	}
	unshare(&s);
	dsp_close(dsp);
}

static void firmware_works_on_contiguous_memory_in_place(void **state)
{
	(void)state;
	work_in_place("heap:reserved", MIB, 1);
}

static void firmware_works_on_scattered_memory_in_place(void **state)
{
	(void)state;
	/* pieces of 1 MiB, 64 KiB and 4 KiB */
	work_in_place("heap:system", 3 * MIB + 7 * 65536 + 5 * 4096, 2);
}

#define PIECES 64

/* Pages of a file that has them all, in an order in which none follows on the one before. */
static int scattered_dmabuf(void)
{
	struct udmabuf_create_list *list =
		calloc(1, sizeof(*list) + PIECES * sizeof(list->list[0]));
	int file = memfd_create("scattered", MFD_CLOEXEC | MFD_ALLOW_SEALING), dmabuf;
	int device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);

	assert_true(list && file >= 0 && device >= 0);
	list->flags = UDMABUF_FLAGS_CLOEXEC;
	list->count = PIECES;
	assert_int_equal(fallocate(file, 0, 0, 2 * PIECES * 4096), 0);
	assert_int_equal(fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	for (unsigned i = 0; i < PIECES; i++)
		list->list[i] = (struct udmabuf_create_item){
			.memfd = (uint32_t)file,
			.offset = UINT64_C(4096) * (i * 37 % (2 * PIECES)),
			.size = 4096,
		};
	dmabuf = ioctl(device, UDMABUF_CREATE_LIST, list);
	assert_true(dmabuf >= 0);
	free(list);
	close(device);
	close(file);
	return dmabuf;
}

static void firmware_reads_the_addresses_of_many_pieces_from_a_table(void **state)
{
	struct metal_device *dsp = dsp_start();
	const struct metal_shm_segment *segments;
	struct shared s = { .dsp = dsp, .size = PIECES * 4096 };
	int dmabuf = scattered_dmabuf();
	size_t n;

	(void)state;
	s.shm = metal_shm_import(dmabuf, 0, 0);
	close(dmabuf);
	assert_non_null(s.shm);
	s.bytes = metal_shm_map(s.shm, METAL_SHM_READ | METAL_SHM_WRITE);
	s.view = metal_shm_attach(s.shm, dsp);
	if (!s.view)
		fail_msg("%s", metal_shm_last_error());
	ok(metal_shm_segments(s.view, &segments, &n));
	shm_test_note("%zu segments", n);
	assert_true(n > 16);
	ok(metal_shm_rproc_share(dsp, s.shm, RW, NULL));
	fill(&s, 3);
	dsp_order(dsp, ODD_ADD, 5, 0);
	ok(metal_shm_sync_for_device(s.shm, dsp, RW));
	ok(metal_shm_sync_for_cpu_timeout(s.shm, RW, LONG));
	expect(&s, 3, 5);
	metal_shm_detach(s.view, dsp);
	metal_shm_free(s.shm, NULL);
	dsp_close(dsp);
}

static void buffer_is_allocated_from_what_the_core_reaches(void **state)
{
	struct metal_device *dsp = dsp_start();
	struct shared s = { .dsp = dsp, .size = MIB };

	(void)state;
	s.shm = metal_shm_allocate_for(s.size, &dsp, 1, 0);
	if (!s.shm)
		fail_msg("%s", metal_shm_last_error());
	s.bytes = metal_shm_map(s.shm, METAL_SHM_READ | METAL_SHM_WRITE);
	s.view = metal_shm_attach(s.shm, dsp);
	assert_non_null(s.view);
	ok(metal_shm_rproc_share(dsp, s.shm, RW, NULL));
	fill(&s, 1);
	ok(metal_shm_sync_for_device(s.shm, dsp, RW));
	ok(metal_shm_sync_for_cpu_timeout(s.shm, RW, LONG));
	expect(&s, 1, 1);
	metal_shm_detach(s.view, dsp);
	metal_shm_free(s.shm, NULL);
	dsp_close(dsp);
}

static void part_is_the_firmwares_and_the_rest_the_programs(void **state)
{
	struct metal_device *dsp = dsp_start(), *memory = memory_open("heap:reserved");
	struct metal_generic_shm *shm = metal_shm_allocate(MIB, memory, 0), *part, *view;
	unsigned char *bytes = metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE);

	(void)state;
	memset(bytes, 3, MIB);
	part = metal_shm_sub(shm, 4096, 8192, METAL_SHM_SUB_NO_COPY);
	assert_non_null(part);
	view = metal_shm_attach(part, dsp);
	if (!view)
		fail_msg("%s", metal_shm_last_error());
	ok(metal_shm_rproc_share(dsp, part, RW, NULL));
	dsp_order(dsp, ODD_ADD, 4, 0);
	ok(metal_shm_sync_for_device(part, dsp, RW));
	ok(metal_shm_sync_for_cpu_timeout(part, RW, LONG));
	for (unsigned i = 0; i < MIB; i++)
		assert_int_equal(bytes[i], i >= 4096 && i < 4096 + 8192 ? 7 : 3);
	metal_shm_detach(view, dsp);
	metal_shm_free(part, NULL);
	metal_shm_free(shm, memory);
	metal_shm_device_close(memory);
	dsp_close(dsp);
}

/* What the firmware's resource table and the driver set aside, exported by the module when it is opened. */
static void static_memory_of_the_resource_table_is_a_source(void **state)
{
	struct metal_device *dsp = dsp_start();
	struct metal_shm_properties properties = { .struct_size = sizeof(properties) };
	uint64_t address;
	struct shared s;

	(void)state;
	module_load("shm_carveout", "");
	s = share(dsp, "rproc:board/shared", MIB);
	ok(metal_shm_properties(s.shm, &properties));
	assert_int_equal(properties.contiguous, METAL_SHM_YES);
	assert_int_equal(properties.dmabuf, METAL_SHM_YES);
	ok(metal_shm_device_address(s.view, &address));
	assert_true(address >=
		    COPROCESSOR_BASE + (uint64_t)COPROCESSOR_OFFSET + COPROCESSOR_SHARED);
	assert_true(address + MIB <= COPROCESSOR_BASE + (uint64_t)COPROCESSOR_OFFSET +
					     COPROCESSOR_SHARED + COPROCESSOR_SHARED_SIZE);
	fill(&s, 5);
	dsp_order(dsp, ODD_ADD, 2, 0);
	ok(metal_shm_sync_for_device(s.shm, dsp, RW));
	ok(metal_shm_sync_for_cpu_timeout(s.shm, RW, LONG));
	expect(&s, 5, 2);
	assert_null(metal_shm_allocate(2 * COPROCESSOR_SHARED_SIZE, s.memory, 0));
	fails(-errno, ENOMEM, "the largest free piece has");
	unshare(&s);
	dsp_close(dsp);
	assert_int_equal(module_remove("shm_carveout"), 0);
}

static void three_buffers_go_round(void **state)
{
	struct metal_device *dsp = dsp_start();
	struct shared s[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		s[i] = share(dsp, "heap:reserved", 65536);
	for (unsigned round = 0; round < 30; round++) {
		struct shared *one = &s[round % 3];

		if (round >= 3) {
			ok(metal_shm_sync_for_cpu_timeout(one->shm, RW, LONG));
			expect(one, round - 3, 1);
		}
		fill(one, round);
		ok(metal_shm_sync_for_device(one->shm, dsp, RW));
	}
	for (unsigned round = 30; round < 33; round++) {
		ok(metal_shm_sync_for_cpu_timeout(s[round % 3].shm, RW, LONG));
		expect(&s[round % 3], round - 3, 1);
		unshare(&s[round % 3]);
	}
	dsp_close(dsp);
}

struct wanted {
	struct metal_device *memory;
	struct metal_generic_shm *granted;
	unsigned asked;
};

static int grant(void *user, uint64_t size, metal_shm_type type, struct metal_generic_shm **ret)
{
	struct wanted *wanted = user;

	(void)type;
	wanted->asked++;
	if (size > MIB)
		return -ENOMEM;
	*ret = metal_shm_allocate(size, wanted->memory, METAL_SHM_ZEROED);
	if (!*ret)
		return -errno;
	wanted->granted = metal_shm_ref(*ret);
	return 0;
}

static void firmware_asks_for_memory_and_fills_it(void **state)
{
	struct metal_device *dsp = dsp_start();
	struct wanted wanted = { .memory = memory_open("heap:reserved") };
	int64_t until = now_ns() + LONG;
	unsigned char *bytes;

	(void)state;
	ok(metal_shm_rproc_on_request(dsp, grant, &wanted));
	dsp_order(dsp, ODD_REQUEST, 0, 2 * MIB);
	while (!wanted.asked && now_ns() < until)
		metal_shm_device_dispatch(dsp);
	assert_int_equal(wanted.asked, 1);
	assert_null(wanted.granted);
	dsp_order(dsp, ODD_REQUEST, 0, 65536);
	while (!wanted.granted && now_ns() < until)
		metal_shm_device_dispatch(dsp);
	assert_non_null(wanted.granted);
	ok(metal_shm_sync_for_cpu_timeout(wanted.granted, RW, LONG));
	bytes = metal_shm_map(wanted.granted, METAL_SHM_READ);
	assert_int_not_equal(bytes[0], 0);
	for (unsigned i = 1; i < 65536; i++)
		assert_int_equal(bytes[i], bytes[0]);
	/* it lets go of it, and with that its reference ends */
	assert_int_equal(dsp_info(dsp).shared, 1);
	dsp_order(dsp, ODD_LEAVE, 0, 0);
	while (dsp_info(dsp).shared && now_ns() < until)
		metal_shm_device_dispatch(dsp);
	assert_int_equal(dsp_info(dsp).shared, 0);
	metal_shm_free(wanted.granted, NULL);
	metal_shm_device_close(wanted.memory);
	dsp_close(dsp);
}

static void channels_and_carveouts_of_a_running_core_are_told(void **state)
{
	struct metal_shm_rproc_channel channel[8];
	struct metal_shm_rproc_carveout carveout[8];
	struct metal_device *dsp = dsp_start();
	char name[32], node[64] = "";
	bool service = false, vring = false;
	int n = metal_shm_rproc_channels(dsp, channel, 8);

	(void)state;
	ok(n);
	for (int i = 0; i < n; i++) {
		service |= !strcmp(channel[i].service, "libshm") &&
			   channel[i].destination == ODD_ENDPOINT;
		if (channel[i].node[0])
			snprintf(node, sizeof(node), "/dev/%s", channel[i].node);
	}
	assert_true(service);
	ok(metal_shm_rproc_of_channel(node, name, sizeof(name)));
	assert_string_equal(name, metal_shm_rproc_id(dsp));
	n = metal_shm_rproc_carveouts(dsp, carveout, 8);
	ok(n);
	for (int i = 0; i < n; i++)
		vring |= !strcmp(carveout[i].name, "vdev0vring0") &&
			 carveout[i].device_address == COPROCESSOR_BASE + COPROCESSOR_OFFSET +
							       (uint64_t)COPROCESSOR_VRING &&
			 carveout[i].length == COPROCESSOR_VRING_SIZE;
	assert_true(vring);
	dsp_close(dsp);
}

static void channel_is_one_programs_at_a_time(void **state)
{
	struct metal_shm_rproc_channel channel[8];
	struct metal_device *dsp = dsp_open(), *other = NULL;
	int n;

	(void)state;
	ok(metal_shm_rproc_start(dsp, "board-odd.elf", 0));
	ok(metal_shm_rproc_connect(dsp, LONG));
	n = metal_shm_rproc_channels(dsp, channel, 8);
	ok(metal_shm_rproc_open("board", &other));
	fails(metal_shm_rproc_connect(other, 0), EBUSY, "is taken by another program");
	metal_shm_device_close(dsp);
	ok(metal_shm_rproc_connect(other, LONG));
	assert_int_equal(metal_shm_rproc_channels(other, channel, 8), n);
	assert_int_equal(metal_shm_rproc_state(other), METAL_SHM_RPROC_RUNNING);
	ok(metal_shm_rproc_stop(other));
	dsp_close(other);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(firmware_works_on_contiguous_memory_in_place),
		cmocka_unit_test(firmware_works_on_scattered_memory_in_place),
		cmocka_unit_test(firmware_reads_the_addresses_of_many_pieces_from_a_table),
		cmocka_unit_test(buffer_is_allocated_from_what_the_core_reaches),
		cmocka_unit_test(part_is_the_firmwares_and_the_rest_the_programs),
		cmocka_unit_test(static_memory_of_the_resource_table_is_a_source),
		cmocka_unit_test(three_buffers_go_round),
		cmocka_unit_test(firmware_asks_for_memory_and_fills_it),
		cmocka_unit_test(channels_and_carveouts_of_a_running_core_are_told),
		cmocka_unit_test(channel_is_one_programs_at_a_time),
	};

	wait_once();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
