/* SPDX-License-Identifier: BSD-3-Clause */
/* Waiting: nobody can be woken here, so whoever waits looks again after a rest of the platform's. */
#include <errno.h>

#include "core.h"
#include "platform.h"

/* There is nothing to keep of a sleeper, only something to point to. */
struct shm__wake {
	char nothing;
};

struct shm__wake *shm__os_thread_wake(void)
{
	static struct shm__wake wake;

	return &wake;
}

/* An interrupt's code signals what the code that it interrupted waits with. */
const struct shm__wake *shm__os_own_wake(void)
{
	return NULL;
}

void shm__os_wake_signal(struct shm__wake *wake)
{
	(void)wake;
}

static bool is_over(int64_t deadline_ns)
{
	return deadline_ns != METAL_SHM_FOREVER && shm__os_now_ns() >= deadline_ns;
}

/* One rest is enough: the core looks itself whether anything has changed, and comes back. */
int shm__os_wait(struct shm__wake *wake, const int handles[], size_t n, int64_t deadline_ns)
{
	(void)wake;
	(void)handles;
	(void)n;
	if (is_over(deadline_ns))
		return -ETIMEDOUT;
	shm__os_relax();
	return 0;
}

uint64_t shm__os_lock_owner(void)
{
	return (uint64_t)shm__platform.lock_owner + shm__os_processor();
}

/* Of a thread or another processor nothing is known here. */
bool shm__os_lock_gone(uint64_t word)
{
	(void)word;
	return false;
}

void shm__os_lock_nap(int64_t until_ns)
{
	while (!is_over(until_ns))
		shm__os_relax();
}

/* Who gives a lock back wakes nobody here either: look again at once. */
void shm__os_lock_sleep(const void *word, uint64_t seen, int64_t until_ns)
{
	(void)word;
	(void)seen;
	(void)until_ns;
	shm__os_relax();
}

void shm__os_lock_wake(const void *word)
{
	(void)word;
}
