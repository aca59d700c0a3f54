/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Static shared memory: the carveout that the firmware's resource table declares, as a DMA-BUF that OpenCL and
 * the firmware both work on, in turns and at the same moment.
 */
#include "opencl_fixture.h"

/* names that both have */
#define wait_once rproc_wait_once
#define now_ns    rproc_now_ns
#define unshare   rproc_unshare
#include "rproc_board.h"
#undef unshare
#undef now_ns
#undef wait_once

#define HALF (MIB / 2)

static struct metal_device *dsp, *memory;
static struct metal_generic_shm *shm;
static unsigned char *apart; /* the bytes, behind the library's back */

static int set_up(void **state)
{
	fixture_setup(state);
	dsp = dsp_start();
	module_load("shm_carveout", "");
	memory = memory_open("rproc:board/shared");
	shm = metal_shm_allocate(MIB, memory, METAL_SHM_ZEROED | METAL_SHM_DMABUF);
	if (!shm)
		fail_msg("%s", metal_shm_last_error());
	apart = map_apart(shm, MIB);
	return 0;
}

static int tear_down(void **state)
{
	munmap(apart, MIB);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(memory);
	dsp_close(dsp);
	fixture_teardown(state);
	return module_remove("shm_carveout");
}

static struct metal_generic_shm *attached(struct metal_generic_shm *what, struct metal_device *dev)
{
	struct metal_generic_shm *view = metal_shm_attach(what, dev);

	if (!view)
		fail_msg("%s", metal_shm_last_error());
	assert_int_equal(metal_shm_view_mode(view), METAL_SHM_VIEW_IN_PLACE);
	return view;
}

static void is_in_the_carveout(struct metal_generic_shm *view)
{
	const uint64_t start = COPROCESSOR_BASE + (uint64_t)COPROCESSOR_OFFSET + COPROCESSOR_SHARED;
	uint64_t address = 0;

	ok(metal_shm_device_address(view, &address));
	assert_true(address >= start);
	assert_true(address + metal_shm_size(view) <= start + COPROCESSOR_SHARED_SIZE);
}

/* From a kernel of OpenCL to the firmware and to a kernel again; the program's code touches no byte. */
static void bytes_go_from_opencl_to_the_firmware_and_back(void **state)
{
	struct metal_generic_shm *at_gpu = attached(shm, fx.gpu), *at_dsp = attached(shm, dsp);
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };

	(void)state;
	is_in_the_carveout(at_dsp);
	ok(metal_shm_rproc_share(dsp, shm, RW, NULL));
	for (unsigned round = 0; round < 3; round++) {
		run_on(fx.gpu, shm, "fill", (unsigned char)(0x10 + round));
		dsp_order(dsp, ODD_ADD, 0x21, 0);
		ok(metal_shm_sync_for_device(shm, dsp, RW));
		run_on(fx.gpu, shm, "add",
		       3); /* acquires it from the firmware, and waits for that */
		ok(metal_shm_sync_for_cpu_timeout(shm, RW, LONG));
		assert_true(all_are(apart, MIB, (unsigned char)(0x10 + round + 0x21 + 3)));
	}
	ok(metal_shm_buffer_stats(shm, &stats));
	assert_int_equal(stats.bytes_copied, 0);
	metal_shm_detach(at_gpu, fx.gpu);
	metal_shm_detach(at_dsp, dsp);
}

/* While the firmware writes its half, again and again, a kernel works on the other one. */
static void both_work_on_their_parts_at_the_same_moment(void **state)
{
	struct metal_generic_shm *left = metal_shm_sub(shm, 0, HALF, METAL_SHM_SUB_NO_COPY);
	struct metal_generic_shm *right = metal_shm_sub(shm, HALF, HALF, METAL_SHM_SUB_NO_COPY);
	struct metal_generic_shm *at_gpu = attached(left, fx.gpu), *at_dsp = attached(right, dsp);
	int64_t until = now_ns() + LONG;

	(void)state;
	is_in_the_carveout(at_dsp);
	ok(metal_shm_rproc_share(dsp, right, RW, NULL));
	dsp_order(dsp, ODD_KEEP, 0, 0);
	ok(metal_shm_sync_for_device(right, dsp, RW));
	dsp_order(dsp, ODD_LATE, 1, 0);
	for (unsigned round = 0; round < 5; round++) {
		/* what the firmware wrote is wiped out; by the end of the kernels it stands there anew */
		memset(apart + HALF, 0, HALF);
		run_on(fx.gpu, left, "fill", (unsigned char)(0x31 + round));
		run_on(fx.gpu, left, "add", 1);
		ok(metal_shm_sync_for_cpu_timeout(left, RW, LONG));
		assert_true(all_are(apart, HALF, (unsigned char)(0x32 + round)));
		while (!all_are(apart + HALF, HALF, 0x66) && now_ns() < until)
			pause_ms(1);
		assert_true(all_are(apart + HALF, HALF, 0x66));
		assert_true(all_are(apart, HALF, (unsigned char)(0x32 + round)));
	}
	/* whose bytes are whose is known; but once, since who waits has the firmware asked for them soon */
	fails(metal_shm_sync_for_cpu_timeout(shm, RW, 0), ETIMEDOUT, "rproc:remoteproc");
	dsp_order(dsp, ODD_LATE, 0, 0);
	dsp_order(dsp, ODD_RETURN, 0, 0);
	ok(metal_shm_sync_for_cpu_timeout(shm, RW, LONG));
	memset(metal_shm_map(shm, METAL_SHM_WRITE), 0x11, MIB);
	pause_ms(50);
	assert_true(all_are(apart, MIB, 0x11));
	metal_shm_detach(at_gpu, fx.gpu);
	metal_shm_detach(at_dsp, dsp);
	metal_shm_free(left, NULL);
	metal_shm_free(right, NULL);
}

/* The halves change sides: what OpenCL made the firmware changes, and the other way round. */
static void parts_change_sides(void **state)
{
	struct metal_generic_shm *part[2], *at_gpu[2], *at_dsp[2];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		part[i] = metal_shm_sub(shm, (size_t)i * HALF, HALF, METAL_SHM_SUB_NO_COPY);
		at_gpu[i] = attached(part[i], fx.gpu);
		at_dsp[i] = attached(part[i], dsp);
		ok(metal_shm_rproc_share(dsp, part[i], RW, NULL));
	}
	dsp_order(dsp, ODD_ADD, 1, 0);
	for (unsigned round = 0; round < 6; round++) {
		ok(metal_shm_sync_for_device(part[round % 2], dsp, RW));
		run_on(fx.gpu, part[1 - round % 2], "add", 0x10);
	}
	ok(metal_shm_sync_for_cpu_timeout(shm, RW, LONG));
	assert_true(all_are(apart, MIB, 0x33));
	for (unsigned i = 0; i < 2; i++) {
		metal_shm_detach(at_gpu[i], fx.gpu);
		metal_shm_detach(at_dsp[i], dsp);
		metal_shm_free(part[i], NULL);
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(bytes_go_from_opencl_to_the_firmware_and_back),
		CASE(both_work_on_their_parts_at_the_same_moment),
		CASE(parts_change_sides),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
