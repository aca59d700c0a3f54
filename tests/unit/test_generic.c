/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The library as a processor without an operating system has it: tables of fixed size, memory where it is,
 * cache operations of the platform's. Runs here and on RISC-V.
 */
#include "generic_fixture.h"

static void half_a_platform_is_refused(void **state)
{
	struct metal_shm_platform bad = platform;

	(void)state;
	bad.now_ns = NULL;
	assert_int_equal(metal_shm_platform_set(&bad), -EINVAL);
	assert_int_equal(metal_shm_platform_set(NULL), -EINVAL);
	bad = platform;
	bad.struct_size = 4;
	assert_int_equal(metal_shm_platform_set(&bad), -EINVAL);
	bad = platform;
	bad.cache_line = 48;
	assert_int_equal(metal_shm_platform_set(&bad), -EINVAL);
	assert_string_equal(metal_shm_last_error(), "a cache's line of 48 bytes");
	bad = platform;
	bad.cache_clean = NULL;
	assert_int_equal(metal_shm_platform_set(&bad), -EINVAL);
	bad = platform;
	bad.unmask = NULL;
	assert_int_equal(metal_shm_platform_set(&bad), -EINVAL);
	bad = platform;
	bad.lock_owner = METAL_SHM_LOCK_FIRMWARE - 1;
	assert_int_equal(metal_shm_platform_set(&bad), -EINVAL);
	bad.lock_owner = (uint32_t)METAL_SHM_LOCK_OWNER;
	assert_int_equal(metal_shm_platform_set(&bad), SHM_PROCESSORS == 1 ? 0 : -EINVAL);
}

static void a_platform_is_set_once(void **state)
{
	(void)state;
	end(begin());
	assert_int_equal(metal_shm_platform_set(&platform), -EALREADY);
}

static void memory_is_mapped_where_it_is(void **state)
{
	struct metal_generic_shm *shm = begin(), *part = metal_shm_sub(shm, 100, 8, 0);

	(void)state;
	assert_ptr_equal(metal_shm_map(shm, METAL_SHM_READ), memory);
	assert_ptr_equal(metal_shm_map(part, METAL_SHM_READ), memory + 100);
	assert_int_equal(call_count, 0);
	metal_shm_free(part, NULL);
	end(shm);
}

static void memory_has_whole_lines(void **state)
{
	struct metal_generic_shm *shm = begin();

	(void)state;
	assert_null(metal_shm_at(memory + 8, LINE));
	assert_int_equal(errno, EINVAL);
	assert_null(metal_shm_at(memory, LINE - 8));
	assert_null(metal_shm_at(NULL, LINE));
	assert_null(metal_shm_at(memory, 0));
	assert_null(metal_shm_at((void *)(UINTPTR_MAX - LINE + 1), 2 * LINE));
	assert_int_equal(errno, EOVERFLOW);
	end(shm);
}

static void a_hand_over_cleans_and_a_return_invalidates(void **state)
{
	struct metal_generic_shm *shm = begin();

	(void)state;
	assert_non_null(metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE));
	call_count = 0;
	assert_int_equal(metal_shm_sync_for_device(shm, engine, METAL_SHM_DIR_DEV_RW), 0);
	expect(0, 'c', 0, BYTES);
	assert_int_equal(metal_shm_sync_for_cpu(shm, METAL_SHM_DIR_DEV_RW), 0);
	expect(1, 'i', 0, BYTES);
	assert_int_equal(call_count, 2);
	end(shm);
}

static void what_a_device_only_read_is_not_invalidated(void **state)
{
	struct metal_generic_shm *shm = begin();

	(void)state;
	assert_non_null(metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE));
	call_count = 0;
	assert_int_equal(metal_shm_sync_for_device(shm, engine, METAL_SHM_DIR_DEV_R), 0);
	assert_int_equal(metal_shm_sync_for_cpu(shm, METAL_SHM_DIR_DEV_R), 0);
	assert_int_equal(call_count, 1);
	expect(0, 'c', 0, BYTES);
	end(shm);
}

static void lines_of_a_part_are_synced_alone(void **state)
{
	struct metal_generic_shm *shm = begin(), *part = metal_shm_sub(shm, 256, 128, 0);

	(void)state;
	assert_non_null(metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE));
	assert_non_null(metal_shm_attach(part, engine));
	assert_int_equal(metal_shm_wrote(shm, 256, 128), 0);
	call_count = 0;
	assert_int_equal(metal_shm_sync_for_device(part, engine, METAL_SHM_DIR_DEV_RW), 0);
	assert_int_equal(call_count, 1);
	expect(0, 'c', 256, 128);
	assert_int_equal(metal_shm_sync_for_cpu(part, METAL_SHM_DIR_DEV_RW), 0);
	assert_int_equal(call_count, 2);
	expect(1, 'i', 256, 128);
	metal_shm_detach(metal_shm_view(part, engine), engine);
	metal_shm_free(part, NULL);
	end(shm);
}

static void only_reported_lines_are_cleaned(void **state)
{
	struct metal_generic_shm *shm = begin();

	(void)state;
	assert_non_null(metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE));
	assert_int_equal(metal_shm_wrote(shm, 130, 4), 0);
	call_count = 0;
	assert_int_equal(metal_shm_sync_for_device(shm, engine, METAL_SHM_DIR_DEV_R), 0);
	assert_int_equal(call_count, 1);
	expect(0, 'c', 128, LINE);
	end(shm);
}

static void a_part_without_lines_of_its_own_is_refused(void **state)
{
	struct metal_generic_shm *shm = begin(), *part = metal_shm_sub(shm, 8, 64, 0);

	(void)state;
	assert_null(metal_shm_attach(part, engine));
	assert_int_equal(errno, ENOTSUP);
	metal_shm_free(part, NULL);
	/* up to the end of the memory it has */
	part = metal_shm_sub(shm, 64, BYTES - 64, 0);
	assert_non_null(metal_shm_attach(part, engine));
	metal_shm_detach(metal_shm_view(part, engine), engine);
	metal_shm_free(part, NULL);
	end(shm);
}

static void without_a_cache_nothing_is_synced(void **state)
{
	struct metal_generic_shm *shm = begin(), *part;

	(void)state;
	end(shm);
	shm__platform.cache_line = 0;
	assert_int_equal(metal_shm_device_create(&engine_ops, "engine", NULL, &engine), 0);
	shm = metal_shm_at(memory + 1, 100);
	assert_non_null(metal_shm_attach(shm, engine));
	part = metal_shm_sub(shm, 8, 9, 0);
	assert_non_null(metal_shm_attach(part, engine));
	assert_non_null(metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE));
	assert_int_equal(metal_shm_sync_for_device(part, engine, METAL_SHM_DIR_DEV_RW), 0);
	assert_int_equal(metal_shm_sync_for_cpu(part, METAL_SHM_DIR_DEV_RW), 0);
	assert_int_equal(call_count, 0);
	metal_shm_detach(metal_shm_view(part, engine), engine);
	metal_shm_free(part, NULL);
	end(shm);
}

static void work_ends_while_somebody_waits(void **state)
{
	struct metal_generic_shm *shm = begin();

	(void)state;
	assert_int_equal(metal_shm_hold(shm, engine, METAL_SHM_DIR_DEV_W, 0), 0);
	working = shm;
	finishes = true;
	assert_int_equal(metal_shm_sync_for_cpu(shm, METAL_SHM_DIR_DEV_W), 0);
	assert_null(working);
	end(shm);
}

static void waiting_ends_by_the_platforms_clock(void **state)
{
	struct metal_generic_shm *shm = begin();
	int64_t start = now;

	(void)state;
	assert_int_equal(metal_shm_hold(shm, engine, METAL_SHM_DIR_DEV_W, 0), 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_W, 50000),
			 -ETIMEDOUT);
	assert_true(now - start >= 50000 && now - start < 200000);
	assert_int_equal(metal_shm_unhold(shm, engine, 0), 0);
	end(shm);
}

static void handles_run_out_and_come_back(void **state)
{
	struct metal_generic_shm *shm = begin(), *part[SHM_HANDLES + 2];
	int n = 0;

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (n = 0; n < SHM_HANDLES + 2; n++) {
			part[n] = metal_shm_sub(shm, 0, 1, 0);
			if (!part[n])
				break;
		}
		assert_int_equal(errno, ENOMEM);
		/* the buffer and its view have two, one may wait to be recognised */
		assert_true(n == SHM_HANDLES - 2 || n == SHM_HANDLES - 1);
		while (n-- > 0)
			metal_shm_free(part[n], NULL);
	}
	end(shm);
}

static void buffers_run_out_and_come_back(void **state)
{
	struct metal_generic_shm *shm = begin(), *more[SHM_BUFFERS];

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < SHM_BUFFERS - 1; i++) {
			more[i] = metal_shm_at(memory, LINE);
			assert_non_null(more[i]);
		}
		assert_null(metal_shm_at(memory, LINE));
		assert_int_equal(errno, ENOMEM);
		for (int i = 0; i < SHM_BUFFERS - 1; i++)
			metal_shm_free(more[i], NULL);
	}
	end(shm);
}

/* Reports of single bytes far from each other: as many ranges as there are records for, and not one more. */
static void ranges_run_out_and_nothing_changes(void **state)
{
	struct metal_generic_shm *shm = begin();
	unsigned n = 0;

	(void)state;
	assert_non_null(metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE));
	while (n < BYTES / 4 && !metal_shm_wrote(shm, n * 4, 1))
		n++;
	assert_true(n < BYTES / 4 && n >= SHM_RANGES / 2);
	assert_int_equal(metal_shm_wrote(shm, n * 4, 1), -ENOMEM);
	call_count = 0;
	assert_int_equal(metal_shm_sync_for_device(shm, engine, METAL_SHM_DIR_DEV_W), 0);
	for (unsigned i = 0; i < call_count; i++)
		assert_int_equal(calls[i].what, 'c');
	expect(0, 'c', 0, LINE);
	assert_int_equal(metal_shm_sync_for_cpu(shm, METAL_SHM_DIR_DEV_W), 0);
	end(shm);
	/* what it had is there for the next one */
	shm = begin();
	assert_non_null(metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE));
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(metal_shm_wrote(shm, i * 4, 1), 0);
	end(shm);
}

static void misuse_is_refused_in_words(void **state)
{
	struct metal_generic_shm *shm = begin(), *part = metal_shm_sub(shm, 0, 8, 0);
	uint64_t nothing[64] = { 0 };

	(void)state;
	metal_shm_free(part, NULL);
	metal_shm_free(part, NULL);
	assert_int_equal(errno, EINVAL);
	assert_string_equal(metal_shm_last_error(),
			    "metal_shm_free: not a handle of libshm, or freed before");
	assert_null(metal_shm_map((struct metal_generic_shm *)(void *)nothing, METAL_SHM_READ));
	assert_null(metal_shm_sub(shm, BYTES - 1, 2, 0));
	assert_int_equal(errno, ERANGE);
	assert_string_equal(metal_shm_last_error(),
			    "2 bytes at 1023 are outside the 1024 bytes there are");
	end(shm);
}

static void a_mutex_is_taken_once(void **state)
{
	static shm__mutex mutex = SHM__MUTEX_INITIALISER;

	(void)state;
	end(begin());
	shm__mutex_lock(&mutex);
	assert_false(shm__mutex_trylock(&mutex));
	assert_int_equal(depth[0] != 0, 1);
	shm__mutex_unlock(&mutex);
	assert_int_equal(depth[0], 0);
	assert_true(shm__mutex_trylock(&mutex));
	shm__mutex_unlock(&mutex);
}

static void locks_are_taken_with_the_mask(void **state)
{
	struct metal_generic_shm *shm = begin();

	(void)state;
	deepest = 0;
	assert_int_equal(metal_shm_sync_for_device(shm, engine, METAL_SHM_DIR_DEV_R), 0);
	assert_true(deepest >= 1);
	assert_int_equal(depth[0], 0);
	/* two at a time: the state that is put back is the first one's */
	assert_non_null(metal_shm_attach(shm, engine));
	metal_shm_detach(metal_shm_view(shm, engine), engine);
	assert_int_equal(depth[0], 0);
	end(shm);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(half_a_platform_is_refused),
		cmocka_unit_test(a_platform_is_set_once),
		cmocka_unit_test(memory_is_mapped_where_it_is),
		cmocka_unit_test(memory_has_whole_lines),
		cmocka_unit_test(a_hand_over_cleans_and_a_return_invalidates),
		cmocka_unit_test(what_a_device_only_read_is_not_invalidated),
		cmocka_unit_test(lines_of_a_part_are_synced_alone),
		cmocka_unit_test(only_reported_lines_are_cleaned),
		cmocka_unit_test(a_part_without_lines_of_its_own_is_refused),
		cmocka_unit_test(without_a_cache_nothing_is_synced),
		cmocka_unit_test(work_ends_while_somebody_waits),
		cmocka_unit_test(waiting_ends_by_the_platforms_clock),
		cmocka_unit_test(handles_run_out_and_come_back),
		cmocka_unit_test(buffers_run_out_and_come_back),
		cmocka_unit_test(ranges_run_out_and_nothing_changes),
		cmocka_unit_test(misuse_is_refused_in_words),
		cmocka_unit_test(a_mutex_is_taken_once),
		cmocka_unit_test(locks_are_taken_with_the_mask),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
