/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that is shared with a firmware, given and taken back; its requests and messages. */
#include "rproc_bench.h"

static void buffer_has_the_addresses_of_its_bytes(void **state)
{
	struct metal_generic_shm *shm, *view, *part, *part_view;
	const struct metal_shm_segment *segments;
	uint64_t address;
	size_t n;

	(void)state;
	shm = attached(&view);
	ok(metal_shm_device_address(view, &address));
	assert_int_equal(address, 0x80000000);
	drop(shm, view);
	fake->pieces = 16;
	shm = attached(&view);
	/* from the middle of the second piece to the middle of the fourth */
	part = metal_shm_sub(shm, 6144, 8192, METAL_SHM_SUB_NO_COPY);
	part_view = metal_shm_attach(part, dsp);
	ok(metal_shm_segments(part_view, &segments, &n));
	assert_int_equal(n, 3);
	assert_int_equal(segments[0].device_address, 0x80002800);
	assert_int_equal(segments[0].length, 2048);
	assert_int_equal(segments[1].device_address, 0x80004000);
	assert_int_equal(segments[1].length, 4096);
	assert_int_equal(segments[2].device_address, 0x80006000);
	assert_int_equal(segments[2].length, 2048);
	drop(part, part_view);
	drop(shm, view);
	assert_int_equal(fake->attached, 0);
	assert_int_equal(fake->unshared, 3);
}

static void refusal_lists_what_was_tried(void **state)
{
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, memory, 0);

	(void)state;
	fake_rproc_remove("/dev/shm_importer");
	assert_null(metal_shm_attach(shm, dsp));
	fails(-errno, ENOTSUP, "the module shm_importer is not loaded");
	fake_rproc_file("/dev/shm_importer", "");
	fake->attach_error = ERANGE;
	assert_null(metal_shm_attach(shm, dsp));
	fails(-errno, ERANGE, "reaches addresses up to 0xffffffff alone");
	fake->attach_error = EHOSTDOWN;
	assert_null(metal_shm_attach(shm, dsp));
	fails(-errno, ENOTCONN, "doesn't run");
	metal_shm_free(shm, NULL);
}

static void given_bytes_are_the_firmwares_until_it_returns_them(void **state)
{
	struct metal_generic_shm *shm, *view;
	uint32_t id = 0, again = 0;

	(void)state;
	connect_with(8);
	shm = attached(&view);
	fails(metal_shm_sync_for_device(shm, dsp, RW), ENOTCONN,
	      "metal_shm_rproc_share() it first");
	ok(metal_shm_rproc_share(dsp, shm, RW, &id));
	ok(metal_shm_rproc_share(dsp, shm, RW, &again));
	assert_int_equal(id, again);
	fails(metal_shm_rproc_share(dsp, shm, METAL_SHM_DIR_DEV_R, &id), EBUSY,
	      "another direction");
	ok(metal_shm_sync_for_device(shm, dsp, METAL_SHM_DIR_DEV_W));
	firmware_run(&firmware);
	assert_string_equal(firmware.log, "SG");
	assert_int_equal(firmware.share.id, id);
	assert_int_equal(firmware.share.size, SIZE);
	assert_int_equal(firmware.share.segment[0].address, 0x80000000);
	assert_int_equal(firmware.range.length, SIZE);
	assert_int_equal(firmware.range.dir, SHM__WIRE_WRITES);
	fails(metal_shm_sync_for_device(shm, dsp, RW), EBUSY, "has the buffer already");
	fails(metal_shm_sync_for_cpu_timeout(shm, RW, 0), ETIMEDOUT, "still has the buffer");
	assert_int_equal(info().given, 1);
	firmware_return(&firmware, SHM__CODE_OK);
	ok(metal_shm_sync_for_cpu_timeout(shm, RW, 0));
	assert_int_equal(info().given, 0);
	end_share(shm, view);
	assert_string_equal(firmware.log, "SGX");
	assert_int_equal(fake->attached, 0);
	assert_int_equal(fake->unshared, 1);
}

static void failed_work_is_told_to_the_next_owner_once(void **state)
{
	struct metal_generic_shm *shm, *view;

	(void)state;
	connect_with(8);
	shm = shared(&view);
	ok(metal_shm_sync_for_device(shm, dsp, RW));
	firmware_run(&firmware);
	firmware_return(&firmware, SHM__CODE_FAILED);
	fails(metal_shm_sync_for_cpu_timeout(shm, RW, 0), EIO, "rproc:remoteproc0 failed");
	ok(metal_shm_sync_for_cpu_timeout(shm, RW, 0));
	end_share(shm, view);
}

static void gives_wait_for_leave_to_be_sent(void **state)
{
	struct metal_generic_shm *shm[3], *view[3];
	struct shm__out out;

	(void)state;
	connect_with(4);
	for (unsigned i = 0; i < 3; i++)
		shm[i] = shared(&view[i]);
	metal_shm_device_dispatch(dsp); /* credit for more */
	firmware.log[0] = '\0';
	for (unsigned i = 0; i < 3; i++)
		ok(metal_shm_sync_for_device(shm[i], dsp, RW));
	for (unsigned i = 0; i < 3; i++) {
		firmware_run(&firmware);
		metal_shm_device_dispatch(dsp);
	}
	assert_string_equal(firmware.log, "GGG");
	for (uint32_t id = 1; id <= 3; id++) {
		assert_int_equal(
			shm__session_return(&firmware.session, id, 0, SIZE, SHM__CODE_OK, &out),
			SHM__CODE_OK);
		firmware_post(&firmware, &out);
	}
	for (unsigned i = 0; i < 3; i++)
		ok(metal_shm_sync_for_cpu_timeout(shm[i], RW, 0));
	for (unsigned i = 0; i < 3; i++)
		drop(shm[i], view[i]);
	for (unsigned i = 0; i < 4; i++) {
		firmware_run(&firmware);
		metal_shm_device_dispatch(dsp);
	}
	for (uint32_t id = 1; id <= 3; id++)
		firmware_unshared(&firmware, id);
	metal_shm_device_dispatch(dsp);
	assert_int_equal(fake->unshared, 3);
}

static void more_pieces_than_a_record_has_are_told_by_a_table(void **state)
{
	struct metal_generic_shm *shm, *view;

	(void)state;
	connect_with(8);
	fake->pieces = 32;
	shm = attached(&view);
	fake->pieces = 1; /* the table's */
	ok(metal_shm_rproc_share(dsp, shm, RW, NULL));
	firmware_run(&firmware);
	assert_int_equal(firmware.share.flags, SHM__SHARE_TABLE);
	assert_int_equal(firmware.share.segments, 32);
	assert_int_equal(firmware.share.segment[0].length, 32 * SHM__SEGMENT_SIZE);
	assert_int_equal(fake->attached, 2);
	end_share(shm, view);
	assert_int_equal(fake->attached, 0);
}

static int grant(void *user, uint64_t size, metal_shm_type type, struct metal_generic_shm **ret)
{
	struct metal_generic_shm **keep = user;

	(void)type;
	if (size > SIZE)
		return -ENOMEM;
	/* one that doesn't know what it does */
	if (size == SIZE) {
		*ret = metal_shm_allocate(4096, memory, 0);
		return 0;
	}
	*ret = metal_shm_allocate(size, memory, 0);
	*keep = metal_shm_ref(*ret);
	return 0;
}

static void memory_that_the_firmware_asks_for_is_shared_and_given(void **state)
{
	struct metal_generic_shm *granted = NULL;
	struct shm__out out;
	uint32_t tag = 0, id;

	(void)state;
	connect_with(8);
	shm__session_request(&firmware.session, SIZE, 0, &tag, &out);
	firmware_post(&firmware, &out);
	metal_shm_device_dispatch(dsp);
	firmware_run(&firmware);
	assert_string_equal(firmware.log, "N");
	assert_int_equal(firmware.refused, SHM__CODE_REFUSED);
	ok(metal_shm_rproc_on_request(dsp, grant, &granted));
	shm__session_request(&firmware.session, SIZE + 1, 0, &tag, &out);
	firmware_post(&firmware, &out);
	metal_shm_device_dispatch(dsp);
	firmware_run(&firmware);
	assert_int_equal(firmware.refused, SHM__CODE_NO_MEMORY);
	shm__session_request(&firmware.session, SIZE, 0, &tag, &out);
	firmware_post(&firmware, &out);
	metal_shm_device_dispatch(dsp);
	firmware_run(&firmware);
	assert_string_equal(firmware.log, "NNN");
	shm__session_request(&firmware.session, 4096, 0, &tag, &out);
	firmware_post(&firmware, &out);
	metal_shm_device_dispatch(dsp);
	firmware_run(&firmware);
	assert_string_equal(firmware.log, "NNNSG");
	assert_int_equal(firmware.share.tag, tag);
	assert_int_equal(firmware.share.size, 4096);
	id = firmware.share.id;
	fails(metal_shm_sync_for_cpu_timeout(granted, RW, 0), ETIMEDOUT, "still has");
	firmware_return(&firmware, SHM__CODE_OK);
	ok(metal_shm_sync_for_cpu_timeout(granted, RW, 0));
	firmware_unshared(&firmware, id);
	metal_shm_device_dispatch(dsp);
	assert_int_equal(fake->attached, 0);
	metal_shm_free(granted, NULL);
}

static void messages_go_both_ways_in_order(void **state)
{
	struct shm__out out;
	char text[16] = "";

	(void)state;
	connect_with(64);
	ok(metal_shm_rproc_send(dsp, "to", 2));
	firmware_run(&firmware);
	assert_string_equal(firmware.log, "M");
	fails(metal_shm_rproc_receive(dsp, text, sizeof(text), 0), ETIMEDOUT, "no message");
	shm__session_send(&firmware.session, "first", 5, &out);
	firmware_post(&firmware, &out);
	shm__session_send(&firmware.session, "second", 6, &out);
	firmware_post(&firmware, &out);
	fails(metal_shm_rproc_receive(dsp, text, 4, 0), EMSGSIZE, "has 5 bytes, not 4");
	assert_int_equal(metal_shm_rproc_receive(dsp, text, sizeof(text), 0), 5);
	assert_memory_equal(text, "first", 5);
	assert_int_equal(metal_shm_rproc_receive(dsp, text, sizeof(text), 0), 6);
	assert_memory_equal(text, "second", 6);
	fails(metal_shm_rproc_send(dsp, text, 473), EMSGSIZE, "at most 472");
	fails(metal_shm_rproc_send(dsp, text, 0), EINVAL, "no bytes");
}

static void channel_is_the_services_and_one_programs_at_a_time(void **state)
{
	struct metal_device *other;

	(void)state;
	connect_with(8);
	assert_int_equal(fake->made, 1);
	assert_int_equal(fake->destination, 1024);
	ok(metal_shm_rproc_open("dsp", &other));
	fails(metal_shm_rproc_connect(other, 0), EBUSY, "is taken by another program");
	metal_shm_device_close(dsp);
	fails(metal_shm_rproc_connect(other, 0), ETIMEDOUT, "doesn't answer");
	assert_int_equal(fake->made, 1);
	dsp = other;
}

static void core_without_the_service_is_told_so(void **state)
{
	(void)state;
	ok(metal_shm_rproc_stop(dsp));
	fails(metal_shm_rproc_connect(dsp, SECOND), ENOTCONN, "remoteproc0 is offline: start it");
	fake->silent = true;
	ok(metal_shm_rproc_start(dsp, NULL, 0));
	fails(metal_shm_rproc_connect(dsp, 0), ETIMEDOUT, "announced no service 'libshm'");
	fake_rproc_announce("remoteproc0", 0, "libshm", 1030);
	fake->create_error = ENODEV;
	fails(metal_shm_rproc_connect(dsp, 0), ENODEV, "RPMSG_CREATE_EPT_IOCTL");
	fake->create_error = 0;
	fake->endpoint_error = EBUSY;
	fails(metal_shm_rproc_connect(dsp, 0), EBUSY, "/dev/rpmsg1");
	fails(metal_shm_rproc_connect(dsp, 0), EBUSY, "another program has /dev/rpmsg1");
	fake->endpoint_error = 0;
	fails(metal_shm_rproc_connect(dsp, 0), ETIMEDOUT, "doesn't answer");
	assert_int_equal(fake->made, 1); /* what was left of the failed try */
}

static void memory_for_reading_is_shared_for_reading(void **state)
{
	struct metal_generic_shm *shm, *view;

	(void)state;
	connect_with(8);
	fake->reads_only = true;
	shm = attached(&view);
	fails(metal_shm_rproc_share(dsp, shm, RW, NULL), EACCES, "for reading only");
	ok(metal_shm_rproc_share(dsp, shm, METAL_SHM_DIR_DEV_R, NULL));
	firmware_run(&firmware);
	fails(metal_shm_sync_for_device(shm, dsp, RW), EACCES, "for less than");
	end_share(shm, view);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		RPROC_CASE(buffer_has_the_addresses_of_its_bytes),
		RPROC_CASE(refusal_lists_what_was_tried),
		RPROC_CASE(given_bytes_are_the_firmwares_until_it_returns_them),
		RPROC_CASE(failed_work_is_told_to_the_next_owner_once),
		RPROC_CASE(gives_wait_for_leave_to_be_sent),
		RPROC_CASE(more_pieces_than_a_record_has_are_told_by_a_table),
		RPROC_CASE(memory_that_the_firmware_asks_for_is_shared_and_given),
		RPROC_CASE(messages_go_both_ways_in_order),
		RPROC_CASE(channel_is_the_services_and_one_programs_at_a_time),
		RPROC_CASE(core_without_the_service_is_told_so),
		RPROC_CASE(memory_for_reading_is_shared_for_reading),
	};

	return rproc_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
