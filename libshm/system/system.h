/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the core asks of an operating system. system/linux and system/generic implement it with the
 * same file names; meson chooses one. os_types.h of the chosen one has what is inline, since each call
 * of the library does it:
 *
 *   typedef ... shm__mutex; #define SHM__MUTEX_INITIALISER
 *   void shm__mutex_lock(shm__mutex *mutex); void shm__mutex_unlock(shm__mutex *mutex);
 *   bool shm__mutex_trylock(shm__mutex *mutex): false where anybody has it, the caller included
 *   typedef ... shm__thread; shm__thread shm__os_thread(void): the calling one
 *   bool shm__os_is_thread(shm__thread thread): whether it is the calling one
 *   uint32_t shm__os_now_ms(void): monotonic milliseconds that wrap around, of a clock that costs no
 *     system call and may be some coarser
 *   SHM__MAX_DEVICES, SHM__HOLDERS: devices attached to one memory, and of these that may have the same
 *     bytes at a time; SHM__REASON_SIZE: of a reason in words, which a stack has room for
 *   bool shm__os_forked(void): in a child of fork() of a process that had used the library
 *
 * barrier.h is the processor's, from libshm/processor, since a lock need not be a barrier (glibc's is none
 * before there are threads) and is none for devices:
 *
 *   void shm__cpu_release(void): what the CPU read and wrote before is done before what it writes after,
 *     for devices too, with what it combines before it writes it
 *   void shm__cpu_acquire(bool cached): what it reads after, of memory that is cached or may not be, is
 *     read after what it read before
 *
 * A forked child takes no lock, since its parent's other threads may have left it locked for ever.
 */
#ifndef SHM_SYSTEM_H
#define SHM_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <shm/shm.h>

#include "barrier.h"
#include "os_types.h"

/* Zeroed memory for the library's own records; NULL when there is none. */
void *shm__os_alloc(size_t size);
void shm__os_free(void *memory);

void shm__mutex_init(shm__mutex *mutex);
void shm__mutex_destroy(shm__mutex *mutex);

/* Call it when the program ends by itself. 0, or not 0 without memory for that. */
int shm__os_at_exit(void (*function)(void));

/* Monotonic nanoseconds. */
int64_t shm__os_now_ns(void);

/* Bytes that the CPU writes back together. */
size_t shm__os_cache_line(void);

/* For the trace: the system's number of the calling thread, and number and name of the program. */
uint32_t shm__os_thread_number(void);
const char *shm__os_program(uint32_t *ret_number);

/* Write all of it to a descriptor of the program's. 0 or -errno with the reason. */
int shm__os_write(int os_handle, const char *bytes, size_t size);

/* This thread's last-error text; *ret_size bytes, zeroed at first. Never NULL. */
char *shm__os_error_text(size_t *ret_size);
void shm__os_set_errno(int error);

/* What tells one memory from another, however many descriptors it has; both 0: unknown. */
struct shm__identity {
	uint64_t device;
	uint64_t inode;
};

int shm__os_identity(int os_handle, struct shm__identity *ret);

/*
 * Waiting. A thread that waits publishes its wake under a lock of the core's; whoever changes what
 * it waits for signals it under the same lock.
 */
struct shm__wake;

/* This thread's wake, made at first use; NULL with errno when there are no descriptors left. */
struct shm__wake *shm__os_thread_wake(void);
void shm__os_wake_signal(struct shm__wake *wake);
/* This thread's, if it ever waited; NULL also where one has to be signalled that one's own code waits with. */
const struct shm__wake *shm__os_own_wake(void);

/*
 * Sleep until the wake was signalled, one of n handles has an event or an error, or the deadline
 * (shm__os_now_ns()'s clock; METAL_SHM_FOREVER) passes. 0 or -ETIMEDOUT, or -errno. Restarts at EINTR.
 */
int shm__os_wait(struct shm__wake *wake, const int handles[], size_t n, int64_t deadline_ns);

/*
 * Wait for the fences that kernel drivers put on a memory: the writers' where the next access only
 * reads, everybody's where it writes. A cache operation with a fence pending returns stale bytes.
 */
int shm__os_wait_fences(int os_handle, bool next_access_writes, int64_t deadline_ns);

/*
 * Fences that come and go as handles. How one ended: 0 it hasn't, 1 well, or -errno; put one on a memory,
 * for work that writes or only reads; get one for whoever will do that, a handle or -errno.
 */
int shm__os_fence_status(int fence);
void shm__os_fence_close(int fence);
int shm__os_fence_put(int os_handle, int fence, bool writes);
int shm__os_fence_get(int os_handle, bool writes);

/*
 * Lock words. The calling thread as it stands in them, owner and stamp; whether the owner that a word
 * names is known to have ended: one of which nothing is known never has; sleeping until a time of
 * shm__os_now_ns()'s clock, while the word stays as seen or in any case; waking one that sleeps on it.
 */
uint64_t shm__os_lock_owner(void);
bool shm__os_lock_gone(uint64_t word);
void shm__os_lock_sleep(const void *word, uint64_t seen, int64_t until_ns);
void shm__os_lock_nap(int64_t until_ns);
void shm__os_lock_wake(const void *word);

/*
 * Guarding: closing pages of the program's mapping of a memory, and what a handler of faults, which takes
 * no lock, says to one who touches them. Texts stay for the life of the process. One thread at a time
 * writes of one mapping: room for n marks, which may answer less; the marks; their count.
 */
#define SHM__SITE_SIZE 256
struct shm__guarded;
enum shm__mark_what { SHM__MARK_WRITES, SHM__MARK_READS, SHM__MARK_STALE };
struct shm__mark {
	size_t start, end;
	uint32_t since_ms;
	enum shm__mark_what what;
	const char *who;
	const char *where; /* it was handed over; NULL: nobody noted it */
};

bool shm__os_guard_wanted(void);
size_t shm__os_page_size(void);
int shm__os_protect(void *address, size_t length, int prot);
struct shm__guarded *shm__os_guard_new(void *address, size_t length, size_t size, bool writable,
				       const char *source, const char *name);
size_t shm__os_guard_write(struct shm__guarded *guarded, size_t n);
void shm__os_guard_mark(struct shm__guarded *guarded, size_t i, const struct shm__mark *from);
void shm__os_guard_written(struct shm__guarded *guarded, size_t n);
/* Lock-free: a forked child does it too. */
void shm__os_guard_end(struct shm__guarded *guarded);
/* A line of its own to where people look, for a program that takes no log lines. */
void shm__os_guard_say(const char *line);
/* The program's call, of those that led to a public function of the library's with this return address. */
void shm__os_call_site(const void *return_address, char text[static SHM__SITE_SIZE]);

/* The file in which properties of that device's memory can be declared; NULL: there is none. */
const char *shm__os_declared_in(const char *device);

/* The drivers that come with the library, NULL-terminated. */
struct metal_shm_driver;
extern const struct metal_shm_driver *const shm__os_drivers[];

#endif
