/* SPDX-License-Identifier: BSD-3-Clause */
/* Some bytes of a memory go to another process and come from it, while the others stay where they are. */
#include <pthread.h>

#include "fake.h"
#include "peer_liar.h"
#include "peer_process.h"

#define SIZE  8192
#define SLOTS 8

static struct metal_shm_peer_event event = { .struct_size = sizeof(event) };

static void parts_are_given_of_one_share(void **state)
{
	struct liar liar = liar_start();
	struct metal_generic_shm *shm = peer_buffer(SIZE), *part[3], *view[4];
	static const size_t at[3] = { 0, 100, 4000 };
	struct shm__record record;

	(void)state;
	view[3] = metal_shm_attach(shm, liar.dev);
	for (unsigned i = 0; i < 3; i++) {
		part[i] = metal_shm_sub(shm, at[i], 200, 0);
		view[i] = metal_shm_attach(part[i], liar.dev);
		assert_non_null(view[i]);
	}
	record = liar_hear(&liar);
	assert_int_equal(record.type, SHM__RECORD_SHARE);
	assert_int_equal(record.share.size, SIZE);
	liar_hears_nothing(&liar);
	assert_int_equal(metal_shm_sync_for_device(part[1], liar.dev, METAL_SHM_DIR_DEV_R), 0);
	record = liar_hear(&liar);
	assert_int_equal(record.type, SHM__RECORD_GIVE);
	assert_int_equal(record.range.offset, 100);
	assert_int_equal(record.range.length, 200);
	/* the first shares bytes with it, and so has all; the third has none */
	assert_int_equal(metal_shm_sync_for_device(part[0], liar.dev, METAL_SHM_DIR_DEV_R), -EBUSY);
	assert_int_equal(metal_shm_sync_for_device(shm, liar.dev, METAL_SHM_DIR_DEV_R), -EBUSY);
	assert_int_equal(metal_shm_sync_for_device(part[2], liar.dev, METAL_SHM_DIR_DEV_RW), 0);
	assert_int_equal(liar_hear(&liar).range.offset, 4000);
	liar_say(&liar, liar_range(SHM__RECORD_RETURN, 1, 1, 100, 200), NULL, 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(part[1], METAL_SHM_DIR_DEV_RW, 0), 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(part[2], METAL_SHM_DIR_DEV_RW, 0),
			 -ETIMEDOUT);
	for (unsigned i = 0; i < 4; i++)
		metal_shm_detach(view[i], liar.dev);
	/* the third is over there still */
	liar_hears_nothing(&liar);
	liar_say(&liar, liar_range(SHM__RECORD_RETURN, 1, 1, 4000, 200), NULL, 0);
	assert_int_equal(liar_hear(&liar).type, SHM__RECORD_UNSHARE);
	for (unsigned i = 0; i < 3; i++)
		metal_shm_free(part[i], NULL);
	metal_shm_free(shm, NULL);
	liar_end(&liar);
}

static void what_ends_over_there_ends_for_each_part(void **state)
{
	struct liar liar = liar_start();
	struct shm__record unshared = { .type = SHM__RECORD_UNSHARED, .unshare = { 1, 1 } };
	struct metal_generic_shm *shm = peer_buffer(SIZE), *part[3], *view[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		part[i] = metal_shm_sub(shm, i * 1000, 1000, 0);
		view[i] = metal_shm_attach(part[i], liar.dev);
		if (i < 2)
			assert_int_equal(
				metal_shm_sync_for_device(part[i], liar.dev, METAL_SHM_DIR_DEV_RW),
				0);
	}
	/* its last reader goes while it has the bytes */
	metal_shm_detach(view[0], liar.dev);
	liar_say(&liar, unshared, NULL, 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(metal_shm_sync_for_cpu_timeout(part[i], METAL_SHM_DIR_DEV_RW, 0),
				 i < 2 ? -ENODEV : 0);
		assert_int_equal(metal_shm_sync_for_device(part[i], liar.dev, METAL_SHM_DIR_DEV_RW),
				 i ? -ENODEV : -ENOTCONN);
	}
	for (unsigned i = 0; i < 3; i++) {
		if (i)
			metal_shm_detach(view[i], liar.dev);
		metal_shm_free(part[i], NULL);
	}
	metal_shm_free(shm, NULL);
	liar_end(&liar);
}

static void parts_that_nobody_waits_for_end_over_there_too(void **state)
{
	struct liar liar = liar_start();
	struct shm__record unshared = { .type = SHM__RECORD_UNSHARED, .unshare = { 1, 1 } };
	struct metal_generic_shm *shm = peer_buffer(SIZE);

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct metal_generic_shm *part = metal_shm_sub(shm, i * 1000, 1000, 0);
		struct metal_generic_shm *view = metal_shm_attach(part, liar.dev);

		assert_int_equal(metal_shm_sync_for_device(part, liar.dev, METAL_SHM_DIR_DEV_RW),
				 0);
		metal_shm_detach(view, liar.dev);
		metal_shm_free(part, NULL);
	}
	liar_say(&liar, unshared, NULL, 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_RW, 0), -ENODEV);
	/* and it is shared anew */
	metal_shm_detach(metal_shm_attach(shm, liar.dev), liar.dev);
	metal_shm_free(shm, NULL);
	liar_end(&liar);
}

/* It gives these bytes. */
static struct metal_generic_shm *take(struct liar *liar, uint64_t offset, uint64_t length)
{
	liar_say(liar, liar_range(SHM__RECORD_GIVE, 1, 1, offset, length), NULL, 0);
	assert_int_equal(metal_shm_peer_next(liar->dev, 0, &event), 0);
	assert_non_null(event.shm);
	assert_int_equal(metal_shm_size(event.shm), length);
	return event.shm;
}

static void give_back(struct liar *liar, struct metal_generic_shm *shm, uint64_t offset,
		      uint64_t length)
{
	struct shm__record record;

	assert_int_equal(metal_shm_sync_for_device(shm, liar->dev, METAL_SHM_DIR_DEV_RW), 0);
	record = liar_hear(liar);
	assert_int_equal(record.type, SHM__RECORD_RETURN);
	assert_int_equal(record.range.offset, offset);
	assert_int_equal(record.range.length, length);
	metal_shm_free(shm, NULL);
}

/* Whether the program can take a byte. */
static bool has(struct metal_generic_shm *all, size_t at)
{
	struct metal_generic_shm *one = metal_shm_sub(all, at, 1, 0);
	/* what it has it may write */
	int error = metal_shm_sync_for_cpu_timeout(one, METAL_SHM_DIR_DEV_W, 0);

	assert_true(!error || error == -ETIMEDOUT);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(one, METAL_SHM_DIR_DEV_RW, 0), error);
	metal_shm_free(one, NULL);
	return !error;
}

static void a_part_that_comes_brings_no_others(void **state)
{
	struct liar liar = liar_start();
	int fd = liar_memory(SIZE, F_SEAL_SHRINK);
	struct metal_generic_shm *all, *part, *second;
	unsigned char *bytes;

	(void)state;
	liar_say(&liar, liar_share_of(&liar, 1, 0, SIZE), &fd, 1);
	all = take(&liar, 0, SIZE);
	bytes = metal_shm_map(all, METAL_SHM_READ | METAL_SHM_WRITE);
	assert_int_equal(metal_shm_sync_for_device(all, liar.dev, METAL_SHM_DIR_DEV_RW), 0);
	assert_int_equal(liar_hear(&liar).type, SHM__RECORD_RETURN);
	part = take(&liar, 1000, 500);
	assert_ptr_equal(metal_shm_map(part, METAL_SHM_READ), bytes + 1000);
	assert_false(has(all, 999));
	assert_true(has(all, 1000));
	assert_true(has(all, 1499));
	assert_false(has(all, 1500));
	/* as it was given, or not at all */
	assert_int_equal(metal_shm_sync_for_device(all, liar.dev, METAL_SHM_DIR_DEV_RW), -ENOTCONN);
	/* in pieces of two, beside it */
	second = take(&liar, 1500, 10);
	assert_true(has(all, 1500));
	assert_false(has(all, 1510));
	give_back(&liar, part, 1000, 500);
	assert_false(has(all, 1000));
	assert_true(has(all, 1500));
	/* over what was cut before */
	part = take(&liar, 900, 600);
	assert_true(has(all, 900));
	give_back(&liar, part, 900, 600);
	give_back(&liar, second, 1500, 10);
	metal_shm_free(take(&liar, 0, SIZE), NULL);
	assert_true(has(all, 0));
	assert_true(has(all, SIZE - 1));
	give_back(&liar, all, 0, SIZE);
	close(fd);
	liar_end(&liar);
}

static void the_same_part_is_the_same_handle(void **state)
{
	struct liar liar = liar_start();
	int fd = liar_memory(SIZE, F_SEAL_SHRINK);
	struct metal_generic_shm *slot[SLOTS] = { NULL };

	(void)state;
	liar_say(&liar, liar_share_of(&liar, 1, 0, SIZE), &fd, 1);
	for (unsigned round = 0; round < 5; round++) {
		struct metal_shm_stats stats = { .struct_size = sizeof(stats) };
		uint64_t attaches;

		assert_int_equal(metal_shm_stats(&stats), 0);
		attaches = stats.attaches;
		for (unsigned i = 0; i < SLOTS; i++) {
			struct metal_generic_shm *shm = take(&liar, i * 1024, 1024);

			if (round)
				assert_ptr_equal(shm, slot[i]);
			slot[i] = shm;
			give_back(&liar, shm, i * 1024, 1024);
		}
		assert_int_equal(metal_shm_stats(&stats), 0);
		if (round)
			assert_int_equal(stats.attaches, attaches);
	}
	close(fd);
	liar_end(&liar);
}

static uint32_t any(uint32_t below)
{
	static uint64_t seed = 3;

	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

#define BYTES 600 /* of what parts are taken at random */
#define PARTS 6

struct random_part {
	struct metal_generic_shm *shm;
	unsigned offset, length;
};

static void compare(struct metal_generic_shm *all, const struct random_part parts[PARTS])
{
	for (unsigned at = 0; at < BYTES; at += 1 + any(40)) {
		bool given = false;

		for (unsigned i = 0; i < PARTS; i++)
			given |= parts[i].shm && at >= parts[i].offset &&
				 at - parts[i].offset < parts[i].length;
		assert_int_equal(has(all, at), given);
	}
}

static void parts_at_random_are_whose_they_should_be(void **state)
{
	struct liar liar = liar_start();
	int fd = liar_memory(4096, F_SEAL_SHRINK);
	struct random_part parts[PARTS] = { 0 };
	struct metal_generic_shm *all;

	(void)state;
	liar.limit = 100000;
	liar_say(&liar, liar_share_of(&liar, 1, 0, BYTES), &fd, 1);
	all = take(&liar, 0, BYTES);
	assert_int_equal(metal_shm_sync_for_device(all, liar.dev, METAL_SHM_DIR_DEV_RW), 0);
	assert_int_equal(liar_hear(&liar).type, SHM__RECORD_RETURN);
	for (unsigned round = 0; round < 3000; round++) {
		struct random_part *part = &parts[any(PARTS)];
		bool free = true;

		if (part->shm) {
			give_back(&liar, part->shm, part->offset, part->length);
			part->shm = NULL;
			continue;
		}
		part->offset = any(BYTES);
		part->length = 1 + any(any(4) ? 3 : BYTES - part->offset);
		if (part->length > BYTES - part->offset)
			part->length = BYTES - part->offset;
		for (unsigned i = 0; i < PARTS; i++)
			free &= !parts[i].shm ||
				part->offset >= parts[i].offset + parts[i].length ||
				parts[i].offset >= part->offset + part->length;
		if (free)
			part->shm = take(&liar, part->offset, part->length);
		if (round % 10 == 0)
			compare(all, parts);
	}
	for (unsigned i = 0; i < PARTS; i++)
		metal_shm_free(parts[i].shm, NULL);
	metal_shm_free(all, NULL);
	close(fd);
	liar_end(&liar);
}

static void pieces_become_fewer_around_what_the_program_has(void **state)
{
	struct liar liar = liar_start();
	int fd = liar_memory(SIZE, F_SEAL_SHRINK);
	struct metal_generic_shm *all, *one;

	(void)state;
	liar.limit = 100000;
	liar_say(&liar, liar_share_of(&liar, 1, 0, SIZE), &fd, 1);
	all = take(&liar, 0, SIZE);
	assert_int_equal(metal_shm_sync_for_device(all, liar.dev, METAL_SHM_DIR_DEV_RW), 0);
	assert_int_equal(liar_hear(&liar).type, SHM__RECORD_RETURN);
	one = take(&liar, 100, 1);
	for (uint64_t at = 0; at < 2000; at += 2)
		if (at != 100)
			give_back(&liar, take(&liar, at, 1), at, 1);
	assert_false(has(all, 99));
	assert_true(has(all, 100));
	for (size_t at = 101; at < SIZE; at += 97)
		assert_false(has(all, at));
	give_back(&liar, one, 100, 1);
	assert_false(has(all, 100));
	give_back(&liar, take(&liar, 0, SIZE), 0, SIZE);
	metal_shm_free(all, NULL);
	close(fd);
	liar_end(&liar);
}

static void who_ends_a_share_gets_all_parts_first(void **state)
{
	struct liar liar = liar_start();
	int fd = liar_memory(SIZE, F_SEAL_SHRINK);
	struct shm__record unshare = { .type = SHM__RECORD_UNSHARE, .unshare = { 1, 1 } };
	struct metal_generic_shm *one, *two, *all;

	(void)state;
	liar_say(&liar, liar_share_of(&liar, 1, 0, SIZE), &fd, 1);
	/* nothing was given yet */
	all = metal_shm_import(fd, 0, 0);
	assert_false(has(all, 0));
	one = take(&liar, 10, 10);
	assert_false(has(all, 9));
	metal_shm_free(all, NULL);
	two = take(&liar, 20, 10);
	liar_say(&liar, unshare, NULL, 0);
	liar_hears_nothing(&liar);
	give_back(&liar, one, 10, 10);
	liar_hears_nothing(&liar);
	give_back(&liar, two, 20, 10);
	assert_int_equal(liar_hear(&liar).type, SHM__RECORD_UNSHARED);
	close(fd);
	liar_end(&liar);
}

struct worker {
	struct metal_device *dev;
	struct metal_generic_shm *shm;
	unsigned slot;
	int error;
};

/* It adds 1 to each byte of a slot, again and again. */
static void *have_slots_worked(void *user)
{
	struct worker *worker = user;
	struct metal_generic_shm *part = metal_shm_sub(worker->shm, worker->slot * 1000, 1000, 0);
	struct metal_generic_shm *view = metal_shm_attach(part, worker->dev);

	for (unsigned round = 0; round < 50 && !worker->error; round++) {
		worker->error = metal_shm_sync_for_device(part, worker->dev, METAL_SHM_DIR_DEV_RW);
		if (!worker->error)
			worker->error = metal_shm_sync_for_cpu_timeout(part, METAL_SHM_DIR_DEV_RW,
								       20 * SECOND);
	}
	metal_shm_detach(view, worker->dev);
	metal_shm_free(part, NULL);
	return NULL;
}

static void threads_have_parts_worked_at_once(void **state)
{
	struct process process = peer_start("worker");
	struct metal_generic_shm *shm = peer_buffer(SIZE);
	const unsigned char *bytes = metal_shm_map(shm, METAL_SHM_READ);
	struct worker workers[SLOTS];
	pthread_t threads[SLOTS];

	(void)state;
	for (unsigned i = 0; i < SLOTS; i++) {
		workers[i] = (struct worker){ process.dev, shm, i, 0 };
		assert_int_equal(pthread_create(&threads[i], NULL, have_slots_worked, &workers[i]),
				 0);
	}
	for (unsigned i = 0; i < SLOTS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(workers[i].error, 0);
	}
	assert_int_equal(metal_shm_sync_for_cpu(shm, METAL_SHM_DIR_DEV_RW), 0);
	for (size_t at = 0; at < SIZE; at++)
		assert_int_equal(bytes[at], at < (size_t)SLOTS * 1000 ? 50 : 0);
	metal_shm_free(shm, NULL);
	peer_stop(&process);
}

static void parts_of_a_process_that_was_killed_are_the_programs(void **state)
{
	struct process worker = peer_start("worker");
	struct metal_generic_shm *shm = peer_buffer(SIZE), *part[SLOTS], *view[SLOTS];

	(void)state;
	peer_tell(&worker, "keep");
	for (unsigned i = 0; i < SLOTS; i++) {
		part[i] = metal_shm_sub(shm, i * 1000, 1000, 0);
		view[i] = metal_shm_attach(part[i], worker.dev);
		if (i % 2)
			assert_int_equal(metal_shm_sync_for_device(part[i], worker.dev,
								   METAL_SHM_DIR_DEV_RW),
					 0);
	}
	peer_kill(&worker);
	for (unsigned i = 0; i < SLOTS; i++) {
		assert_int_equal(
			metal_shm_sync_for_cpu_timeout(part[i], METAL_SHM_DIR_DEV_RW, 20 * SECOND),
			i % 2 ? -ENODEV : 0);
		metal_shm_detach(view[i], worker.dev);
		metal_shm_free(part[i], NULL);
	}
	metal_shm_free(shm, NULL);
	metal_shm_device_close(worker.dev);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_are_given_of_one_share),
		cmocka_unit_test(what_ends_over_there_ends_for_each_part),
		cmocka_unit_test(parts_that_nobody_waits_for_end_over_there_too),
		cmocka_unit_test(a_part_that_comes_brings_no_others),
		cmocka_unit_test(the_same_part_is_the_same_handle),
		cmocka_unit_test(parts_at_random_are_whose_they_should_be),
		cmocka_unit_test(pieces_become_fewer_around_what_the_program_has),
		cmocka_unit_test(who_ends_a_share_gets_all_parts_first),
		cmocka_unit_test(threads_have_parts_worked_at_once),
		cmocka_unit_test(parts_of_a_process_that_was_killed_are_the_programs),
	};

	fake_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
