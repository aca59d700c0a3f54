/* SPDX-License-Identifier: BSD-3-Clause */
/* Many threads on the same buffers and pool; run under ThreadSanitizer too. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include <shm/linux.h>
#include <shm/observe.h>

#include "fake.h"
#include "shm_test.h"

#define THREADS 4
#define ROUNDS  300

struct shared {
	struct fake_source *source;
	struct fake_importer *one, *two;
	struct metal_generic_shm *shm;
	struct metal_shm_pool *pool;
	int fd;
};

static void run(void *(*body)(void *), struct shared *shared)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, body, shared), 0);
	for (int i = 0; i < THREADS; i++) {
		void *bad;

		pthread_join(threads[i], &bad);
		assert_null(bad);
	}
}

static int set_up(void **state)
{
	struct shared *shared = test_calloc(1, sizeof(*shared));
	struct metal_device *devs[3];

	shared->source = fake_source_new("src", true);
	shared->one = fake_importer_new("one", METAL_SHM_ACCESS_DMA);
	shared->two = fake_importer_new("two", METAL_SHM_ACCESS_CPU_USER);
	devs[0] = shared->source->dev;
	devs[1] = shared->one->dev;
	devs[2] = shared->two->dev;
	shared->shm = fake_buffer(shared->source, 4096);
	assert_int_equal(metal_shm_pool_create(64, 3, devs, 3, 0, &shared->pool), 0);
	*state = shared;
	return 0;
}

static int tear_down(void **state)
{
	struct shared *shared = *state;

	metal_shm_pool_destroy(shared->pool);
	metal_shm_free(shared->shm, NULL);
	fake_importer_end(shared->one);
	fake_importer_end(shared->two);
	fake_source_end(shared->source);
	test_free(shared);
	return 0;
}

#define CHECK(condition)                 \
	do {                             \
		if (!(condition))        \
			return argument; \
	} while (0)

static void *attach_and_detach(void *argument)
{
	struct shared *shared = argument;

	for (int i = 0; i < ROUNDS; i++) {
		struct metal_generic_shm *part = metal_shm_sub(shared->shm, 64, 64, 0);
		struct metal_generic_shm *view = metal_shm_attach(shared->shm, shared->one->dev);
		struct metal_generic_shm *inner = metal_shm_attach(part, shared->two->dev);

		CHECK(view && inner && metal_shm_map(part, METAL_SHM_READ));
		metal_shm_detach(inner, shared->two->dev);
		metal_shm_free(part, NULL);
		metal_shm_detach(view, shared->one->dev);
	}
	return NULL;
}

static void attachments_of_one_buffer_from_many_threads(void **state)
{
	struct shared *shared = *state;

	run(attach_and_detach, shared);
	assert_int_equal(shared->source->live, 4);
}

/* Each holder finds the counter as it was left and leaves it one higher: mutual exclusion by owning. */
static void *hand_round(void *argument)
{
	struct shared *shared = argument;

	for (int i = 0; i < ROUNDS; i++) {
		uint32_t *counter;

		CHECK(!metal_shm_hold(shared->shm, shared->one->dev, METAL_SHM_DIR_DEV_R,
				      METAL_SHM_FOREVER));
		CHECK(!metal_shm_unhold(shared->shm, shared->one->dev, 0));
		CHECK(!metal_shm_sync_for_cpu(shared->shm, METAL_SHM_DIR_DEV_RW));
		counter = metal_shm_map(shared->shm, METAL_SHM_READ | METAL_SHM_WRITE);
		CHECK(counter);
		CHECK(!metal_shm_unmap(shared->shm, METAL_SHM_READ | METAL_SHM_WRITE));
	}
	return NULL;
}

static void hand_overs_from_many_threads(void **state)
{
	struct shared *shared = *state;
	struct metal_generic_shm *view = metal_shm_attach(shared->shm, shared->one->dev);
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };

	run(hand_round, shared);
	assert_int_equal(metal_shm_buffer_stats(shared->shm, &stats), 0);
	assert_true(stats.handovers >= THREADS * ROUNDS);
	metal_shm_detach(view, shared->one->dev);
}

static void *take_from_pool(void *argument)
{
	struct shared *shared = argument;

	for (int i = 0; i < ROUNDS; i++) {
		struct metal_generic_shm *shm = metal_shm_pool_get(shared->pool, METAL_SHM_FOREVER);
		unsigned char *bytes;

		CHECK(shm);
		CHECK(!metal_shm_sync_for_cpu(shm, METAL_SHM_DIR_DEV_RW));
		bytes = metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE);
		/* the frame is this thread's alone */
		bytes[0]++;
		bytes[1]++;
		CHECK(bytes[0] == bytes[1]);
		CHECK(!metal_shm_hold(shm, shared->two->dev, METAL_SHM_DIR_DEV_RW, 0));
		CHECK(!metal_shm_unhold(shm, shared->two->dev, 0));
		metal_shm_free(shm, NULL);
	}
	return NULL;
}

static void one_pool_serves_many_threads(void **state)
{
	run(take_from_pool, *state);
}

static void *import_and_free(void *argument)
{
	struct shared *shared = argument;

	for (int i = 0; i < ROUNDS; i++) {
		struct metal_generic_shm *shm = metal_shm_import(shared->fd, 0, 0);

		CHECK(shm && metal_shm_size(shm) == 8192);
		CHECK(metal_shm_map(shm, METAL_SHM_READ));
		metal_shm_free(shm, NULL);
	}
	return NULL;
}

static void one_memory_imported_by_many_threads(void **state)
{
	struct shared *shared = *state;
	struct metal_generic_shm *shm = metal_shm_allocate_for(8192, NULL, 0, 0);
	struct metal_shm_stats before = { .struct_size = sizeof(before) }, now = before;

	assert_int_equal(metal_shm_stats(&before), 0);
	shared->fd = metal_shm_export(shm, 0);
	run(import_and_free, shared);
	metal_shm_free(shm, NULL);
	run(import_and_free, shared);
	close(shared->fd);
	assert_int_equal(metal_shm_stats(&now), 0);
	assert_int_equal(now.buffers_live, before.buffers_live - 1);
}

static void *queue_and_wait(void *argument)
{
	struct shared *shared = argument;

	for (int i = 0; i < ROUNDS; i++) {
		struct metal_generic_shm *shm = metal_shm_pool_get(shared->pool, METAL_SHM_FOREVER);

		CHECK(shm);
		CHECK(!fake_queue(shared->one, shm, METAL_SHM_DIR_DEV_W));
		metal_shm_free(shm, NULL);
		fake_complete(shared->one, 1);
	}
	return NULL;
}

static void queued_work_completes_in_whatever_thread_waits(void **state)
{
	struct shared *shared = *state;
	struct metal_generic_shm *all[3];

	run(queue_and_wait, shared);
	assert_int_equal(metal_shm_device_dispatch(shared->one->dev), 0);
	for (int i = 0; i < 3; i++) {
		all[i] = metal_shm_pool_get(shared->pool, 0);
		assert_non_null(all[i]);
	}
	for (int i = 0; i < 3; i++)
		metal_shm_free(all[i], NULL);
}

static void *name_and_free(void *argument)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct metal_generic_shm *shm;

		CHECK(!metal_shm_open("shared", 4096, 0, &shm));
		CHECK(metal_shm_size(shm) == 4096);
		metal_shm_free(shm, NULL);
	}
	return NULL;
}

static void one_name_opened_by_many_threads(void **state)
{
	run(name_and_free, *state);
}

#define ZONE \
	700 /* odd parts of a zone of their own for each thread, neighbours in one line of the cache */

/* In place for one device, a copy for the other: each sees what the last owner left in these bytes alone. */
static int pass_round(struct shared *shared, struct metal_generic_shm *part, char *mine, char value)
{
	struct fake_importer *to[] = { shared->one, shared->two };

	for (int i = 0; i < 2; i++) {
		size_t size = metal_shm_size(part);
		char *there;

		memset(mine, value, size);
		if (metal_shm_wrote(part, 0, size) ||
		    metal_shm_hold(part, to[i]->dev, METAL_SHM_DIR_DEV_RW, METAL_SHM_FOREVER))
			return -1;
		there = fake_view_bytes(to[i], part);
		if (there[0] != value || there[size - 1] != value)
			return -1;
		memset(there, ++value, size);
		if (metal_shm_unhold(part, to[i]->dev, 0) ||
		    metal_shm_sync_for_cpu(part, METAL_SHM_DIR_DEV_RW) || mine[0] != value ||
		    mine[size - 1] != value)
			return -1;
	}
	return 0;
}

static void *hand_ranges_round(void *argument)
{
	static atomic_uint threads;
	struct shared *shared = argument;
	size_t start = atomic_fetch_add(&threads, 1) % THREADS * ZONE;
	char *bytes = metal_shm_map(shared->shm, METAL_SHM_READ | METAL_SHM_WRITE);

	CHECK(bytes);
	for (size_t i = 0; i < ROUNDS / 2; i++) {
		size_t from = i * 37 % (ZONE - 1), size = 1 + i * 91 % (ZONE - from);
		struct metal_generic_shm *part = metal_shm_sub(shared->shm, start + from, size, 0);
		struct metal_generic_shm *view = metal_shm_attach(part, shared->one->dev);
		struct metal_generic_shm *other = metal_shm_attach(part, shared->two->dev);

		CHECK(view && other);
		CHECK(metal_shm_view_mode(view) == METAL_SHM_VIEW_SHADOW);
		CHECK(!pass_round(shared, part, bytes + start + from, (char)i));
		metal_shm_detach(view, shared->one->dev);
		metal_shm_detach(other, shared->two->dev);
		metal_shm_free(part, NULL);
	}
	CHECK(!metal_shm_unmap(shared->shm, METAL_SHM_READ | METAL_SHM_WRITE));
	return NULL;
}

static void ranges_of_one_buffer_are_handed_round_by_many_threads(void **state)
{
	run(hand_ranges_round, *state);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(attachments_of_one_buffer_from_many_threads),
		CASE(hand_overs_from_many_threads),
		CASE(one_pool_serves_many_threads),
		CASE(one_memory_imported_by_many_threads),
		CASE(queued_work_completes_in_whatever_thread_waits),
		CASE(one_name_opened_by_many_threads),
		CASE(ranges_of_one_buffer_are_handed_round_by_many_threads),
	};

	fake_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
