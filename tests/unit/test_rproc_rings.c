/* SPDX-License-Identifier: BSD-3-Clause */
/* A firmware without RPMsg: two rings in shared memory, with a doorbell and without. */
#include <sys/eventfd.h>

#include "rproc_bench.h"

#define SLOTS    4u
#define AT       256 /* of the ring to the firmware */
#define COHERENT 1u  /* SHM_IMPORT_COHERENT */

static struct metal_generic_shm *words;
static unsigned char *bytes;
static struct metal_shm_rproc_rings rings;
static struct shm__ring_end core_in, core_out;
static unsigned kicks;
static int bell;

static void on_kick(void *user)
{
	assert_ptr_equal(user, &kicks);
	kicks++;
}

static int begin_rings(void **state)
{
	(void)state;
	fake = fake_rproc_begin();
	fake->silent = true;
	fake->flags = COHERENT;
	fake_rproc_file("/dev/shm_importer", "");
	ok(metal_shm_rproc_open("dsp", &dsp));
	ok(metal_shm_device_open("memfd", &memory));
	words = metal_shm_allocate(8192, memory, METAL_SHM_ZEROED);
	bytes = metal_shm_map(words, METAL_SHM_READ | METAL_SHM_WRITE);
	assert_non_null(bytes);
	bell = eventfd(0, EFD_CLOEXEC);
	kicks = 0;
	rings = (struct metal_shm_rproc_rings){
		.struct_size = sizeof(rings),
		.slots = SLOTS,
		.shm = words,
		.to_core = AT,
		.from_core = AT + metal_shm_rproc_ring_size(SLOTS),
		.borrow_bell_fd = bell,
		.kick = on_kick,
		.user = &kicks,
	};
	return 0;
}

static int end_rings(void **state)
{
	metal_shm_unmap(words, METAL_SHM_READ | METAL_SHM_WRITE);
	metal_shm_free(words, NULL);
	close(bell);
	return end(state);
}

/* The firmware's ends, as its processor takes them when it starts. */
static void start_firmware(void)
{
	size_t size = metal_shm_rproc_ring_size(rings.slots);

	assert_true(shm__ring_open(&core_in, SHM__RING_TAKES, bytes + rings.to_core, size));
	assert_true(shm__ring_open(&core_out, SHM__RING_PUTS, bytes + rings.from_core, size));
	firmware_begin_rings(&firmware, 7, &core_in, &core_out);
}

static void ring_bell(void)
{
	assert_int_equal(eventfd_write(bell, 1), 0);
}

static void meet(void)
{
	ok(metal_shm_rproc_set_rings(dsp, &rings));
	ok(metal_shm_rproc_start(dsp, NULL, 0));
	start_firmware();
	fails(metal_shm_rproc_connect(dsp, 0), ETIMEDOUT, "doesn't answer");
	firmware_run(&firmware);
	ok(metal_shm_rproc_connect(dsp, 0));
	assert_string_equal(firmware.log, "U");
	firmware.log[0] = '\0';
}

static void hand_over_and_back(void)
{
	struct metal_generic_shm *view, *shm = shared(&view);

	ok(metal_shm_sync_for_device(shm, dsp, RW));
	firmware_run(&firmware);
	assert_string_equal(firmware.log, "SG");
	assert_int_equal(firmware.range.length, SIZE);
	fails(metal_shm_sync_for_cpu_timeout(shm, RW, 0), ETIMEDOUT, "");
	firmware_return(&firmware, SHM__CODE_OK);
	ring_bell();
	ok(metal_shm_sync_for_cpu_timeout(shm, RW, 10 * SECOND));
	end_share(shm, view);
	firmware.log[0] = '\0';
}

static void rings_carry_what_rpmsg_would(void **state)
{
	char answer[16];
	struct shm__out out;

	(void)state;
	meet();
	hand_over_and_back();
	ok(metal_shm_rproc_send(dsp, "hello", 5));
	firmware_run(&firmware);
	assert_string_equal(firmware.log, "M");
	assert_int_equal(shm__session_send(&firmware.session, "core", 4, &out), SHM__CODE_OK);
	firmware_post(&firmware, &out);
	assert_int_equal(metal_shm_rproc_receive(dsp, answer, sizeof(answer), 0), 4);
	assert_memory_equal(answer, "core", 4);
}

static void each_record_rings_the_firmwares_bell(void **state)
{
	unsigned before;

	(void)state;
	meet();
	assert_int_equal(kicks, 1); /* the HELLO */
	before = kicks;
	ok(metal_shm_rproc_send(dsp, "a", 1));
	assert_int_equal(kicks, before + 1);
	firmware_run(&firmware);
}

static void bell_wakes_who_waits_and_is_silent_then(void **state)
{
	struct pollfd fd;
	struct shm__out out;
	char answer[4];

	(void)state;
	meet();
	metal_shm_device_dispatch(dsp);
	fd = (struct pollfd){ .fd = metal_shm_device_poll_fd(dsp), .events = POLLIN };
	assert_int_equal(poll(&fd, 1, 0), 0);
	assert_int_equal(shm__session_send(&firmware.session, "core", 4, &out), SHM__CODE_OK);
	firmware_post(&firmware, &out);
	assert_int_equal(poll(&fd, 1, 0), 0);
	ring_bell();
	wait_event();
	assert_int_equal(metal_shm_rproc_receive(dsp, answer, sizeof(answer), 0), 4);
	metal_shm_device_dispatch(dsp);
	assert_int_equal(poll(&fd, 1, 0), 0);
}

static void program_looks_by_itself_where_nothing_rings(void **state)
{
	struct shm__out out;
	char answer[4];

	(void)state;
	rings.borrow_bell_fd = -1;
	meet();
	for (int i = 0; i < 3; i++) {
		assert_int_equal(shm__session_send(&firmware.session, "core", 4, &out),
				 SHM__CODE_OK);
		firmware_post(&firmware, &out);
		assert_int_equal(metal_shm_rproc_receive(dsp, answer, 4, 10 * SECOND), 4);
		wait_event(); /* and goes on looking */
		firmware_run(&firmware);
	}
}

/* A record that costs an ERROR. */
static void lie(void)
{
	const struct shm__record record = {
		.type = SHM__RECORD_RETURN,
		.session = firmware.session.other,
		.number = ++firmware.session.sent,
		.limit = firmware.session.granted,
		.range = { .id = 77, .generation = 1, .length = 1 },
	};
	struct shm__out out;

	out.size = shm__record_encode(&record, out.data);
	firmware_post(&firmware, &out);
}

/* The firmware takes nothing for a while: what it is told is kept, and goes when there is room. */
static void full_ring_loses_no_record(void **state)
{
	(void)state;
	meet();
	for (unsigned i = 0; i < 2 * SLOTS; i++) {
		lie();
		metal_shm_device_dispatch(dsp);
	}
	assert_int_equal(info().faults, 2 * SLOTS);
	firmware_run(&firmware);
	assert_true(firmware.session.refusals < 2 * SLOTS);
	while (firmware.session.refusals < 2 * SLOTS) {
		wait_event();
		firmware.log[0] = '\0';
		firmware_run(&firmware);
	}
	firmware.log[0] = '\0';
	hand_over_and_back();
}

/* The descriptors of the first one close, and that is all that it says. */
static void next_program_goes_on_where_one_was_killed(void **state)
{
	struct metal_device *first;

	(void)state;
	meet();
	for (unsigned i = 0; i < SLOTS + 1; i++) {
		ok(metal_shm_rproc_send(dsp, "a", 1));
		firmware_run(&firmware);
		firmware.log[0] = '\0';
		metal_shm_device_dispatch(dsp);
	}
	ok(metal_shm_rproc_send(dsp, "left behind", 11));
	first = dsp;
	ok(metal_shm_rproc_open("dsp", &dsp));
	ok(metal_shm_rproc_set_rings(dsp, &rings));
	fails(metal_shm_rproc_connect(dsp, 0), ETIMEDOUT, "doesn't answer");
	firmware_run(&firmware);
	assert_string_equal(firmware.log, "MU");
	firmware.log[0] = '\0';
	ok(metal_shm_rproc_connect(dsp, 0));
	hand_over_and_back();
	metal_shm_device_close(first);
}

static void broken_rings_are_mended_by_a_stop(void **state)
{
	struct metal_generic_shm *view, *shm;

	(void)state;
	meet();
	shm = shared(&view);
	ok(metal_shm_sync_for_device(shm, dsp, RW));
	bytes[rings.from_core + 64 + 2] = 0xff; /* so many records it never put */
	metal_shm_device_dispatch(dsp);
	assert_int_equal(info().version, 0);
	assert_int_equal(info().lost, 1);
	fails(metal_shm_rproc_connect(dsp, 0), EPIPE, "rings are broken");
	ok(metal_shm_rproc_stop(dsp));
	fails(metal_shm_sync_for_cpu_timeout(shm, RW, 0), EIO, "");
	drop(shm, view);
	ok(metal_shm_rproc_start(dsp, NULL, 0));
	start_firmware();
	fails(metal_shm_rproc_connect(dsp, 0), ETIMEDOUT, "doesn't answer");
	firmware_run(&firmware);
	ok(metal_shm_rproc_connect(dsp, 0));
	firmware.log[0] = '\0';
	hand_over_and_back();
}

static void connecting_waits_for_a_core_that_runs(void **state)
{
	(void)state;
	ok(metal_shm_rproc_set_rings(dsp, &rings));
	fails(metal_shm_rproc_connect(dsp, 0), ENOTCONN, "start it");
	assert_int_equal(kicks, 0);
}

static void refused(int error, const char *word)
{
	fails(metal_shm_rproc_set_rings(dsp, &rings), error, word);
}

static void rings_that_cant_be_are_refused(void **state)
{
	struct metal_shm_rproc_rings good = rings;

	(void)state;
	assert_int_equal(metal_shm_rproc_ring_size(3), 0);
	assert_int_equal(metal_shm_rproc_set_rings(memory, &rings), -EINVAL);
	rings.struct_size--;
	refused(EINVAL, "struct_size");
	rings = good;
	rings.slots = 3;
	refused(EINVAL, "power of two");
	rings = good;
	rings.look_ns = -1;
	refused(EINVAL, "negative");
	rings = good;
	rings.shm = NULL;
	assert_int_equal(metal_shm_rproc_set_rings(dsp, &rings), -EINVAL);
	rings = good;
	rings.from_core = 8192 - metal_shm_rproc_ring_size(SLOTS) + 64;
	refused(ERANGE, "bytes");
	rings.from_core = SIZE_MAX;
	refused(ERANGE, "bytes");
	rings.from_core = good.to_core + 64;
	refused(EINVAL, "overlap");
	rings = good;
	rings.to_core = AT - 8;
	refused(EINVAL, "64");
	rings = good;
	fake->flags = 0;
	metal_shm_device_close(dsp);
	ok(metal_shm_rproc_open("dsp", &dsp));
	refused(ENOTSUP, "coherent");
}

static void connected_core_keeps_its_channel(void **state)
{
	(void)state;
	meet();
	refused(EBUSY, "connected already");
	hand_over_and_back();
}

static void rpmsg_is_spoken_again_without_rings(void **state)
{
	(void)state;
	ok(metal_shm_rproc_set_rings(dsp, &rings));
	ok(metal_shm_rproc_set_rings(dsp, NULL));
	fake->silent = false;
	ok(metal_shm_rproc_start(dsp, NULL, 0));
	connect_with(8);
	assert_int_equal(kicks, 0);
}

#define RINGS_CASE(name) cmocka_unit_test_setup_teardown(name, begin_rings, end_rings)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		RINGS_CASE(rings_carry_what_rpmsg_would),
		RINGS_CASE(each_record_rings_the_firmwares_bell),
		RINGS_CASE(bell_wakes_who_waits_and_is_silent_then),
		RINGS_CASE(program_looks_by_itself_where_nothing_rings),
		RINGS_CASE(full_ring_loses_no_record),
		RINGS_CASE(next_program_goes_on_where_one_was_killed),
		RINGS_CASE(broken_rings_are_mended_by_a_stop),
		RINGS_CASE(connecting_waits_for_a_core_that_runs),
		RINGS_CASE(rings_that_cant_be_are_refused),
		RINGS_CASE(connected_core_keeps_its_channel),
		RINGS_CASE(rpmsg_is_spoken_again_without_rings),
	};

	return rproc_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
