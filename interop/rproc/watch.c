/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether the core lives. The kernel tells by no event that a core was stopped, only that its RPMsg channel
 * went, which is before. So while the core has something it is looked at, a few times a second.
 */
#include <errno.h>
#include <sys/timerfd.h>
#include <time.h>

#include "internal.h"

#define LOOK_NS INT64_C(200000000) /* while it answers */
#define SOON_NS INT64_C(20000000)  /* when its channel is gone */

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* The coarse clock is a system call on no machine. */
uint32_t shm__rproc_now_ms(void)
{
	return (uint32_t)(clock_ns(CLOCK_MONOTONIC_COARSE) / 1000000);
}

int64_t shm__rproc_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

void shm__rproc_arm(struct shm__rproc *rproc)
{
	bool soon = rproc->endpoint.fd < 0 || rproc->ending ||
		    (rproc->rings.shm && rproc->unsent_count);
	struct itimerspec time = { .it_value = { 0, soon ? SOON_NS : LOOK_NS } };

	if (rproc->armed && rproc->armed_soon >= soon)
		return;
	rproc->armed = true;
	rproc->armed_soon = soon;
	timerfd_settime(rproc->timer_fd, 0, &time, NULL);
}

void shm__rproc_kick(struct shm__rproc *rproc)
{
	const struct itimerspec now = { .it_value = { 0, 1 } };

	rproc->armed = rproc->armed_soon = true;
	timerfd_settime(rproc->timer_fd, 0, &now, NULL);
}

static void ask_back(struct shm__rproc *rproc, struct shm__rproc_map *map)
{
	struct shm__out out;

	if (map->recalled || map->give != SHM__RPROC_GIVEN || !shm__rproc_may_post(rproc))
		return;
	if (!shm__session_recall(&rproc->session, map->id, 0, map->range.length, &out)) {
		map->recalled = true;
		shm__rproc_post(rproc, &out);
	}
}

/* Whether the firmware still owes an answer for it. */
static bool look_at(struct shm__rproc *rproc, struct shm__rproc_map *map)
{
	bool asked = map->wanted || !map->view || map->give == SHM__RPROC_LOST;

	if (map->give == SHM__RPROC_NOTHING && map->view)
		return false;
	if (!asked || map->late)
		return true;
	if (map->wanted)
		ask_back(rproc, map);
	if (rproc->patience_ns >= 0 &&
	    (int64_t)(shm__rproc_now_ms() - map->asked) * 1000000 >= rproc->patience_ns) {
		map->late = true;
		shm__rproc_wake(rproc);
	}
	return true;
}

/* A virtio device of a later start than the endpoint was of: the core was stopped in between. */
static bool restarted(const struct shm__rproc *rproc)
{
	struct shm__rproc_epoch now = shm__rproc_epoch(rproc->id);

	return rproc->epoch.last && now.first > rproc->epoch.last;
}

static int stopped(struct shm__rproc *rproc)
{
	int state = shm__rproc_state(rproc);

	if (state == METAL_SHM_RPROC_OFFLINE)
		return -EIO;
	if (state == -ENODEV)
		return -ENODEV; /* the kernel stops a core before it forgets it */
	if (rproc->ending && shm__rproc_importer_runs(rproc))
		return -EIO;
	return rproc->endpoint.fd < 0 && restarted(rproc) ? -EIO : 0;
}

void shm__rproc_tick(struct shm__rproc *rproc)
{
	int error = stopped(rproc);
	bool owed = rproc->ending || (rproc->rings.shm && rproc->unsent_count);

	rproc->armed = rproc->armed_soon = false;
	if (error) {
		/* so that the module doesn't tell of this end again, when the next run has begun */
		shm__rproc_importer_runs(rproc);
		shm__rproc_stopped(rproc, error);
		rproc->stopped_ms = shm__rproc_now_ms();
		return;
	}
	for (struct shm__rproc_map *map = rproc->maps; map; map = map->next)
		owed |= look_at(rproc, map);
	if (owed)
		shm__rproc_arm(rproc);
}
