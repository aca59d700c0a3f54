/* SPDX-License-Identifier: BSD-3-Clause */
/* Sleeping until a thread is woken, a device has an event, or a kernel fence signals. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <shm/device.h>

#include "system.h"

/* The core's most devices, and one of its caller's. */
#define MAX_HANDLES 65
#define NS_PER_S    INT64_C(1000000000)

struct shm__wake {
	int fd;
};

static _Thread_local struct shm__wake *this_wake;

/* It only carries the destructor: a thread that ends takes its wake along. */
static pthread_key_t key;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static int key_error;

static void wake_free(void *data)
{
	struct shm__wake *wake = data;

	this_wake = NULL;
	close(wake->fd);
	shm__os_free(wake);
}

static void key_make(void)
{
	key_error = pthread_key_create(&key, wake_free);
}

/* Threads that outlive an unloaded library must not call into it; their descriptors stay. */
__attribute__((destructor)) static void key_drop(void)
{
	pthread_once(&key_once, key_make);
	if (!key_error)
		pthread_key_delete(key);
	key_error = ENODEV;
}

static int wake_make(struct shm__wake **ret_wake)
{
	struct shm__wake *wake;
	int error;

	pthread_once(&key_once, key_make);
	if (key_error)
		return key_error;
	wake = shm__os_alloc(sizeof(*wake));
	if (!wake)
		return ENOMEM;
	wake->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (wake->fd < 0) {
		error = errno;
		goto free_wake;
	}
	error = pthread_setspecific(key, wake);
	if (error)
		goto close_fd;
	*ret_wake = wake;
	return 0;
close_fd:
	close(wake->fd);
free_wake:
	shm__os_free(wake);
	return error;
}

struct shm__wake *shm__os_thread_wake(void)
{
	int error;

	if (this_wake)
		return this_wake;
	error = wake_make(&this_wake);
	if (error)
		metal_shm_set_error(error, "no descriptor to wait with: %s", strerror(error));
	return this_wake;
}

const struct shm__wake *shm__os_own_wake(void)
{
	return this_wake;
}

/* It fails only when the count is full, and then the thread wakes anyway. */
void shm__os_wake_signal(struct shm__wake *wake)
{
	eventfd_write(wake->fd, 1);
}

/* 0 or less polls without a look at the clock, which may be a system call. */
static struct timespec *time_left(int64_t deadline_ns, struct timespec *left)
{
	int64_t ns = 0;

	if (deadline_ns == METAL_SHM_FOREVER)
		return NULL;
	if (deadline_ns > 0)
		ns = deadline_ns - shm__os_now_ns();
	if (ns < 0)
		ns = 0;
	left->tv_sec = ns / NS_PER_S;
	left->tv_nsec = ns % NS_PER_S;
	return left;
}

/* ppoll() says itself which handles are bad: whatever it reports of one makes it ready. */
static int poll_until(struct pollfd fds[], nfds_t n, int64_t deadline_ns)
{
	struct timespec left;
	int ready;

	do {
		ready = ppoll(fds, n, time_left(deadline_ns, &left), NULL);
	} while (ready < 0 && errno == EINTR);
	if (ready < 0) {
		int error = errno;

		return metal_shm_set_error(error, "ppoll: %s", strerror(error));
	}
	return ready ? 0 : -ETIMEDOUT;
}

int shm__os_wait(struct shm__wake *wake, const int handles[], size_t n, int64_t deadline_ns)
{
	struct pollfd fds[1 + MAX_HANDLES];
	eventfd_t count;
	int error;

	if (n > MAX_HANDLES)
		return metal_shm_set_error(EINVAL, "%zu handles to wait for, more than %d", n,
					   MAX_HANDLES);
	fds[0] = (struct pollfd){ .fd = wake ? wake->fd : -1, .events = POLLIN };
	for (size_t i = 0; i < n; i++)
		fds[1 + i] = (struct pollfd){ .fd = handles[i], .events = POLLIN };
	error = poll_until(fds, 1 + n, deadline_ns);
	if (!error && wake && fds[0].revents)
		eventfd_read(wake->fd, &count);
	return error;
}

int shm__os_wait_fences(int os_handle, bool next_access_writes, int64_t deadline_ns)
{
	struct pollfd fd = { .fd = os_handle, .events = next_access_writes ? POLLOUT : POLLIN };
	int error;

	/* Without a descriptor no driver could put a fence on it. */
	if (os_handle < 0)
		return 0;
	error = poll_until(&fd, 1, deadline_ns);
	if (error)
		return error;
	if (fd.revents & POLLNVAL)
		return metal_shm_set_error(EBADF, "descriptor %d of a memory was closed",
					   os_handle);
	if (!(fd.revents & fd.events))
		return metal_shm_set_error(EIO, "descriptor %d of a memory tells no fences",
					   os_handle);
	return 0;
}
