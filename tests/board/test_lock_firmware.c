/* SPDX-License-Identifier: BSD-3-Clause */
/* One lock in shared memory, taken in turns by threads of Linux and by the firmware board-lock.elf. */
#include <threads.h>

#include <shm/lock.h>

#include "lock_firmware.h"
#include "rproc_board.h"

#define MET     20 /* times that each side has to find the other */
#define THREADS 2
#define OWNER   (METAL_SHM_LOCK_FIRMWARE + 1) /* the firmware's, as it was built */

static struct lock_firmware_shared *shared;

static struct shared begin(void)
{
	struct metal_device *dsp = dsp_open();
	struct shared s;

	ok(metal_shm_rproc_start(dsp, "board-lock.elf", METAL_SHM_RPROC_STOP_WITH_US));
	ok(metal_shm_rproc_connect(dsp, LONG));
	s = share(dsp, "heap:reserved", 4096);
	memset(s.bytes, 0, s.size);
	shared = (struct lock_firmware_shared *)s.bytes;
	return s;
}

static void end(struct shared *s)
{
	struct metal_device *dsp = s->dsp;

	unshare(s);
	dsp_close(dsp);
}

static void tell(const struct shared *s, int what, int value)
{
	const struct lock_firmware_command command = { what, value };

	ok(metal_shm_rproc_send(s->dsp, &command, sizeof(command)));
}

static int answer(const struct shared *s, int what)
{
	struct lock_firmware_command said = { 0, 0 };

	ok(metal_shm_rproc_receive(s->dsp, &said, sizeof(said), LONG));
	assert_int_equal(said.what, what);
	return said.value;
}

struct counting {
	struct metal_generic_shm *shm;
	int64_t until;
	unsigned times, met; /* how often the firmware had it */
	int error;
};

static int count(void *user)
{
	struct counting *counting = user;

	while (!counting->error && (counting->met < MET || shared->met < MET) &&
	       now_ns() < counting->until) {
		int error = metal_shm_trylock(counting->shm, 0);

		if (error == -EBUSY) {
			counting->met += strstr(metal_shm_last_error(), "firmware") != NULL;
			error = metal_shm_lock(counting->shm, 0);
		}
		if (!error)
			shared->counter++;
		counting->error = error ? error : metal_shm_unlock(counting->shm, 0);
		counting->times++;
	}
	return 0;
}

static void threads_and_firmware_lose_no_count(void **state)
{
	struct shared s = begin();
	struct counting counting[THREADS];
	thrd_t threads[THREADS];
	unsigned times = 0;
	int firmware;

	(void)state;
	tell(&s, LOCK_COUNT, 0);
	for (int i = 0; i < THREADS; i++) {
		counting[i] = (struct counting){ .shm = s.shm, .until = now_ns() + LONG };
		assert_int_equal(thrd_create(&threads[i], count, &counting[i]), thrd_success);
	}
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(thrd_join(threads[i], NULL), thrd_success);
		assert_int_equal(counting[i].error, 0);
		times += counting[i].times;
	}
	shared->stop = 1;
	firmware = answer(&s, LOCK_COUNT);
	shm_test_note("threads %u times, of which they met the firmware %u and %u, firmware %d "
		      "times, of which it met a thread %llu",
		      times, counting[0].met, counting[1].met, firmware, shared->met);
	assert_int_equal(shared->counter, times + (unsigned)firmware);
	assert_true(counting[0].met >= MET && counting[1].met >= MET && shared->met >= MET);
	assert_int_equal(shared->lock & METAL_SHM_LOCK_OWNER, 0);
	end(&s);
}

static void each_side_waits_for_the_other_as_long_as_it_likes(void **state)
{
	struct shared s = begin();

	(void)state;
	tell(&s, LOCK_HOLD, 0);
	assert_int_equal(answer(&s, LOCK_HOLD), LOCK_OK);
	assert_int_equal(shared->lock & METAL_SHM_LOCK_OWNER, OWNER);
	fails(metal_shm_lock_timeout(s.shm, 0, SECOND / 20), ETIMEDOUT, "firmware 536870913 has");
	fails(metal_shm_unlock(s.shm, 0), EPERM, "firmware");
	tell(&s, LOCK_GIVE, 0);
	assert_int_equal(answer(&s, LOCK_GIVE), LOCK_OK);
	ok(metal_shm_lock(s.shm, 0));
	tell(&s, LOCK_TRY, 50);
	assert_int_equal(answer(&s, LOCK_TRY), LOCK_LATE);
	tell(&s, LOCK_GIVE, 0);
	assert_int_equal(answer(&s, LOCK_GIVE), LOCK_NOT_MINE);
	tell(&s, LOCK_TRY, 10000);
	pause_ms(20);
	ok(metal_shm_unlock(s.shm, 0));
	assert_int_equal(answer(&s, LOCK_TRY), LOCK_OK);
	assert_int_equal(shared->lock & METAL_SHM_LOCK_OWNER, OWNER);
	end(&s);
}

/* Nothing is guessed: the program stops the core, knows so, and says it. */
static void firmware_dies_with_the_lock(void **state)
{
	struct shared s = begin();
	struct metal_device *dsp = s.dsp;
	int64_t until = now_ns() + LONG;

	(void)state;
	/* else the kernel starts it again, before or after the program stops it */
	assert_int_equal(coprocessor_write("recovery", "disabled"), 0);
	tell(&s, LOCK_TRAP, 0);
	while (!shared->half && now_ns() < until)
		pause_ms(1);
	assert_int_equal(shared->half, 1);
	fails(metal_shm_lock_timeout(s.shm, 0, SECOND / 20), ETIMEDOUT, "firmware");
	ok(metal_shm_rproc_stop(dsp));
	fails(metal_shm_lock_timeout(s.shm, 0, 0), ETIMEDOUT, "firmware");
	ok(metal_shm_lock_disown(s.shm, 0, OWNER));
	fails(metal_shm_lock(s.shm, 0), EOWNERDEAD, "half written");
	assert_int_equal(shared->half, 1);
	shared->half = 0;
	ok(metal_shm_unlock(s.shm, 0));
	fails(metal_shm_lock_disown(s.shm, 0, OWNER), ESRCH, "nobody");
	ok(metal_shm_trylock(s.shm, 0));
	ok(metal_shm_unlock(s.shm, 0));
	end(&s);
	assert_int_equal(coprocessor_write("recovery", "enabled"), 0);
}

/* The same between a Linux thread that ended and the firmware: the word tells it alone. */
static void firmware_gets_the_lock_of_who_was_declared_dead(void **state)
{
	struct shared s = begin();
	uint32_t me;

	(void)state;
	ok(metal_shm_lock(s.shm, 0));
	me = (uint32_t)(shared->lock & METAL_SHM_LOCK_OWNER);
	ok(metal_shm_lock_disown(s.shm, 0, me));
	tell(&s, LOCK_HOLD, 0);
	assert_int_equal(answer(&s, LOCK_HOLD), LOCK_ENDED);
	tell(&s, LOCK_GIVE, 0);
	assert_int_equal(answer(&s, LOCK_GIVE), LOCK_OK);
	tell(&s, LOCK_HOLD, 0);
	assert_int_equal(answer(&s, LOCK_HOLD), LOCK_OK);
	end(&s);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_and_firmware_lose_no_count),
		cmocka_unit_test(each_side_waits_for_the_other_as_long_as_it_likes),
		cmocka_unit_test(firmware_dies_with_the_lock),
		cmocka_unit_test(firmware_gets_the_lock_of_who_was_declared_dead),
	};

	wait_once();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
