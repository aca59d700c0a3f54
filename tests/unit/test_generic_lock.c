/* SPDX-License-Identifier: BSD-3-Clause */
/* Locks among the processors of a firmware. Runs here and on RISC-V. */
#include "generic_fixture.h"

#define ROUNDS 2000

static struct metal_generic_shm *table;
static volatile uint32_t *counter;

static void count_up(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		int error = metal_shm_lock(table, 0);

		assert_int_equal(error, 0);
		*counter += 1;
		assert_int_equal(metal_shm_unlock(table, 0), 0);
	}
}

static void a_lock_excludes_the_other_processor(void **state)
{
	struct metal_generic_shm *shm = begin();

	(void)state;
	metal_shm_detach(metal_shm_view(shm, engine), engine);
	assert_non_null(metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE));
	assert_int_equal(metal_shm_lock_init(shm, 0), 0);
	table = shm;
	counter = (volatile uint32_t *)(void *)(memory + 64);
	second_run(count_up);
	count_up();
	second_wait();
	assert_int_equal(*counter, 2 * ROUNDS);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(engine);
}

static void make_parts(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct metal_generic_shm *part = metal_shm_sub(table, 0, 8, 0);

		assert_non_null(part);
		assert_int_equal(metal_shm_sync_for_cpu(part, METAL_SHM_DIR_DEV_R), 0);
		metal_shm_free(part, NULL);
	}
}

static void both_processors_use_one_buffer(void **state)
{
	struct metal_generic_shm *more[SHM_BUFFERS];

	(void)state;
	table = begin();
	second_run(make_parts);
	make_parts();
	second_wait();
	/* it has no part left, so that its memory goes with it */
	end(table);
	for (int i = 0; i < SHM_BUFFERS; i++) {
		more[i] = metal_shm_at(memory, LINE);
		assert_non_null(more[i]);
	}
	for (int i = 0; i < SHM_BUFFERS; i++)
		metal_shm_free(more[i], NULL);
}

static void a_lock_word_names_the_processor(void **state)
{
	struct metal_generic_shm *shm = begin();
	uint32_t word;

	(void)state;
	metal_shm_detach(metal_shm_view(shm, engine), engine);
	assert_non_null(metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE));
	assert_int_equal(metal_shm_lock(shm, 8), 0);
	memcpy(&word, memory + 8, sizeof(word));
	assert_int_equal(word, ME + second_number());
	assert_int_equal(metal_shm_lock(shm, 8), -EDEADLK);
	assert_int_equal(metal_shm_unlock(shm, 8), 0);
	word = METAL_SHM_LOCK_FIRMWARE + 99;
	memcpy(memory + 8, &word, sizeof(word));
	assert_int_equal(metal_shm_trylock(shm, 8), -EBUSY);
	assert_int_equal(metal_shm_lock_timeout(shm, 8, 100000), -ETIMEDOUT);
	assert_int_equal(metal_shm_lock_disown(shm, 8, word), 0);
	assert_int_equal(metal_shm_lock(shm, 8), -EOWNERDEAD);
	assert_int_equal(metal_shm_unlock(shm, 8), 0);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(engine);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lock_excludes_the_other_processor),
		cmocka_unit_test(both_processors_use_one_buffer),
		cmocka_unit_test(a_lock_word_names_the_processor),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
