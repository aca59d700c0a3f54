/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads of one program that share a coprocessor: each waits, each dispatches. */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "rproc_bench.h"

#define THREADS 3
#define ROUNDS  100

static atomic_bool over;
static char failed[] = "a call failed";

static void answer(struct firmware *f)
{
	struct shm__out out;

	if (!f->log[0])
		return;
	switch (f->log[strlen(f->log) - 1]) {
	case 'G':
		firmware_return(f, SHM__CODE_OK);
		break;
	case 'X':
		firmware_unshared(f, f->ended);
		break;
	case 'M':
		shm__session_send(&f->session, "answer", 6, &out);
		firmware_post(f, &out);
		break;
	default:
		break;
	}
	f->log[0] = '\0';
}

/* Gives back whatever it is given, answers each message. */
static void *run_firmware(void *argument)
{
	struct pollfd fd = { .fd = firmware.fd, .events = POLLIN };

	while (!atomic_load(&over)) {
		if (poll(&fd, 1, 10) == 1 && firmware_step(&firmware))
			answer(&firmware);
	}
	return argument;
}

static void *hand_over(void *argument)
{
	struct metal_generic_shm *view, *shm = attached(&view);

	for (unsigned i = 0; i < ROUNDS; i++) {
		if (metal_shm_rproc_share(dsp, shm, RW, NULL) ||
		    metal_shm_sync_for_device(shm, dsp, RW) ||
		    metal_shm_sync_for_cpu_timeout(shm, RW, 20 * SECOND))
			return failed;
	}
	drop(shm, view);
	return argument;
}

static void *talk(void *argument)
{
	char text[16];

	for (unsigned i = 0; i < ROUNDS; i++)
		if (metal_shm_rproc_send(dsp, "question", 8) ||
		    metal_shm_rproc_receive(dsp, text, sizeof(text), 20 * SECOND) != 6)
			return failed;
	return argument;
}

static void *change_their_patience(void *argument)
{
	for (unsigned i = 0; !atomic_load(&over); i++) {
		if (metal_shm_rproc_set_patience(dsp, (20 + i % 2) * SECOND))
			return failed;
		usleep(100);
	}
	return argument;
}

static void threads_share_a_core(void **state)
{
	pthread_t thread[THREADS + 3];
	void *said = NULL;

	(void)state;
	connect_with(64);
	atomic_store(&over, false);
	assert_int_equal(pthread_create(&thread[0], NULL, run_firmware, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i + 1], NULL, hand_over, NULL), 0);
	assert_int_equal(pthread_create(&thread[THREADS + 1], NULL, talk, NULL), 0);
	assert_int_equal(pthread_create(&thread[THREADS + 2], NULL, change_their_patience, NULL),
			 0);
	for (unsigned i = 1; i < THREADS + 2; i++) {
		pthread_join(thread[i], &said);
		if (said)
			fail_msg("%s", (char *)said);
	}
	while (fake->attached)
		metal_shm_device_dispatch(dsp);
	atomic_store(&over, true);
	pthread_join(thread[0], NULL);
	pthread_join(thread[THREADS + 2], &said);
	assert_null(said);
	assert_int_equal(fake->unshared, THREADS);
	assert_int_equal(info().faults, 0);
}

static pthread_barrier_t both;

static void *share_at_once(void *argument)
{
	pthread_barrier_wait(&both);
	return metal_shm_rproc_share(dsp, argument, RW, NULL) ? failed : NULL;
}

/* A buffer of so many pieces that the firmware is told of them by a table in memory of its own. */
static void threads_that_share_one_buffer_make_one_table(void **state)
{
	(void)state;
	connect_with(64);
	atomic_store(&over, false);
	assert_int_equal(pthread_barrier_init(&both, NULL, 2), 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		pthread_t thread[2];
		struct metal_generic_shm *view, *shm;
		void *said[2];

		fake->pieces = 32;
		shm = attached(&view);
		fake->pieces = 1; /* the table's */
		for (int j = 0; j < 2; j++)
			assert_int_equal(pthread_create(&thread[j], NULL, share_at_once, shm), 0);
		for (int j = 0; j < 2; j++)
			pthread_join(thread[j], &said[j]);
		assert_null(said[0]);
		assert_null(said[1]);
		/* the buffer and its table */
		assert_int_equal(fake->attached, 2);
		while (firmware_step(&firmware))
			answer(&firmware);
		drop(shm, view);
		while (fake->attached) {
			while (firmware_step(&firmware))
				answer(&firmware);
			metal_shm_device_dispatch(dsp);
		}
	}
	pthread_barrier_destroy(&both);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		RPROC_CASE(threads_share_a_core),
		RPROC_CASE(threads_that_share_one_buffer_make_one_table),
	};

	return rproc_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
