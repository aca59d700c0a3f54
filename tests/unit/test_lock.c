/* SPDX-License-Identifier: BSD-3-Clause */
/* Locks in shared memory: who has one, who waits, and the memory it may be in. */
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake.h"
#include "lock_bench.h"

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

#define ROUNDS 20000

static void *count(void *user)
{
	struct bench *bench = user;

	for (int i = 0; i < ROUNDS; i++) {
		CHECK(!metal_shm_lock(bench->shm, 64));
		++*bench->counter;
		CHECK(!metal_shm_unlock(bench->shm, 64));
	}
	return NULL;
}

static void one_thread_at_a_time_has_a_lock(void **state)
{
	struct bench bench = new_bench();
	pthread_t threads[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		run(&threads[i], count, &bench);
	for (int i = 0; i < 4; i++)
		join(threads[i]);
	assert_int_equal(*bench.counter, 4 * ROUNDS);
	assert_int_equal(atomic_load(bench.word), 0);
	end_bench(&bench);
}

static void its_own_lock_is_refused_to_a_thread(void **state)
{
	struct bench bench = new_bench();

	(void)state;
	assert_int_equal(metal_shm_trylock(bench.shm, 64), 0);
	assert_int_equal(metal_shm_lock(bench.shm, 64), -EDEADLK);
	expect_reason("already");
	assert_int_equal(metal_shm_trylock(bench.shm, 64), -EDEADLK);
	assert_int_equal(metal_shm_lock_timeout(bench.shm, 64, MS), -EDEADLK);
	assert_int_equal(metal_shm_unlock(bench.shm, 64), 0);
	assert_int_equal(metal_shm_unlock(bench.shm, 64), -EPERM);
	expect_reason("nobody has");
	end_bench(&bench);
}

static void *fail_to_get_it(void *user)
{
	struct bench *bench = user;
	int64_t before;

	CHECK(metal_shm_unlock(bench->shm, 64) == -EPERM);
	CHECK(metal_shm_trylock(bench->shm, 64) == -EBUSY);
	CHECK(metal_shm_lock_timeout(bench->shm, 64, 0) == -ETIMEDOUT);
	before = now_ns();
	CHECK(metal_shm_lock_timeout(bench->shm, 64, 30 * MS) == -ETIMEDOUT);
	CHECK(now_ns() - before >= 30 * MS);
	CHECK(strstr(metal_shm_last_error(), "has the lock"));
	return NULL;
}

static void another_threads_lock_is_waited_for_no_longer_than_told(void **state)
{
	struct bench bench = new_bench();
	const uint64_t flags = METAL_SHM_LOCK_OWNER | METAL_SHM_LOCK_ENDED;
	pthread_t thread;

	(void)state;
	assert_int_equal(metal_shm_lock(bench.shm, 64), 0);
	run(&thread, fail_to_get_it, &bench);
	join(thread);
	assert_int_equal(atomic_load(bench.word) & flags, gettid());
	assert_int_equal(metal_shm_unlock(bench.shm, 64), 0);
	end_bench(&bench);
}

static void *lock_and_unlock(void *user)
{
	struct bench *bench = user;

	CHECK(!metal_shm_lock(bench->shm, 64));
	CHECK(!metal_shm_unlock(bench->shm, 64));
	return NULL;
}

static void whoever_waits_gets_it_when_it_is_given_back(void **state)
{
	struct bench bench = new_bench();
	pthread_t threads[2];

	(void)state;
	assert_int_equal(metal_shm_lock(bench.shm, 64), 0);
	for (int i = 0; i < 2; i++)
		run(&threads[i], lock_and_unlock, &bench);
	while (!(atomic_load(bench.word) & METAL_SHM_LOCK_WAITERS))
		pass(MS);
	pass(30 * MS);
	assert_int_equal(metal_shm_unlock(bench.shm, 64), 0);
	for (int i = 0; i < 2; i++)
		join(threads[i]);
	assert_int_equal(atomic_load(bench.word), 0);
	end_bench(&bench);
}

static void *lock_and_end(void *user)
{
	struct bench *bench = user;

	CHECK(!metal_shm_lock(bench->shm, 64));
	return NULL;
}

static void the_lock_of_a_thread_that_ended_goes_to_the_next_once_with_word_of_it(void **state)
{
	struct bench bench = new_bench();
	pthread_t thread;

	(void)state;
	for (int i = 0; i < 2; i++) {
		int answer;

		run(&thread, lock_and_end, &bench);
		join(thread);
		/* it is joined a little before the kernel has let it go */
		do {
			answer = i ? metal_shm_trylock(bench.shm, 64)
				   : metal_shm_lock(bench.shm, 64);
		} while (answer == -EBUSY);
		assert_int_equal(answer, -EOWNERDEAD);
		expect_reason("ended while it had the lock");
		assert_int_equal(metal_shm_lock(bench.shm, 64), -EDEADLK);
		assert_int_equal(metal_shm_unlock(bench.shm, 64), 0);
		assert_int_equal(metal_shm_lock(bench.shm, 64), 0);
		assert_int_equal(metal_shm_unlock(bench.shm, 64), 0);
	}
	end_bench(&bench);
}

static void expect_all(struct metal_generic_shm *shm, size_t offset, int error)
{
	assert_int_equal(metal_shm_lock_init(shm, offset), error);
	assert_int_equal(metal_shm_lock(shm, offset), error);
	assert_int_equal(metal_shm_lock_timeout(shm, offset, 0), error);
	assert_int_equal(metal_shm_trylock(shm, offset), error);
	assert_int_equal(metal_shm_unlock(shm, offset), error);
	assert_int_equal(metal_shm_lock_disown(shm, offset, 1), error);
	assert_int_not_equal(strlen(metal_shm_last_error()), 0);
}

static void a_lock_is_inside_its_handle_and_aligned(void **state)
{
	struct bench bench = new_bench();
	struct metal_generic_shm *part = metal_shm_sub(bench.shm, 4, 68, 0);
	struct metal_generic_shm *small = metal_shm_sub(bench.shm, 0, 7, 0);

	(void)state;
	expect_all(bench.shm, 4096, -ERANGE);
	expect_all(bench.shm, 4089, -ERANGE);
	expect_all(bench.shm, SIZE_MAX, -ERANGE);
	expect_all(bench.shm, SIZE_MAX - 7, -ERANGE);
	expect_all(bench.shm, 65, -EINVAL);
	expect_all(bench.shm, 68, -EINVAL);
	expect_reason("multiple of 8");
	expect_all(small, 0, -ERANGE);
	expect_all(part, 0, -EINVAL);
	expect_all(part, 61, -ERANGE);
	/* one word, whatever handle it is reached by */
	assert_int_equal(metal_shm_lock(part, 60), 0);
	assert_int_equal(metal_shm_lock(bench.shm, 64), -EDEADLK);
	assert_int_equal(metal_shm_unlock(bench.shm, 64), 0);
	assert_int_equal(metal_shm_trylock(bench.shm, 4088), 0);
	assert_int_equal(metal_shm_unlock(bench.shm, 4088), 0);
	metal_shm_free(part, NULL);
	metal_shm_free(small, NULL);
	end_bench(&bench);
}

static void memory_that_is_not_mapped_for_writing_has_no_locks(void **state)
{
	struct metal_generic_shm *shm = metal_shm_allocate_for(4096, NULL, 0, 0);

	(void)state;
	expect_all(shm, 0, -EINVAL);
	assert_non_null(metal_shm_map(shm, METAL_SHM_READ));
	expect_all(shm, 0, -EINVAL);
	expect_reason("for writing");
	assert_non_null(metal_shm_map(shm, METAL_SHM_WRITE));
	assert_int_equal(metal_shm_trylock(shm, 0), 0);
	assert_int_equal(metal_shm_unlock(shm, 0), 0);
	metal_shm_free(shm, NULL);
	expect_all(NULL, 0, -EINVAL);
}

static void a_programs_own_memory_has_locks_at_aligned_addresses(void **state)
{
	static _Alignas(8) char bytes[64];
	struct metal_generic_shm *aligned = metal_shm_wrap(bytes, 64, NULL, NULL);
	struct metal_generic_shm *odd = metal_shm_wrap(bytes + 4, 60, NULL, NULL);

	(void)state;
	assert_non_null(metal_shm_map(aligned, READ_WRITE));
	assert_non_null(metal_shm_map(odd, READ_WRITE));
	assert_int_equal(metal_shm_lock(aligned, 8), 0);
	assert_int_equal(metal_shm_unlock(aligned, 8), 0);
	expect_all(odd, 0, -EINVAL);
	expect_all(odd, 4, -EINVAL);
	metal_shm_free(aligned, NULL);
	metal_shm_free(odd, NULL);
}

/* Whether such memory may have a lock while it is attached for such an access. */
static int lock_beside(enum metal_shm_access access, enum metal_shm_tri cached,
		       enum metal_shm_tri coherent)
{
	struct fake_source *source = fake_source_new("src", true);
	struct fake_importer *importer = fake_importer_new("gpu", access);
	struct metal_generic_shm *shm, *view;
	int before, answer;

	source->properties.cached = cached;
	source->properties.coherent = coherent;
	shm = fake_buffer(source, 4096);
	assert_non_null(metal_shm_map(shm, READ_WRITE));
	before = metal_shm_trylock(shm, 0);
	view = metal_shm_attach(shm, importer->dev);
	assert_non_null(view);
	answer = metal_shm_lock_init(shm, 8);
	assert_int_equal(metal_shm_trylock(shm, 16), answer);
	if (answer)
		expect_reason("gpu");
	else
		assert_int_equal(metal_shm_unlock(view, 16), 0);
	/* what was taken before can be given back */
	assert_int_equal(before, 0);
	assert_int_equal(metal_shm_unlock(shm, 0), 0);
	metal_shm_detach(view, importer->dev);
	assert_int_equal(metal_shm_trylock(shm, 16), 0);
	assert_int_equal(metal_shm_unlock(shm, 16), 0);
	metal_shm_free(shm, NULL);
	fake_importer_end(importer);
	fake_source_end(source);
	return answer;
}

static void a_device_past_the_cache_and_a_lock_need_coherent_memory(void **state)
{
	const enum metal_shm_tri unknown = METAL_SHM_UNKNOWN, no = METAL_SHM_NO,
				 yes = METAL_SHM_YES;

	(void)state;
	assert_int_equal(lock_beside(METAL_SHM_ACCESS_DMA, yes, unknown), -ENOTSUP);
	assert_int_equal(lock_beside(METAL_SHM_ACCESS_DMA, yes, no), -ENOTSUP);
	assert_int_equal(lock_beside(METAL_SHM_ACCESS_DMA, unknown, unknown), -ENOTSUP);
	assert_int_equal(lock_beside(METAL_SHM_ACCESS_UNKNOWN, yes, unknown), -ENOTSUP);
	assert_int_equal(lock_beside(METAL_SHM_ACCESS_DMA, yes, yes), 0);
	assert_int_equal(lock_beside(METAL_SHM_ACCESS_DMA, no, unknown), 0);
	assert_int_equal(lock_beside(METAL_SHM_ACCESS_CPU_USER, yes, unknown), 0);
	assert_int_equal(lock_beside(METAL_SHM_ACCESS_CPU_KERNEL, yes, unknown), 0);
}

static void a_forked_child_takes_no_lock(void **state)
{
	struct bench bench = new_bench();
	int status;
	pid_t child;

	(void)state;
	child = fork();
	if (!child)
		_exit(metal_shm_trylock(bench.shm, 64) != -EPERM ||
		      metal_shm_unlock(bench.shm, 64) != -EPERM);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	end_bench(&bench);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_thread_at_a_time_has_a_lock),
		cmocka_unit_test(its_own_lock_is_refused_to_a_thread),
		cmocka_unit_test(another_threads_lock_is_waited_for_no_longer_than_told),
		cmocka_unit_test(whoever_waits_gets_it_when_it_is_given_back),
		cmocka_unit_test(
			the_lock_of_a_thread_that_ended_goes_to_the_next_once_with_word_of_it),
		cmocka_unit_test(a_lock_is_inside_its_handle_and_aligned),
		cmocka_unit_test(memory_that_is_not_mapped_for_writing_has_no_locks),
		cmocka_unit_test(a_programs_own_memory_has_locks_at_aligned_addresses),
		cmocka_unit_test(a_device_past_the_cache_and_a_lock_need_coherent_memory),
		cmocka_unit_test(a_forked_child_takes_no_lock),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
