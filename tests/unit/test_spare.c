/* SPDX-License-Identifier: BSD-3-Clause */
/* Copies of parts that are kept for the next one: when, how many, and that nobody's bytes are in them. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <shm/observe.h>

#include "fake.h"
#include "shm_test.h"

#define R      METAL_SHM_DIR_DEV_R
#define W      METAL_SHM_DIR_DEV_W
#define RW     METAL_SHM_DIR_DEV_RW
#define SIZE   65536u
#define MOST   8u /* that a memory keeps */
#define SECRET 0x5a

struct bench {
	struct fake_source *source;
	struct fake_importer *one, *two;
	struct metal_generic_shm *shm;
	unsigned char *bytes;
};

static int set_up(void **state)
{
	struct bench *b = test_calloc(1, sizeof(*b));

	b->source = fake_source_new("src", true);
	b->one = fake_importer_new("one", METAL_SHM_ACCESS_DMA);
	b->two = fake_importer_new("two", METAL_SHM_ACCESS_DMA);
	b->shm = fake_buffer(b->source, SIZE);
	b->bytes = metal_shm_map(b->shm, METAL_SHM_READ | METAL_SHM_WRITE);
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	metal_shm_free(b->shm, NULL);
	assert_int_equal(b->source->live, 0);
	fake_importer_end(b->one);
	fake_importer_end(b->two);
	fake_source_end(b->source);
	test_free(b);
	return 0;
}

static struct metal_shm_stats stats(void)
{
	struct metal_shm_stats now = { .struct_size = sizeof(now) };

	assert_int_equal(metal_shm_stats(&now), 0);
	return now;
}

static struct metal_generic_shm *attach_part(struct metal_generic_shm *shm, size_t offset,
					     size_t size, struct fake_importer *device)
{
	struct metal_generic_shm *part = metal_shm_sub(shm, offset, size, 0), *view;

	assert_non_null(part);
	view = metal_shm_attach(part, device->dev);
	assert_non_null(view);
	assert_int_equal(metal_shm_view_mode(view), METAL_SHM_VIEW_SHADOW);
	return part;
}

static void end_part(struct metal_generic_shm *part, struct fake_importer *device)
{
	metal_shm_detach(metal_shm_view(part, device->dev), device->dev);
	metal_shm_free(part, NULL);
}

static void attach_and_end(struct bench *b, size_t size)
{
	end_part(attach_part(b->shm, 100, size, b->one), b->one);
}

static void a_copy_is_used_again(void **state)
{
	struct metal_shm_stats before = stats();
	struct bench *b = *state;
	struct metal_generic_shm *part = attach_part(b->shm, 100, 300, b->one);

	assert_int_equal(b->source->live, 2);
	end_part(part, b->one);
	assert_int_equal(b->source->live, 2);
	assert_int_equal(stats().spares, before.spares + 1);
	part = attach_part(b->shm, 500, 290, b->two);
	assert_int_equal(b->source->live, 2);
	assert_int_equal(stats().spares, before.spares);
	assert_int_equal(stats().spares_used, before.spares_used + 1);
	assert_int_equal(stats().allocations, before.allocations + 1);
	end_part(part, b->two);
}

/* Neither what the last device wrote, before and after its part's end, nor what the program did. */
static void nobody_sees_the_last_ones_bytes(void **state)
{
	static const unsigned char zero[300];
	struct bench *b = *state;
	struct metal_generic_shm *part = attach_part(b->shm, 0, 300, b->one);
	char *there = fake_view_bytes(b->one, part);

	memset(b->bytes, SECRET, 300);
	assert_int_equal(metal_shm_sync_for_device(part, b->one->dev, RW), 0);
	memset(there, SECRET, 300);
	end_part(part, b->one);

	part = attach_part(b->shm, 1000, 200, b->two);
	assert_ptr_equal(fake_view_bytes(b->two, part), there);
	assert_memory_equal(there, zero, 300);
	memset(b->bytes + 1000, 7, 200);
	assert_int_equal(metal_shm_sync_for_device(part, b->two->dev, R), 0);
	assert_memory_equal(there, b->bytes + 1000, 200);
	assert_memory_equal(there + 200, zero, 100);
	end_part(part, b->two);
}

/* Longer than the one before: each byte belongs to it. */
static void a_shorter_parts_copy_serves_a_longer_part(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *part;
	unsigned char *there;

	attach_and_end(b, 300);
	attach_and_end(b, 200);
	assert_int_equal(b->source->live, 2);
	part = attach_part(b->shm, 1000, 300, b->two);
	assert_int_equal(b->source->live, 2);
	there = (unsigned char *)fake_view_bytes(b->two, part);
	assert_int_equal(metal_shm_sync_for_device(part, b->two->dev, W), 0);
	there[299] = 9;
	assert_int_equal(metal_shm_sync_for_cpu(part, RW), 0);
	assert_int_equal(b->bytes[1299], 9);
	end_part(part, b->two);
}

/* The last sync is the copy's. */
static void a_copy_is_synced_for_the_bytes_of_the_part(void **state)
{
	struct bench *b = *state;
	struct fake_source *source = fake_source_new("ranged", true);
	static const size_t sizes[] = { 300, 200, 300 };
	struct metal_generic_shm *shm, *part;

	source->properties.sync_granule = 64;
	shm = fake_buffer(source, SIZE);
	for (unsigned i = 0; i < 3; i++) {
		part = attach_part(shm, 100, sizes[i], b->one);
		assert_int_equal(source->live, 2);
		assert_int_equal(metal_shm_sync_for_device(part, b->one->dev, R), 0);
		assert_int_equal(source->last.offset, 0);
		assert_int_equal(source->last.length, sizes[i]);
		end_part(part, b->one);
	}
	metal_shm_free(shm, NULL);
	fake_source_end(source);
}

static void a_copy_of_other_size_is_not_used(void **state)
{
	struct bench *b = *state;

	attach_and_end(b, 300);
	attach_and_end(b, 301);
	assert_int_equal(b->source->live, 3);
	attach_and_end(b, 3 * 4096);
	assert_int_equal(b->source->live, 4);
	attach_and_end(b, 4096 + 1);
	assert_int_equal(b->source->live, 5);
}

static void few_are_kept(void **state)
{
	struct metal_shm_stats before = stats();
	struct metal_generic_shm *part[MOST + 3];
	struct bench *b = *state;

	for (unsigned i = 0; i < MOST + 3; i++)
		part[i] = attach_part(b->shm, i * 400, 300 + i, b->one);
	for (unsigned i = 0; i < MOST + 3; i++)
		end_part(part[i], b->one);
	assert_int_equal(b->source->live, 1 + MOST);
	assert_int_equal(stats().spares, before.spares + MOST);
	/* the oldest went, not the last and longest */
	attach_and_end(b, 300 + MOST + 2);
	assert_int_equal(stats().spares_used, before.spares_used + 1);
}

static void no_more_bytes_are_kept_than_the_memory_has(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *part[3];

	for (unsigned i = 0; i < 3; i++)
		part[i] = attach_part(b->shm, i * 100, SIZE * 2 / 5, b->one);
	for (unsigned i = 0; i < 3; i++)
		end_part(part[i], b->one);
	assert_int_equal(b->source->live, 3);
}

static void they_go_with_the_memory_or_its_source(void **state)
{
	struct bench *b = *state;
	struct fake_source *source = fake_source_new("closing", true);
	struct metal_generic_shm *shm = fake_buffer(source, SIZE), *part;
	struct metal_shm_stats before = stats();

	end_part(attach_part(shm, 100, 300, b->one), b->one);
	part = attach_part(shm, 100, 8000, b->one);
	assert_int_equal(source->live, 3);
	metal_shm_device_close(source->dev);
	assert_int_equal(source->live, 2);
	end_part(part, b->one);
	assert_int_equal(source->live, 1);
	assert_int_equal(stats().spares, before.spares);
	metal_shm_free(shm, NULL);
	assert_int_equal(source->live, 0);
	fake_source_end(source);

	attach_and_end(b, 300);
	metal_shm_free(b->shm, NULL);
	b->shm = NULL;
	assert_int_equal(b->source->live, 0);
	assert_int_equal(stats().spares, before.spares);
}

static void where_memory_is_short_they_are_given_back(void **state)
{
	struct bench *b = *state;

	attach_and_end(b, 300);
	attach_and_end(b, 8000);
	assert_int_equal(b->source->live, 3);
	b->source->fail_allocate = -ENOSPC;
	assert_null(metal_shm_allocate(100, b->source->dev, 0));
	assert_int_equal(b->source->live, 3);
	b->source->fail_allocate = -ENOMEM;
	assert_null(metal_shm_allocate(100, b->source->dev, 0));
	assert_int_equal(errno, ENOMEM);
	assert_int_equal(b->source->live, 1);
	b->source->fail_allocate = 0;
}

/* What its device wrote could not be read in, so nor can it be overwritten. */
static void one_that_can_not_be_cleared_is_given_back(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *part = attach_part(b->shm, 100, 300, b->one);

	assert_int_equal(metal_shm_sync_for_device(part, b->one->dev, W), 0);
	b->source->fail_start = -EIO;
	end_part(part, b->one);
	assert_int_equal(b->source->live, 2);
	part = metal_shm_sub(b->shm, 100, 300, 0);
	assert_null(metal_shm_attach(part, b->one->dev));
	assert_int_equal(b->source->live, 1);
	b->source->fail_start = 0;
	metal_shm_free(part, NULL);
}

/* A driver's fence may be pending on it, or a coprocessor still write. */
static void one_that_somebody_may_still_use_is_not_kept(void **state)
{
	struct bench *b = *state;
	struct fake_importer *giver = fake_importer_new_giver("giver");

	b->one->flags = METAL_SHM_VIEW_FENCES;
	attach_and_end(b, 300);
	assert_int_equal(b->source->live, 1);
	giver->access = METAL_SHM_ACCESS_DMA;
	end_part(attach_part(b->shm, 100, 300, giver), giver);
	assert_int_equal(b->source->live, 1);
	fake_importer_end(giver);
}

/* A neighbour's bytes are in the way of bringing them home, until all is taken back. */
static void one_that_has_the_only_bytes_is_not_given_away(void **state)
{
	struct metal_shm_stats before = stats();
	struct bench *b = *state;
	struct metal_generic_shm *whole = metal_shm_attach(b->shm, b->two->dev), *part;

	assert_non_null(whole);
	part = attach_part(b->shm, 1001, 99, b->one);
	assert_int_equal(metal_shm_sync_for_device(b->shm, b->two->dev, W), 0);
	assert_int_equal(metal_shm_sync_for_device(part, b->one->dev, W), 0);
	memset(fake_view_bytes(b->one, part), SECRET, 99);
	end_part(part, b->one);
	assert_int_equal(stats().spares, before.spares);
	part = attach_part(b->shm, 5000, 99, b->one);
	assert_int_equal(metal_shm_sync_for_cpu(b->shm, RW), 0);
	assert_int_equal(b->bytes[1001], SECRET);
	assert_int_equal(b->bytes[1099], SECRET);
	end_part(part, b->one);
	metal_shm_detach(whole, b->two->dev);
}

#define THREADS 4
#define ROUNDS  150

struct worker {
	pthread_t thread;
	struct bench *bench;
	unsigned number;
};

/* Each finds its copy empty, fills it and leaves it to the others. */
static void *come_and_go(void *argument)
{
	const struct worker *worker = argument;
	struct bench *b = worker->bench;
	struct fake_importer *device = worker->number % 2 ? b->one : b->two;

	for (unsigned i = 0; i < ROUNDS; i++) {
		size_t size = 500 - i % 3, offset = worker->number * 1000 + i % 100;
		struct metal_generic_shm *part = metal_shm_sub(b->shm, offset, size, 0);
		struct metal_generic_shm *view = metal_shm_attach(part, device->dev);
		unsigned char *there, found = 0;

		if (!view)
			return argument;
		there = (unsigned char *)fake_view_bytes(device, part);
		for (size_t at = 0; at < size; at++)
			found |= there[at];
		if (found || metal_shm_sync_for_device(part, device->dev, RW))
			return argument;
		memset(there, (int)(worker->number + 1), size);
		if (metal_shm_sync_for_cpu(part, RW) ||
		    b->bytes[offset + size - 1] != worker->number + 1)
			return argument;
		metal_shm_detach(view, device->dev);
		metal_shm_free(part, NULL);
	}
	return NULL;
}

static void threads_share_them(void **state)
{
	struct bench *b = *state;
	struct worker workers[THREADS];

	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .bench = b, .number = i };
		assert_int_equal(pthread_create(&workers[i].thread, NULL, come_and_go, &workers[i]),
				 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		void *bad;

		pthread_join(workers[i].thread, &bad);
		assert_null(bad);
	}
	assert_true(b->source->live <= 1 + MOST);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(a_copy_is_used_again),
		CASE(nobody_sees_the_last_ones_bytes),
		CASE(a_shorter_parts_copy_serves_a_longer_part),
		CASE(a_copy_is_synced_for_the_bytes_of_the_part),
		CASE(a_copy_of_other_size_is_not_used),
		CASE(few_are_kept),
		CASE(no_more_bytes_are_kept_than_the_memory_has),
		CASE(they_go_with_the_memory_or_its_source),
		CASE(where_memory_is_short_they_are_given_back),
		CASE(one_that_can_not_be_cleared_is_given_back),
		CASE(one_that_somebody_may_still_use_is_not_kept),
		CASE(one_that_has_the_only_bytes_is_not_given_away),
		CASE(threads_share_them),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
