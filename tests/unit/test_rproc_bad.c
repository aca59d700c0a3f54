/* SPDX-License-Identifier: BSD-3-Clause */
/* Firmwares that lie, flood, hang, begin anew, and cores that stop. */
#include "rproc_bench.h"

static void record_by_hand(enum shm__record_type type, uint32_t id, uint32_t generation,
			   uint64_t offset, uint64_t length)
{
	struct shm__record record = {
		.type = type,
		.session = firmware.session.other,
		.number = ++firmware.session.sent,
		.limit = firmware.session.granted,
		.range = { .id = id, .generation = generation, .offset = offset, .length = length },
	};
	struct shm__out out;

	out.size = shm__record_encode(&record, out.data);
	assert_true(out.size);
	firmware_post(&firmware, &out);
	metal_shm_device_dispatch(dsp);
	firmware_run(&firmware);
}

static void lies_change_nothing_and_are_counted(void **state)
{
	static const uint8_t noise[] = "no record at all, but bytes";
	struct metal_generic_shm *shm, *view;
	uint32_t faults = 0;

	(void)state;
	connect_with(64);
	shm = shared(&view);
	ok(metal_shm_sync_for_device(shm, dsp, RW));
	firmware_run(&firmware);
	record_by_hand(SHM__RECORD_RETURN, 9, 1, 0, SIZE);
	assert_int_equal(firmware.error.code, SHM__CODE_UNKNOWN);
	record_by_hand(SHM__RECORD_RETURN, 1, 2, 0, SIZE);
	assert_int_equal(firmware.error.code, SHM__CODE_STALE);
	record_by_hand(SHM__RECORD_RETURN, 1, 1, 0, SIZE + 1);
	assert_int_equal(firmware.error.code, SHM__CODE_NOT_HELD);
	record_by_hand(SHM__RECORD_RETURN, 1, 1, 4096, 4096);
	assert_int_equal(firmware.error.code, SHM__CODE_NOT_HELD);
	record_by_hand(SHM__RECORD_UNSHARED, 2, 1, 0, SIZE);
	faults = info().faults;
	assert_in_range(faults, 4, 5);
	assert_int_equal(send(firmware.fd, noise, sizeof(noise), 0), sizeof(noise));
	metal_shm_device_dispatch(dsp);
	assert_true(info().faults + info().stale > faults);
	fails(metal_shm_sync_for_cpu_timeout(shm, RW, 0), ETIMEDOUT, "still has");
	firmware_return(&firmware, SHM__CODE_OK);
	ok(metal_shm_sync_for_cpu_timeout(shm, RW, 0));
	end_share(shm, view);
}

static void buffer_that_the_firmware_refuses_is_told_at_the_hand_over(void **state)
{
	struct metal_generic_shm *shm, *view;
	struct shm__event event = { .kind = SHM__EVENT_SHARED };
	struct shm__out out;

	(void)state;
	connect_with(8);
	shm = shared(&view);
	event.share = &firmware.shares[firmware.share.id - 1];
	event.record = (struct shm__record){ .type = SHM__RECORD_SHARE, .share = firmware.share };
	event.record.number = event.share->number;
	shm__session_reject(&firmware.session, &event, SHM__CODE_MEMORY, &out);
	firmware_post(&firmware, &out);
	metal_shm_device_dispatch(dsp);
	fails(metal_shm_sync_for_device(shm, dsp, RW), EIO, "refused the buffer");
	drop(shm, view);
	assert_int_equal(fake->unshared, 1);
	assert_int_equal(info().refusals, 1);
}

static void silent_firmware_loses_its_credit_and_keeps_the_bytes(void **state)
{
	struct metal_generic_shm *shm, *view;

	(void)state;
	connect_with(8);
	ok(metal_shm_rproc_set_patience(dsp, 0));
	shm = shared(&view);
	ok(metal_shm_sync_for_device(shm, dsp, RW));
	fails(metal_shm_sync_for_cpu(shm, RW), ETIMEDOUT, "it is lost until");
	fails(metal_shm_sync_for_cpu_timeout(shm, RW, 0), ETIMEDOUT, "it is lost until");
	assert_int_equal(info().lost, 1);
	firmware_run(&firmware);
	assert_string_equal(firmware.log, "SGC");
	/* it answers after all */
	firmware_return(&firmware, SHM__CODE_OK);
	metal_shm_device_dispatch(dsp);
	ok(metal_shm_sync_for_cpu_timeout(shm, RW, 0));
	assert_int_equal(info().lost, 0);
	end_share(shm, view);
}

static void stop(void)
{
	ok(metal_shm_rproc_stop(dsp));
	fake_rproc_hang_up();
}

static void stopped_cores_bytes_are_the_programs_with_an_error(void **state)
{
	struct metal_generic_shm *shm, *view, *idle, *idle_view;

	(void)state;
	connect_with(8);
	shm = shared(&view);
	idle = shared(&idle_view);
	ok(metal_shm_sync_for_device(shm, dsp, RW));
	stop();
	fails(metal_shm_sync_for_cpu_timeout(shm, RW, 10 * SECOND), EIO, "failed");
	ok(metal_shm_sync_for_cpu_timeout(shm, RW, 0));
	assert_int_equal(info().stops, 1);
	fails(metal_shm_sync_for_device(shm, dsp, RW), ENODEV, "was stopped since");
	fails(metal_shm_sync_for_device(idle, dsp, RW), ENODEV, "was stopped since");
	fails(metal_shm_rproc_connect(dsp, 0), ENOTCONN, "is offline: start it");
	drop(shm, view);
	drop(idle, idle_view);
	assert_int_equal(fake->attached, 0);
}

static void program_goes_on_with_a_core_that_was_started_again(void **state)
{
	struct metal_generic_shm *shm, *view;

	(void)state;
	connect_with(8);
	shm = shared(&view);
	ok(metal_shm_sync_for_device(shm, dsp, RW));
	stop();
	ok(metal_shm_rproc_start(dsp, NULL, 0));
	fails(metal_shm_sync_for_cpu_timeout(shm, RW, 10 * SECOND), EIO, "failed");
	fails(metal_shm_rproc_share(dsp, shm, RW, NULL), ENODEV, "was stopped since");
	metal_shm_detach(view, dsp);
	fails(metal_shm_rproc_connect(dsp, 0), ETIMEDOUT, "doesn't answer");
	firmware_begin(&firmware, 8, 8);
	firmware_run(&firmware);
	ok(metal_shm_rproc_connect(dsp, 0));
	view = metal_shm_attach(shm, dsp);
	ok(metal_shm_rproc_share(dsp, shm, RW, NULL));
	ok(metal_shm_sync_for_device(shm, dsp, RW));
	firmware_run(&firmware);
	firmware_return(&firmware, SHM__CODE_OK);
	ok(metal_shm_sync_for_cpu_timeout(shm, RW, 0));
	end_share(shm, view);
}

static void channel_that_goes_is_no_proof_that_the_core_stopped(void **state)
{
	struct metal_generic_shm *shm, *view;

	(void)state;
	connect_with(8);
	ok(metal_shm_rproc_set_patience(dsp, 0));
	shm = shared(&view);
	ok(metal_shm_sync_for_device(shm, dsp, RW));
	fake_rproc_hang_up();
	fails(metal_shm_sync_for_cpu_timeout(shm, RW, 10 * SECOND), ETIMEDOUT, "it is lost");
	/* nor is one that comes back */
	fails(metal_shm_rproc_connect(dsp, 0), ETIMEDOUT, "doesn't answer");
	fails(metal_shm_sync_for_cpu_timeout(shm, RW, 10 * SECOND), ETIMEDOUT, "it is lost");
	firmware_begin(&firmware, 8, 8);
	firmware_run(&firmware);
	ok(metal_shm_rproc_connect(dsp, 0));
	fails(metal_shm_rproc_share(dsp, shm, RW, NULL), EBUSY, "is lost");
	assert_int_equal(info().lost, 1);
	drop(shm, view);
	assert_int_equal(fake->attached, 1);
	stop();
	while (fake->attached)
		wait_event();
	assert_int_equal(fake->held, 0);
}

static void firmware_that_begins_anew_keeps_what_it_had(void **state)
{
	struct metal_generic_shm *shm, *view;
	struct shm__out out;

	(void)state;
	connect_with(8);
	ok(metal_shm_rproc_set_patience(dsp, 0));
	shm = shared(&view);
	ok(metal_shm_sync_for_device(shm, dsp, RW));
	firmware_run(&firmware);
	shm__session_begin(&firmware.session, 99, &out);
	firmware_post(&firmware, &out);
	metal_shm_device_dispatch(dsp);
	fails(metal_shm_sync_for_cpu(shm, RW), ETIMEDOUT, "it is lost");
	stop();
	fails(metal_shm_sync_for_cpu_timeout(shm, RW, 0) == -ETIMEDOUT
		      ? (wait_event(), wait_event(), metal_shm_sync_for_cpu_timeout(shm, RW, 0))
		      : -EIO,
	      EIO, "");
	drop(shm, view);
}

/* A table of its segments is attached by the library itself, which has to end that. */
static void device_ends_with_memory_that_a_silent_firmware_had(void **state)
{
	struct metal_device *own = dsp;
	struct metal_generic_shm *shm, *view;

	(void)state;
	ok(metal_shm_rproc_stop(dsp));
	ok(metal_shm_rproc_start(dsp, NULL, METAL_SHM_RPROC_STOP_WITH_US));
	connect_with(8);
	fake->pieces = 32;
	shm = attached(&view);
	fake->pieces = 1;
	ok(metal_shm_rproc_share(dsp, shm, RW, NULL));
	drop(shm, view);
	assert_int_equal(fake->attached, 2);
	fake->stops_at_close = true;
	dsp = NULL;
	ok(metal_shm_rproc_open("dsp", &dsp));
	metal_shm_device_close(own);
	assert_int_equal(fake->attached, 0);
	assert_int_equal(fake->held, 0);
}

static void flood_of_messages_is_told_once(void **state)
{
	struct shm__out out;
	char text[16];

	(void)state;
	connect_with(64);
	for (unsigned i = 0; i < 70; i++) {
		if (shm__session_send(&firmware.session, &i, sizeof(i), &out) == SHM__CODE_AGAIN) {
			metal_shm_device_dispatch(dsp);
			firmware_run(&firmware);
			shm__session_send(&firmware.session, &i, sizeof(i), &out);
		}
		firmware_post(&firmware, &out);
	}
	metal_shm_device_dispatch(dsp);
	fails(metal_shm_rproc_receive(dsp, text, sizeof(text), 0), EOVERFLOW, "6 messages");
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(metal_shm_rproc_receive(dsp, text, sizeof(text), 0), sizeof(i));
	fails(metal_shm_rproc_receive(dsp, text, sizeof(text), 0), ETIMEDOUT, "no message");
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		RPROC_CASE(lies_change_nothing_and_are_counted),
		RPROC_CASE(buffer_that_the_firmware_refuses_is_told_at_the_hand_over),
		RPROC_CASE(silent_firmware_loses_its_credit_and_keeps_the_bytes),
		RPROC_CASE(stopped_cores_bytes_are_the_programs_with_an_error),
		RPROC_CASE(program_goes_on_with_a_core_that_was_started_again),
		RPROC_CASE(channel_that_goes_is_no_proof_that_the_core_stopped),
		RPROC_CASE(firmware_that_begins_anew_keeps_what_it_had),
		RPROC_CASE(device_ends_with_memory_that_a_silent_firmware_had),
		RPROC_CASE(flood_of_messages_is_told_once),
	};

	return rproc_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
