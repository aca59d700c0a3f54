/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The trace: each transition of a memory is one record in a ring, written by any thread without a lock;
 * metal_shm_trace_write() makes a timeline of them. Included by core.h.
 *
 * A hook is one line where the transition has happened:
 *
 *	shm__trace(root, view->dev, SHM__TRACE_DONE, view->offset, view->size, error);
 */
#ifndef SHM_TRACE_H
#define SHM_TRACE_H

/* dev, offset and size are whom it concerns and the bytes; what detail is stands beside each. */
enum shm__trace_event {
	SHM__TRACE_BORN = 1, /* dev: the source; detail: none from here on, where nothing is said */
	SHM__TRACE_IMPORTED, /* a descriptor of it was imported, maybe once more */
	SHM__TRACE_SHADOW,   /* dev: who has it instead of a part of another memory */
	SHM__TRACE_WINDOW,   /* of these bytes; dev: who has it */
	SHM__TRACE_FREED,    /* dev: the source; the memory is gone */
	SHM__TRACE_MAPPED,   /* by the program; dev: the source */
	SHM__TRACE_ATTACHED,
	SHM__TRACE_DETACHED,
	SHM__TRACE_QUEUED,    /* given with work queued, until DONE; detail: the direction */
	SHM__TRACE_GIVEN,     /* given without; detail: the direction */
	SHM__TRACE_PART_DONE, /* one of several works is done; detail: 0 or -errno */
	SHM__TRACE_DONE,      /* the last one is; detail: 0 or -errno */
	SHM__TRACE_TAKEN,     /* by the program; detail: the accesses that ended */
	SHM__TRACE_START,     /* dev: the source; detail: the direction */
	SHM__TRACE_END,       /* likewise */
	SHM__TRACE_WAIT,   /* dev: who waits, NULL: the program; detail: 1 for a kernel's fence */
	SHM__TRACE_WAITED, /* the same thread waits no longer */
	SHM__TRACE_COPIED_OUT, /* dev: whose copy was filled; size: the bytes that were copied */
	SHM__TRACE_COPIED_BACK,
	SHM__TRACE_COPIED, /* an adapter did it */
};

struct shm__ring;
extern struct shm__ring *_Atomic shm__trace_ring __attribute__((visibility("hidden")));

void shm__trace_record(const struct shm__root *root, const struct metal_device *dev,
		       enum shm__trace_event event, uint64_t offset, uint64_t size, int detail)
	__attribute__((cold));

/*
 * The program itself where dev is NULL. A macro, so that off it costs a look and a branch and nothing is
 * made ready for it.
 */
#define shm__trace(root, dev, event, offset, size, detail)                         \
	do {                                                                       \
		if (atomic_load_explicit(&shm__trace_ring, memory_order_relaxed))  \
			shm__trace_record(root, dev, event, offset, size, detail); \
	} while (0)

#endif
