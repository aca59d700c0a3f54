/* SPDX-License-Identifier: BSD-3-Clause */
/* The bytes of a lock: as documented, as firmware leaves them, and hostile ones. */
#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

#include "lock_bench.h"

#define FIRMWARE (METAL_SHM_LOCK_FIRMWARE + 1u)
/* No thread has it: the kernel's greatest is 4194304. */
#define NO_THREAD UINT64_C(0x00ffffff)

static void the_word_is_as_documented(void **state)
{
	struct bench bench = new_bench();
	const uint32_t number = (uint32_t)gettid();
	uint32_t halves[2];

	(void)state;
	assert_int_equal(metal_shm_lock(bench.shm, 64), 0);
	memcpy(halves, bench.bytes + 64, sizeof(halves));
	assert_int_equal(halves[0], number);
	assert_int_not_equal(halves[1], 0);
	assert_int_equal(metal_shm_unlock(bench.shm, 64), 0);
	memcpy(halves, bench.bytes + 64, sizeof(halves));
	assert_int_equal(halves[0], 0);
	assert_int_equal(halves[1], 0);
	/* nothing beside it */
	for (int i = 0; i < 4096; i++)
		assert_int_equal(bench.bytes[i], 0);
	memset(bench.bytes, 0xff, 4096);
	assert_int_equal(metal_shm_lock_init(bench.shm, 64), 0);
	assert_int_equal(atomic_load(bench.word), 0);
	assert_int_equal(bench.bytes[63], -1);
	assert_int_equal(bench.bytes[72], -1);
	end_bench(&bench);
}

static void *firmware_gives_back(void *user)
{
	struct bench *bench = user;

	pass(20 * MS);
	*bench->counter = 7;
	atomic_store_explicit(bench->word, 0, memory_order_release);
	return NULL;
}

static void firmwares_lock_is_waited_for_and_never_broken(void **state)
{
	struct bench bench = new_bench();
	pthread_t thread;

	(void)state;
	atomic_store(bench.word, FIRMWARE);
	assert_int_equal(metal_shm_trylock(bench.shm, 64), -EBUSY);
	expect_reason("firmware 536870913 has the lock");
	assert_int_equal(metal_shm_unlock(bench.shm, 64), -EPERM);
	expect_reason("firmware 536870913");
	assert_int_equal(metal_shm_lock_timeout(bench.shm, 64, 5 * MS), -ETIMEDOUT);
	assert_int_equal(atomic_load(bench.word), FIRMWARE);
	run(&thread, firmware_gives_back, &bench);
	assert_int_equal(metal_shm_lock(bench.shm, 64), 0);
	assert_int_equal(*bench.counter, 7);
	join(thread);
	assert_int_equal(metal_shm_unlock(bench.shm, 64), 0);
	end_bench(&bench);
}

#define ROUNDS 2000

/* As docs/locks.md has it, on the first four bytes. */
static void *firmware_of_four_bytes(void *user)
{
	struct bench *bench = user;
	_Atomic uint32_t *word = (_Atomic uint32_t *)(void *)bench->word;

	for (int i = 0; i < ROUNDS;) {
		uint32_t seen = atomic_load(word);

		if ((seen & METAL_SHM_LOCK_OWNER) ||
		    !atomic_compare_exchange_strong(
			    word, &seen, FIRMWARE | (seen & (uint32_t)METAL_SHM_LOCK_WAITERS)))
			continue;
		++*bench->counter;
		atomic_store(word, 0);
		i++;
	}
	return NULL;
}

static void four_bytes_are_enough_for_firmware(void **state)
{
	struct bench bench = new_bench();
	pthread_t thread;

	(void)state;
	run(&thread, firmware_of_four_bytes, &bench);
	for (int i = 0; i < ROUNDS; i++) {
		assert_int_equal(metal_shm_lock(bench.shm, 64), 0);
		++*bench.counter;
		assert_int_equal(metal_shm_unlock(bench.shm, 64), 0);
	}
	join(thread);
	assert_int_equal(*bench.counter, 2 * ROUNDS);
	assert_int_equal(atomic_load(bench.word), 0);
	end_bench(&bench);
}

static void an_owner_can_be_declared_ended(void **state)
{
	struct bench bench = new_bench();

	(void)state;
	assert_int_equal(metal_shm_lock_disown(bench.shm, 64, FIRMWARE), -ESRCH);
	expect_reason("nobody");
	atomic_store(bench.word, FIRMWARE);
	assert_int_equal(metal_shm_lock_disown(bench.shm, 64, FIRMWARE + 1), -ESRCH);
	expect_reason("firmware 536870913 has");
	assert_int_equal(metal_shm_lock_disown(bench.shm, 64, 0), -EINVAL);
	assert_int_equal(metal_shm_lock_disown(bench.shm, 64, 0x40000000u | FIRMWARE), -EINVAL);
	assert_int_equal(atomic_load(bench.word), FIRMWARE);
	assert_int_equal(metal_shm_lock_disown(bench.shm, 64, FIRMWARE), 0);
	assert_int_equal(metal_shm_lock_disown(bench.shm, 64, FIRMWARE), -ESRCH);
	assert_int_equal(metal_shm_trylock(bench.shm, 64), -EOWNERDEAD);
	assert_int_equal(metal_shm_unlock(bench.shm, 64), 0);
	assert_int_equal(metal_shm_trylock(bench.shm, 64), 0);
	assert_int_equal(metal_shm_unlock(bench.shm, 64), 0);
	end_bench(&bench);
}

/* What a thread of this process has in the word. */
static uint64_t own_word(struct bench *bench)
{
	uint64_t word;

	assert_int_equal(metal_shm_lock(bench->shm, 64), 0);
	word = atomic_load(bench->word);
	assert_int_equal(metal_shm_unlock(bench->shm, 64), 0);
	return word;
}

static void only_what_is_certain_breaks_a_lock(void **state)
{
	struct bench bench = new_bench();
	const uint64_t own = own_word(&bench), stamp = own & ~METAL_SHM_LOCK_OWNER;
	const struct {
		uint64_t word;
		int answer;
	} words[] = {
		{ stamp | NO_THREAD, -EOWNERDEAD },
		{ stamp | NO_THREAD | METAL_SHM_LOCK_WAITERS, -EOWNERDEAD },
		/* of an older thread of the same number */
		{ own ^ UINT64_C(1) << 32, -EOWNERDEAD },
		/* of another namespace or kernel */
		{ (stamp ^ UINT64_C(1) << 44) | NO_THREAD, -EBUSY },
		{ (stamp ^ UINT64_C(1) << 63) | NO_THREAD, -EBUSY },
		{ own ^ UINT64_C(1) << 50, -EBUSY },
		/* nothing is known of it */
		{ NO_THREAD, -EBUSY },
		{ own & METAL_SHM_LOCK_OWNER, -EBUSY },
	};

	(void)state;
	if (!stamp)
		shm_test_skip("/proc tells nothing of this thread");
	for (size_t i = 0; i < SHM_TEST_COUNT(words); i++) {
		atomic_store(bench.word, words[i].word);
		assert_int_equal(metal_shm_trylock(bench.shm, 64), words[i].answer);
		if (words[i].answer == -EBUSY) {
			assert_int_equal(atomic_load(bench.word), words[i].word);
			continue;
		}
		assert_int_equal(metal_shm_unlock(bench.shm, 64), 0);
		assert_int_equal(atomic_load(bench.word), 0);
	}
	end_bench(&bench);
}

static void hostile_words_harm_nobody(void **state)
{
	struct bench bench = new_bench();
	const uint64_t own = own_word(&bench);
	uint64_t random = 1;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		uint64_t word;
		int answer;

		random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
		word = i & 1 ? random : (own & ~METAL_SHM_LOCK_OWNER) | (random >> 36);
		atomic_store(bench.word, word);
		answer = metal_shm_lock_timeout(bench.shm, 64, i % 16 ? 0 : MS / 10);
		if (answer == -ETIMEDOUT) {
			assert_int_equal(atomic_load(bench.word) | METAL_SHM_LOCK_WAITERS,
					 word | METAL_SHM_LOCK_WAITERS);
			continue;
		}
		if (answer && answer != -EOWNERDEAD)
			fail_msg("%llx: %d", (unsigned long long)word, answer);
		assert_int_equal(metal_shm_unlock(bench.shm, 64), 0);
	}
	/* what pretends to be the caller's is the caller's */
	atomic_store(bench.word, own);
	assert_int_equal(metal_shm_lock(bench.shm, 64), -EDEADLK);
	assert_int_equal(metal_shm_unlock(bench.shm, 64), 0);
	end_bench(&bench);
}

static atomic_bool stop;

static void *scribble(void *user)
{
	struct bench *bench = user;

	for (uint64_t i = 0; !atomic_load(&stop); i++)
		atomic_store(bench->word, FIRMWARE + (i & 0xff));
	return NULL;
}

static void a_word_that_never_rests_ends_no_limit(void **state)
{
	struct bench bench = new_bench();
	pthread_t thread;

	(void)state;
	atomic_store(bench.word, FIRMWARE);
	atomic_store(&stop, false);
	run(&thread, scribble, &bench);
	assert_int_equal(metal_shm_lock_timeout(bench.shm, 64, 20 * MS), -ETIMEDOUT);
	assert_int_equal(metal_shm_trylock(bench.shm, 64), -EBUSY);
	atomic_store(&stop, true);
	join(thread);
	end_bench(&bench);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_word_is_as_documented),
		cmocka_unit_test(firmwares_lock_is_waited_for_and_never_broken),
		cmocka_unit_test(four_bytes_are_enough_for_firmware),
		cmocka_unit_test(an_owner_can_be_declared_ended),
		cmocka_unit_test(only_what_is_certain_breaks_a_lock),
		cmocka_unit_test(hostile_words_harm_nobody),
		cmocka_unit_test(a_word_that_never_rests_ends_no_limit),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
