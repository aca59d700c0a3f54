/* SPDX-License-Identifier: BSD-3-Clause */
/* Counters that are summed up only when somebody asks: exact, and never less than before. */
#include <pthread.h>
#include <stdatomic.h>

#include <shm/observe.h>

#include "fake.h"
#include "shm_test.h"

#define R       METAL_SHM_DIR_DEV_R
#define THREADS 4
#define ROUNDS  200
#define TIMES   5 /* to the device and back, of each buffer */

struct bench {
	struct fake_source *source;
	struct fake_importer *one, *two;
};

static struct metal_shm_stats process_stats(void)
{
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };

	assert_int_equal(metal_shm_stats(&stats), 0);
	return stats;
}

static struct metal_shm_stats device_stats(const struct metal_device *dev)
{
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };

	assert_int_equal(metal_shm_device_stats(dev, &stats), 0);
	return stats;
}

static int set_up(void **state)
{
	struct bench *b = test_calloc(1, sizeof(*b));

	b->source = fake_source_new("src", true);
	b->one = fake_importer_new("one", METAL_SHM_ACCESS_DMA);
	b->two = fake_importer_new("two", METAL_SHM_ACCESS_DMA);
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	fake_importer_end(b->one);
	fake_importer_end(b->two);
	fake_source_end(b->source);
	test_free(b);
	return 0;
}

static int there_and_back(struct metal_generic_shm *shm, struct metal_device *dev, int times)
{
	for (int i = 0; i < times; i++)
		if (metal_shm_sync_for_device(shm, dev, R) || metal_shm_sync_for_cpu(shm, R))
			return -1;
	return 0;
}

static void a_hand_over_is_counted_for_memory_device_source_and_process(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *shm = fake_buffer(b->source, 4096), *view;
	struct metal_shm_stats before = process_stats(), now = before;

	view = metal_shm_attach(shm, b->one->dev);
	assert_int_equal(there_and_back(shm, b->one->dev, 3), 0);
	assert_int_equal(metal_shm_buffer_stats(shm, &now), 0);
	assert_int_equal(now.handovers, 6);
	assert_int_equal(now.elided, 6);
	assert_int_equal(device_stats(b->one->dev).handovers, 3);
	assert_int_equal(device_stats(b->one->dev).elided, 0);
	assert_int_equal(device_stats(b->source->dev).handovers, 0);
	assert_int_equal(device_stats(b->source->dev).elided, 6);
	assert_int_equal(process_stats().handovers, before.handovers + 6);
	assert_int_equal(process_stats().elided, before.elided + 6);
	metal_shm_detach(view, b->one->dev);
	metal_shm_free(shm, NULL);
}

static void what_ended_stays_counted(void **state)
{
	struct bench *b = *state;
	struct metal_shm_stats before = process_stats();

	for (unsigned i = 1; i <= 3; i++) {
		struct metal_generic_shm *shm = fake_buffer(b->source, 4096);
		struct metal_generic_shm *view = metal_shm_attach(shm, b->one->dev);

		assert_int_equal(there_and_back(shm, b->one->dev, 2), 0);
		metal_shm_detach(view, b->one->dev);
		assert_int_equal(device_stats(b->one->dev).handovers, 2 * i);
		metal_shm_free(shm, NULL);
		assert_int_equal(device_stats(b->one->dev).handovers, 2 * i);
		assert_int_equal(device_stats(b->source->dev).elided, 4 * i);
		assert_int_equal(process_stats().handovers, before.handovers + 4 * i);
		assert_int_equal(process_stats().elided, before.elided + 4 * i);
	}
}

/* In the first one's place in the memory's table. */
static void another_device_starts_at_nothing(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *shm = fake_buffer(b->source, 4096);
	struct metal_generic_shm *view = metal_shm_attach(shm, b->one->dev);

	assert_int_equal(there_and_back(shm, b->one->dev, 2), 0);
	metal_shm_detach(view, b->one->dev);
	view = metal_shm_attach(shm, b->two->dev);
	assert_int_equal(device_stats(b->two->dev).handovers, 0);
	assert_int_equal(there_and_back(shm, b->two->dev, 1), 0);
	assert_int_equal(device_stats(b->two->dev).handovers, 1);
	assert_int_equal(device_stats(b->one->dev).handovers, 2);
	metal_shm_detach(view, b->two->dev);
	metal_shm_free(shm, NULL);
}

static atomic_bool done;

static void *make_and_end(void *argument)
{
	struct bench *b = argument;

	for (int i = 0; i < ROUNDS; i++) {
		struct metal_generic_shm *shm = fake_buffer(b->source, 4096);
		struct metal_generic_shm *view = metal_shm_attach(shm, b->one->dev);

		if (!view || there_and_back(shm, b->one->dev, TIMES))
			return argument;
		metal_shm_detach(view, b->one->dev);
		metal_shm_free(shm, NULL);
	}
	return NULL;
}

static void *watch(void *argument)
{
	struct bench *b = argument;
	struct metal_shm_stats all = { .struct_size = sizeof(all) }, one = all, source = all;
	uint64_t seen[4] = { 0 };

	while (!atomic_load(&done)) {
		if (metal_shm_stats(&all) || metal_shm_device_stats(b->one->dev, &one) ||
		    metal_shm_device_stats(b->source->dev, &source))
			return argument;
		if (all.handovers < seen[0] || all.elided < seen[1] || one.handovers < seen[2] ||
		    source.elided < seen[3])
			return argument;
		seen[0] = all.handovers;
		seen[1] = all.elided;
		seen[2] = one.handovers;
		seen[3] = source.elided;
	}
	return NULL;
}

static void totals_only_grow_while_memories_come_and_go(void **state)
{
	const uint64_t count = (uint64_t)THREADS * ROUNDS * TIMES;
	struct bench *b = *state;
	struct metal_shm_stats before = process_stats();
	pthread_t threads[THREADS], watcher;
	void *bad;

	atomic_store(&done, false);
	assert_int_equal(pthread_create(&watcher, NULL, watch, b), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, make_and_end, b), 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &bad);
		assert_null(bad);
	}
	atomic_store(&done, true);
	pthread_join(watcher, &bad);
	assert_null(bad);
	assert_int_equal(device_stats(b->one->dev).handovers, count);
	assert_int_equal(device_stats(b->source->dev).elided, 2 * count);
	assert_int_equal(process_stats().handovers, before.handovers + 2 * count);
	assert_int_equal(process_stats().elided, before.elided + 2 * count);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(a_hand_over_is_counted_for_memory_device_source_and_process),
		CASE(what_ended_stays_counted),
		CASE(another_device_starts_at_nothing),
		CASE(totals_only_grow_while_memories_come_and_go),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
