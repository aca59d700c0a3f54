/* SPDX-License-Identifier: BSD-3-Clause */
/* Who owns a lock word, whether it is still there, and sleeping on the word. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "system.h"

#define NS_PER_S INT64_C(1000000000)
#define NAP_NS   INT64_C(1000000)

/*
 * A stamp: 20 bits of the place in which the number means this thread, which are the boot of a kernel
 * and the namespaces of PIDs and of time, then 12 of the time at which it started, since numbers are
 * used again. 0: nothing can be told.
 */
#define OWNER_BITS  32
#define START_BITS  12
#define START_MASK  ((UINT64_C(1) << START_BITS) - 1)
#define PLACE_MASK  ((UINT64_C(1) << 20) - 1)
#define NUMBER_MASK UINT64_C(0x3fffffff)

struct thread {
	long number;
	char state;
	uint64_t start;
};

static pthread_once_t place_once = PTHREAD_ONCE_INIT;
static uint64_t place;
static _Thread_local uint64_t owner;

static bool read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, size - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* Of proc_pid_stat(5): the name in parentheses may hold anything, the 3rd and the 22nd follow it. */
static bool read_thread(const char *path, struct thread *ret)
{
	char text[1024], *at;

	if (!read_text(path, text, sizeof(text)))
		return false;
	ret->number = strtol(text, NULL, 10);
	at = strrchr(text, ')');
	if (!at || at[1] != ' ' || !at[2])
		return false;
	ret->state = at[2];
	at += 2;
	for (int field = 3; field < 22; field++) {
		at = strchr(at, ' ');
		if (!at)
			return false;
		at++;
	}
	ret->start = strtoull(at, NULL, 10);
	return true;
}

static uint64_t mix(uint64_t hash, const void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ ((const unsigned char *)bytes)[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static void find_place(void)
{
	static const char *const namespaces[] = { "/proc/self/ns/pid", "/proc/self/ns/time" };
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	struct stat status;
	char boot[64];

	if (!read_text("/proc/sys/kernel/random/boot_id", boot, sizeof(boot)))
		return;
	hash = mix(hash, boot, strlen(boot));
	for (int i = 0; i < 2; i++) {
		status.st_ino = 0;
		/* a kernel without such namespaces has one */
		if (stat(namespaces[i], &status) && errno != ENOENT)
			return;
		hash = mix(hash, &status.st_ino, sizeof(status.st_ino));
	}
	hash = (hash ^ hash >> 20 ^ hash >> 40) & PLACE_MASK;
	place = hash ? hash : 1;
}

static uint64_t stamp(uint64_t start)
{
	return place << START_BITS | (start & START_MASK);
}

uint64_t shm__os_lock_owner(void)
{
	struct thread self;
	int error = errno;

	if (owner)
		return owner;
	pthread_once(&place_once, find_place);
	owner = (uint64_t)gettid();
	/* in a /proc of another namespace the number would be another thread's */
	if (place && read_thread("/proc/thread-self/stat", &self) &&
	    self.number == (long)(owner & NUMBER_MASK))
		owner |= stamp(self.start) << OWNER_BITS;
	errno = error;
	return owner;
}

/* Of a thread that can't be seen nothing is told: only what is certain breaks a lock. */
bool shm__os_lock_gone(uint64_t word)
{
	const uint64_t me = shm__os_lock_owner(), stamps = me ^ word;
	const pid_t number = (pid_t)(word & NUMBER_MASK);
	struct thread thread;
	int error = errno;
	char path[32];
	bool gone;

	if (!number || !(me >> OWNER_BITS) || stamps >> (OWNER_BITS + START_BITS))
		return false;
	gone = kill(number, 0) < 0 && errno == ESRCH;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)number);
	if (!gone && read_thread(path, &thread))
		gone = thread.state == 'Z' || thread.state == 'X' ||
		       stamp(thread.start) != word >> OWNER_BITS;
	errno = error;
	return gone;
}

/* The half with the owner, whose place is the processor's byte order's. */
static const uint32_t *half(const void *word)
{
	static const uint64_t probe = 1;
	uint32_t first;

	memcpy(&first, &probe, sizeof(first));
	return (const uint32_t *)word + (first ? 0 : 1);
}

void shm__os_lock_nap(int64_t until_ns)
{
	struct timespec until = { .tv_sec = (time_t)(until_ns / NS_PER_S),
				  .tv_nsec = (long)(until_ns % NS_PER_S) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

void shm__os_lock_sleep(const void *word, uint64_t seen, int64_t until_ns)
{
	/* what this system call takes where time_t is wider than long, too */
	const struct {
		long s, ns;
	} until = { (long)(until_ns / NS_PER_S), (long)(until_ns % NS_PER_S) };
	int error = errno;

	if (syscall(SYS_futex, half(word), FUTEX_WAIT_BITSET, (uint32_t)seen, &until, NULL,
		    FUTEX_BITSET_MATCH_ANY) < 0 &&
	    errno != EAGAIN && errno != EINTR && errno != ETIMEDOUT) {
		/* the kernel knows no page behind some devices' mappings: nobody is woken there */
		int64_t soon = shm__os_now_ns() + NAP_NS;

		shm__os_lock_nap(soon < until_ns ? soon : until_ns);
	}
	errno = error;
}

void shm__os_lock_wake(const void *word)
{
	int error = errno;

	syscall(SYS_futex, half(word), FUTEX_WAKE, 1);
	errno = error;
}
