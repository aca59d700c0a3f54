/* SPDX-License-Identifier: BSD-3-Clause */
/* Waiting for devices without starving any: whoever waits dispatches all that it waits for. */
#include "core.h"

/* A device that reports through dispatch alone has to be asked now and then. */
#define ASK_AGAIN_NS INT64_C(1000000)

/* The clock is read only by those who wait: it can be a system call. */
int64_t shm__deadline_ns(struct shm__deadline *deadline)
{
	if (deadline->timeout_ns < 0)
		return METAL_SHM_FOREVER;
	if (!deadline->timeout_ns)
		return 0;
	if (!deadline->at_ns) {
		int64_t now = shm__os_now_ns();

		deadline->at_ns = deadline->timeout_ns < INT64_MAX - now
					  ? now + deadline->timeout_ns
					  : INT64_MAX;
	}
	return deadline->at_ns;
}

static int wait_once(struct metal_device *const devs[], size_t n, struct shm__wake *wake,
		     int os_handle, int64_t deadline_ns)
{
	int handles[SHM__MAX_DEVICES + 1];
	size_t count = 0;
	bool ask = false;

	for (size_t i = 0; i < n; i++) {
		int handle;

		/* a V4L2 queue that isn't streaming reports an error without end */
		if (!atomic_load(&devs[i]->pending))
			continue;
		handle = devs[i]->ops->poll_handle ? devs[i]->ops->poll_handle(devs[i]) : -1;

		if (handle >= 0)
			handles[count++] = handle;
		else if (devs[i]->ops->dispatch)
			ask = true;
	}
	if (os_handle >= 0)
		handles[count++] = os_handle;
	if (ask && deadline_ns) {
		int64_t again = shm__os_now_ns() + ASK_AGAIN_NS;

		if (deadline_ns < 0 || again < deadline_ns) {
			int error = shm__os_wait(wake, handles, count, again);

			return error == -ETIMEDOUT ? 0 : error;
		}
	}
	return shm__os_wait(wake, handles, count, deadline_ns);
}

/* Until something may have changed; os_handle is one more to wake at, or -1. */
int shm__sleep(struct metal_device *const devs[], size_t n, struct shm__wake *wake, int os_handle,
	       struct shm__deadline *deadline)
{
	return wait_once(devs, n, wake, os_handle, shm__deadline_ns(deadline));
}

/* Devices' errors are not the waiter's: they come back through metal_shm_unhold(). */
void shm__dispatch_all(struct metal_device *const devs[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (atomic_load(&devs[i]->pending))
			shm__device_dispatch(devs[i]);
}

/* Sleep, then let each device handle its events. -ETIMEDOUT only after a last dispatch. */
int shm__wait_devices(struct metal_device *const devs[], size_t n, struct shm__wake *wake,
		      struct shm__deadline *deadline)
{
	int error = shm__sleep(devs, n, wake, -1, deadline);

	if (!error || error == -ETIMEDOUT)
		shm__dispatch_all(devs, n);
	return error;
}

/* But this thread: it is awake, dispatches somebody and looks at what it waits for when that returns. */
void shm__wake_all(struct shm__waiter *list)
{
	const struct shm__wake *own = list ? shm__os_own_wake() : NULL;

	for (; list; list = list->next)
		if (list->wake != own)
			shm__os_wake_signal(list->wake);
}

void shm__waiter_remove(struct shm__waiter **list, struct shm__waiter *waiter)
{
	while (*list && *list != waiter)
		list = &(*list)->next;
	if (*list)
		*list = waiter->next;
}
