/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A child after fork has no thread but one, and nobody there would ever give back a lock that another
 * one held. In the child commands on imports are refused; what it has is good for exec and exit.
 *
 * fork() waits until nobody is in the tables. It can't wait for the locks that are held while a runtime
 * is called, as runtimes fork by themselves, for their compilers: the child gets new ones. They keep
 * calls apart and guard nothing that could be half done.
 */
#include "layer.h"

atomic_bool layer_forked;

static pthread_mutex_t *const *const guards[] = {
	&layer_queues_guard,
	&layer_engine_guard,
	&layer_events_guard,
	&layer_kernels_guard,
};

#define GUARDS (sizeof(guards) / sizeof(guards[0]))

static void before(void)
{
	for (size_t i = 0; i < GUARDS; i++)
		pthread_mutex_lock(*guards[i]);
	pthread_mutex_lock(&layer_objects_lock);
}

static void after(void)
{
	pthread_mutex_unlock(&layer_objects_lock);
	for (size_t i = GUARDS; i-- > 0;)
		pthread_mutex_unlock(*guards[i]);
}

static void in_child(void)
{
	after();
	pthread_mutex_init(layer_probe_guard, NULL);
	pthread_mutex_init(layer_barriers_guard, NULL);
	atomic_store(&layer_forked, true);
}

/* Without memory for it a fork is as dangerous as it is with any program that has threads. */
void layer_guard_forks(void)
{
	pthread_atfork(before, after, in_child);
}
