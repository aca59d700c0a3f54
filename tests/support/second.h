/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A second one that runs at the same time: here a thread. tests/firmware/bare has the same for a machine
 * of two harts.
 */
#ifndef SECOND_H
#define SECOND_H

#include <pthread.h>

static _Thread_local unsigned second_me;
static pthread_t second_thread;

static inline unsigned second_number(void)
{
	return second_me;
}

static void *second_begin(void *run)
{
	second_me = 1;
	(*(void (**)(void))run)();
	return NULL;
}

static inline void second_run(void (*run)(void))
{
	static void (*what)(void);

	what = run;
	pthread_create(&second_thread, NULL, second_begin, &what);
}

static inline void second_wait(void)
{
	pthread_join(second_thread, NULL);
}

#endif
