/* SPDX-License-Identifier: BSD-3-Clause */
/* The ring of the trace under more writers than it has places. */
#include <pthread.h>

#include "timeline.h"

#include "shm_test.h"

#define THREADS 4
#define ROUNDS  50000
#define PLACES  4

static atomic_int running;

static void *record_figures(void *argument)
{
	const struct shm__root *root = argument;

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t figure = i * THREADS + root->number;

		shm__trace_record(root, NULL, SHM__TRACE_GIVEN, figure, figure, (int)figure);
	}
	atomic_fetch_sub(&running, 1);
	return NULL;
}

/* Of one thread, and of one of its rounds. */
static bool is_whole(const struct shm__trace_entry *entry)
{
	return entry->offset == entry->size && entry->offset == (uint64_t)entry->detail &&
	       entry->offset % THREADS == entry->memory % THREADS &&
	       entry->event == SHM__TRACE_GIVEN && !entry->track;
}

/* How many of a copy are not, and how many there are. */
static unsigned count_mixed(size_t *ret_count)
{
	struct shm__trace_copy copy;
	unsigned mixed = 0;

	assert_int_equal(shm__trace_copy(&copy), 0);
	for (size_t i = 0; i < copy.count; i++)
		mixed += !is_whole(&copy.entries[i]);
	*ret_count = copy.count;
	shm__os_free(copy.entries);
	shm__os_free(copy.names);
	return mixed;
}

static void threads_that_overtake_each_other_mix_no_records(void **state)
{
	static struct shm__root roots[THREADS];
	pthread_t thread[THREADS];
	unsigned mixed = 0;
	size_t count;

	(void)state;
	assert_int_equal(metal_shm_trace_start(PLACES), 0);
	atomic_store(&running, THREADS);
	for (unsigned i = 0; i < THREADS; i++) {
		roots[i].number = i;
		assert_int_equal(pthread_create(&thread[i], NULL, record_figures, &roots[i]), 0);
	}
	while (atomic_load(&running))
		mixed += count_mixed(&count);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(mixed, 0);
	/* no place stays taken */
	for (unsigned i = 0; i < PLACES; i++)
		shm__trace_record(&roots[0], NULL, SHM__TRACE_GIVEN, 0, 0, 0);
	assert_int_equal(count_mixed(&count), 0);
	assert_int_equal(count, PLACES);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_that_overtake_each_other_mix_no_records),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
