/* SPDX-License-Identifier: BSD-3-Clause */
/* What a host shares with a firmware: taken in place, returned, refused, void. Runs here and on RISC-V. */
#include "firmware_bench.h"

static const uint32_t both = SHM__WIRE_READS | SHM__WIRE_WRITES;

static void what_is_given_is_worked_on_in_place(void **state)
{
	uint8_t *bytes;
	uint32_t id, named = 0;

	(void)state;
	meet();
	id = share(PAGE, PAGE);
	assert_int_equal(told.shared, 1);
	assert_int_equal(told.dir, METAL_SHM_DIR_DEV_RW);
	assert_int_equal(metal_shm_size(told.shm), PAGE);
	give(id, 0, PAGE, both);
	assert_int_equal(told.given, 1);
	assert_ptr_equal(told.part, told.shm);
	assert_int_equal(metal_shm_host_id(told.part, host, &named), 0);
	assert_int_equal(named, id);
	bytes = metal_shm_map(told.part, METAL_SHM_READ | METAL_SHM_WRITE);
	assert_ptr_equal(bytes, arena + PAGE);
	call_count = 0;
	assert_int_equal(metal_shm_sync_for_cpu(told.part, METAL_SHM_DIR_DEV_RW), 0);
	assert_int_equal(call_count, 1);
	assert_int_equal(calls[0].what, 'i');
	assert_int_equal(calls[0].address, (uintptr_t)arena + PAGE);
	assert_int_equal(calls[0].length, PAGE);
	bytes[3] = 5;
	kicks = 0;
	assert_int_equal(metal_shm_sync_for_device(told.part, host, METAL_SHM_DIR_DEV_RW), 0);
	assert_int_equal(call_count, 2);
	assert_int_equal(calls[1].what, 'c');
	assert_int_equal(kicks, 1);
	listen();
	assert_int_equal(last.kind, SHM__EVENT_RETURNED);
	assert_int_equal(last.code, SHM__CODE_OK);
	assert_int_equal(far_shares[id - 1].gives_count, 0);
	part_ways();
}

static void bytes_that_were_not_given_are_waited_for(void **state)
{
	uint32_t id;

	(void)state;
	meet();
	id = share(0, PAGE);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(told.shm, METAL_SHM_DIR_DEV_RW, 5000),
			 -ETIMEDOUT);
	assert_int_equal(metal_shm_sync_for_device(told.shm, host, METAL_SHM_DIR_DEV_RW), -EINVAL);
	give(id, 0, PAGE, both);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(told.shm, METAL_SHM_DIR_DEV_RW, 0), 0);
	assert_int_equal(metal_shm_sync_for_device(told.shm, host, METAL_SHM_DIR_DEV_RW), 0);
	/* and again, once it is away */
	assert_int_equal(metal_shm_sync_for_cpu_timeout(told.shm, METAL_SHM_DIR_DEV_RW, 0),
			 -ETIMEDOUT);
	assert_int_equal(metal_shm_sync_for_device(told.shm, host, METAL_SHM_DIR_DEV_RW), -EINVAL);
	part_ways();
}

static void a_part_is_given_and_the_rest_is_not(void **state)
{
	struct metal_generic_shm *rest;
	uint32_t id;

	(void)state;
	meet();
	id = share(0, PAGE);
	give(id, 1024, 512, both);
	assert_int_equal(told.given, 1);
	assert_int_equal(metal_shm_size(told.part), 512);
	assert_ptr_equal(metal_shm_map(told.part, METAL_SHM_WRITE), arena + 1024);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(told.part, METAL_SHM_DIR_DEV_RW, 0), 0);
	rest = metal_shm_sub(told.shm, 0, 1024, 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(rest, METAL_SHM_DIR_DEV_RW, 0), -ETIMEDOUT);
	metal_shm_free(rest, NULL);
	rest = metal_shm_sub(told.shm, 1536, 64, 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(rest, METAL_SHM_DIR_DEV_RW, 0), -ETIMEDOUT);
	metal_shm_free(rest, NULL);
	/* another one beside it, and both come back */
	give(id, 1536, 64, both);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(told.part, METAL_SHM_DIR_DEV_RW, 0), 0);
	assert_int_equal(metal_shm_sync_for_device(told.part, host, METAL_SHM_DIR_DEV_RW), 0);
	talk();
	assert_int_equal(last.record.range.offset, 1536);
	assert_int_equal(last.record.range.length, 64);
	part_ways();
}

static void what_the_host_goes_on_to_read_is_only_read(void **state)
{
	uint32_t id;

	(void)state;
	meet();
	id = share(0, PAGE);
	give(id, 0, PAGE, SHM__WIRE_READS);
	assert_int_equal(told.dir, METAL_SHM_DIR_DEV_R);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(told.part, METAL_SHM_DIR_DEV_W, 0), 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(told.part, METAL_SHM_DIR_DEV_RW, 0),
			 -ETIMEDOUT);
	assert_int_equal(metal_shm_sync_for_device(told.part, host, METAL_SHM_DIR_DEV_R), 0);
	talk();
	assert_int_equal(last.kind, SHM__EVENT_RETURNED);
	give(id, 0, PAGE, both);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(told.part, METAL_SHM_DIR_DEV_RW, 0), 0);
	part_ways();
}

static void memory_out_of_reach_is_refused(void **state)
{
	const struct shm__wire_segment bad[] = {
		{ (uintptr_t)arena - PAGE, PAGE },
		{ (uintptr_t)arena + sizeof(arena) - PAGE, 2 * PAGE },
		{ UINT64_MAX - PAGE, PAGE },
		{ (uintptr_t)arena + 8, PAGE }, /* not whole lines */
		{ (uintptr_t)arena, PAGE - 8 },
	};

	(void)state;
	meet();
	for (size_t i = 0; i < SHM_TEST_COUNT(bad); i++) {
		const struct shm__wire_share what = {
			.size = bad[i].length, .dir = both, .segments = 1, .segment = { bad[i] }
		};

		last.kind = SHM__EVENT_NONE;
		share_segments(&what);
		assert_int_equal(told.shared, 0);
		assert_int_equal(last.kind, SHM__EVENT_UNSHARED);
		assert_int_equal(last.code, SHM__CODE_MEMORY);
	}
	part_ways();
}

static void a_table_of_segments_is_checked(void **state)
{
	struct shm__wire_share what = { .size = 20 * 64,
					.dir = both,
					.flags = SHM__SHARE_TABLE,
					.segments = 20,
					.segment = { { (uintptr_t)arena + 2 * PAGE, 20 * 16 } } };
	const struct metal_shm_segment *segments;
	size_t n;

	(void)state;
	meet();
	for (unsigned i = 0; i < 20; i++) {
		struct shm__wire_segment segment = { (uintptr_t)arena + 128 * i, 64 };

		shm__segment_encode(&segment, arena + 2 * PAGE + 16 * i);
	}
	share_segments(&what);
	assert_int_equal(told.shared, 1);
	assert_null(metal_shm_map(told.shm, METAL_SHM_READ));
	assert_int_equal(errno, ENOTSUP);
	assert_int_equal(metal_shm_segments(metal_shm_view(told.shm, host), &segments, &n), 0);
	assert_int_equal(n, 20);
	assert_int_equal(segments[19].device_address, (uintptr_t)arena + 128 * 19);
	/* one of them too long for the whole, one too short, the table itself elsewhere */
	arena[2 * PAGE + 8] = 128;
	share_segments(&what);
	assert_int_equal(last.code, SHM__CODE_MEMORY);
	arena[2 * PAGE + 8] = 64;
	what.size = 21 * 64;
	share_segments(&what);
	assert_int_equal(last.code, SHM__CODE_MEMORY);
	what.size = 20 * 64;
	what.segment[0].address = (uintptr_t)told.message;
	share_segments(&what);
	assert_int_equal(last.code, SHM__CODE_MEMORY);
	assert_int_equal(told.shared, 1);
	part_ways();
}

static void each_piece_of_scattered_memory_is_synced(void **state)
{
	const struct shm__wire_share what = {
		.size = 3 * PAGE,
		.dir = both,
		.segments = 2,
		.segment = { { (uintptr_t)arena + 2 * PAGE, PAGE },
			     { (uintptr_t)arena, 2 * PAGE } },
	};
	uint32_t id;

	(void)state;
	meet();
	id = share_segments(&what);
	give(id, PAGE / 2, PAGE, both);
	call_count = 0;
	assert_int_equal(metal_shm_sync_for_cpu(told.part, METAL_SHM_DIR_DEV_RW), 0);
	assert_int_equal(call_count, 2);
	assert_int_equal(calls[0].address, (uintptr_t)arena + 2 * PAGE + PAGE / 2);
	assert_int_equal(calls[0].length, PAGE / 2);
	assert_int_equal(calls[1].address, (uintptr_t)arena);
	assert_int_equal(calls[1].length, PAGE / 2);
	part_ways();
}

static void the_firmware_may_refuse(void **state)
{
	uint32_t id;

	(void)state;
	meet();
	told.refuse = -ENOMEM;
	id = share(0, PAGE);
	assert_int_equal(last.kind, SHM__EVENT_UNSHARED);
	assert_int_equal(last.code, SHM__CODE_REFUSED);
	assert_int_equal(far_shares[id - 1].state, SHM__SHARE_FREE);
	/* nothing of it is left: as many as ever fit */
	told.refuse = 0;
	for (int i = 0; i < 4; i++)
		share((size_t)i * PAGE, PAGE);
	assert_int_equal(told.shared, 5);
	part_ways();
}

static void unshared_comes_when_nothing_is_left(void **state)
{
	struct shm__out out;
	uint32_t id;

	(void)state;
	meet();
	id = share(0, PAGE);
	metal_shm_ref(told.shm);
	told.lets_go = true;
	give(id, 0, PAGE, both);
	assert_int_equal(metal_shm_sync_for_cpu(told.part, METAL_SHM_DIR_DEV_RW), 0);
	last.kind = SHM__EVENT_NONE;
	assert_int_equal(shm__session_unshare(&far, id, &out), SHM__CODE_OK);
	say(&out);
	talk();
	assert_int_equal(told.unshared, 1);
	assert_int_equal(last.kind, SHM__EVENT_NONE);
	assert_int_equal(metal_shm_sync_for_device(told.part, host, METAL_SHM_DIR_DEV_RW), 0);
	talk();
	assert_int_equal(last.kind, SHM__EVENT_UNSHARED);
	assert_int_equal(last.code, SHM__CODE_OK);
	assert_int_equal(last.returned, 0);
	part_ways();
}

static void a_reference_keeps_memory_from_being_unshared(void **state)
{
	struct metal_generic_shm *mine;
	struct shm__out out;
	uint32_t id;

	(void)state;
	meet();
	id = share(0, PAGE);
	mine = metal_shm_ref(told.shm);
	assert_int_equal(shm__session_unshare(&far, id, &out), SHM__CODE_OK);
	say(&out);
	talk();
	assert_int_equal(far_shares[id - 1].state, SHM__SHARE_ENDING);
	metal_shm_free(mine, NULL);
	talk();
	assert_int_equal(far_shares[id - 1].state, SHM__SHARE_FREE);
	part_ways();
}

static void a_host_that_begins_anew_voids_all(void **state)
{
	struct metal_generic_shm *old;
	uint32_t id;

	(void)state;
	meet();
	id = share(0, PAGE);
	give(id, 0, PAGE, both);
	assert_int_equal(metal_shm_sync_for_cpu(told.part, METAL_SHM_DIR_DEV_RW), 0);
	old = metal_shm_ref(told.shm);
	meet();
	assert_int_equal(metal_shm_sync_for_device(old, host, METAL_SHM_DIR_DEV_RW), -ENOTCONN);
	for (int i = 0; i < 4; i++)
		share((size_t)i * PAGE, PAGE);
	assert_int_equal(told.shared, 4);
	/* its end means none of those that have its place now */
	metal_shm_free(old, NULL);
	talk();
	for (int i = 0; i < 4; i++)
		assert_int_equal(far_shares[i].state, SHM__SHARE_ACTIVE);
	part_ways();
}

static void a_failure_is_told(void **state)
{
	uint32_t id;

	(void)state;
	meet();
	id = share(0, PAGE);
	give(id, 0, PAGE, both);
	assert_int_equal(metal_shm_host_fail(told.part, host, 5), -EINVAL);
	assert_int_equal(metal_shm_host_fail(told.part, host, -EIO), 0);
	talk();
	assert_int_equal(last.kind, SHM__EVENT_RETURNED);
	assert_int_equal(last.code, SHM__CODE_FAILED);
	give(id, 0, PAGE, both);
	assert_int_equal(metal_shm_host_fail(told.part, host, -ECANCELED), 0);
	talk();
	assert_int_equal(last.code, SHM__CODE_CANCELLED);
	give(id, 0, PAGE, both);
	assert_int_equal(metal_shm_sync_for_device(told.part, host, METAL_SHM_DIR_DEV_RW), 0);
	talk();
	assert_int_equal(last.code, SHM__CODE_OK);
	part_ways();
}

static void recalled_bytes_are_named(void **state)
{
	struct shm__out out;
	uint32_t id;

	(void)state;
	meet();
	id = share(0, PAGE);
	give(id, 0, 512, both);
	give(id, 1024, 512, both);
	assert_int_equal(shm__session_recall(&far, id, 0, 512, &out), SHM__CODE_OK);
	say(&out);
	talk();
	assert_int_equal(told.recalled, 1);
	assert_ptr_equal(metal_shm_map(told.part, METAL_SHM_READ), arena);
	part_ways();
}

static void messages_go_both_ways(void **state)
{
	struct shm__out out;

	(void)state;
	meet();
	assert_int_equal(shm__session_send(&far, "hello", 5, &out), SHM__CODE_OK);
	say(&out);
	talk();
	assert_int_equal(told.messages, 1);
	assert_int_equal(told.size, 5);
	assert_memory_equal(told.message, "hello", 5);
	assert_int_equal(metal_shm_host_send(host, "hi", 2), 0);
	assert_int_equal(metal_shm_host_send(host, "hi", 0), -EINVAL);
	listen();
	assert_int_equal(last.kind, SHM__EVENT_USER);
	assert_int_equal(last.record.user.length, 2);
	part_ways();
}

static void returns_wait_for_a_host_that_takes_nothing(void **state)
{
	struct metal_generic_shm *parts[6];
	unsigned sent = 0;
	uint32_t id;

	(void)state;
	meet();
	id = share(0, PAGE);
	for (int i = 0; i < 6; i++) {
		give(id, 512 * (uint64_t)i, 512, both);
		parts[i] = told.part;
	}
	/* until the host's credit is used up */
	while (!metal_shm_host_send(host, "x", 1))
		sent++;
	assert_true(sent >= SLOTS / 2);
	for (int i = 0; i < 6; i++)
		assert_int_equal(metal_shm_sync_for_device(parts[i], host, METAL_SHM_DIR_DEV_RW),
				 0);
	assert_int_equal(metal_shm_sync_for_device(parts[0], host, METAL_SHM_DIR_DEV_RW), -EINVAL);
	assert_int_equal(far_shares[id - 1].gives_count, 6);
	talk();
	talk();
	assert_int_equal(far_shares[id - 1].gives_count, 0);
	part_ways();
}

static void nonsense_is_counted_and_changes_nothing(void **state)
{
	struct metal_shm_host_stats before, after;
	uint8_t record[SHM__RECORD_MAX] = { 0 };

	(void)state;
	meet();
	share(0, PAGE);
	assert_int_equal(metal_shm_host_stats(host, &before), 0);
	for (unsigned i = 0; i < 200; i++) {
		for (size_t j = 0; j < sizeof(record); j++)
			record[j] = (uint8_t)(j * i + i / 7);
		metal_shm_host_received(host, record, i * 2 + 1);
		listen();
	}
	assert_int_equal(metal_shm_host_stats(host, &after), 0);
	assert_true(after.faults + after.stale >= before.faults + before.stale + 200);
	assert_int_equal(after.shares, 1);
	assert_int_equal(told.given + told.unshared + told.messages, 0);
	part_ways();
}

static void half_a_setup_is_refused(void **state)
{
	struct metal_shm_host_setup setup = { .struct_size = sizeof(setup) };
	struct metal_device *none = NULL;

	(void)state;
	assert_int_equal(metal_shm_host_open(NULL, &none), -EINVAL);
	assert_int_equal(metal_shm_host_open(&setup, &none), -EINVAL);
	assert_int_equal(metal_shm_host_begin(NULL), -EINVAL);
	assert_int_equal(metal_shm_host_stats(NULL, NULL), -EINVAL);
	assert_null(none);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(half_a_setup_is_refused),
		cmocka_unit_test(what_is_given_is_worked_on_in_place),
		cmocka_unit_test(bytes_that_were_not_given_are_waited_for),
		cmocka_unit_test(a_part_is_given_and_the_rest_is_not),
		cmocka_unit_test(what_the_host_goes_on_to_read_is_only_read),
		cmocka_unit_test(memory_out_of_reach_is_refused),
		cmocka_unit_test(a_table_of_segments_is_checked),
		cmocka_unit_test(each_piece_of_scattered_memory_is_synced),
		cmocka_unit_test(the_firmware_may_refuse),
		cmocka_unit_test(unshared_comes_when_nothing_is_left),
		cmocka_unit_test(a_reference_keeps_memory_from_being_unshared),
		cmocka_unit_test(a_host_that_begins_anew_voids_all),
		cmocka_unit_test(a_failure_is_told),
		cmocka_unit_test(recalled_bytes_are_named),
		cmocka_unit_test(messages_go_both_ways),
		cmocka_unit_test(returns_wait_for_a_host_that_takes_nothing),
		cmocka_unit_test(nonsense_is_counted_and_changes_nothing),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
