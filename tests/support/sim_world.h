/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file sim_world.h
 * A program on a simulated machine: its handles, its devices, and beside each buffer the model of it.
 * Operations are data; one that makes no sense in the world's state is left out, so that any sequence
 * of them can be run, also with some taken away.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "sim_device.h"
#include "sim_model.h"

#define SIM_HANDLES    12u
#define SIM_DEVICES    7u
#define SIM_MOST_BYTES ((size_t)4 * SIM_PAGE)

/* Parts each have an ownership of their own. */
#define SIM_PARTS 1

/** What an operation does; behind it the fields that it looks at beside steps and value. */
enum sim_op_kind {
	SIM_ALLOCATE,     /**< handle, source, size */
	SIM_SUB,          /**< handle, of, offset, size */
	SIM_FREE,         /**< handle */
	SIM_MAP,          /**< handle, dir as METAL_SHM_READ and _WRITE */
	SIM_UNMAP,        /**< handle */
	SIM_CPU_WRITE,    /**< handle, offset, size */
	SIM_ATTACH,       /**< handle, device, view */
	SIM_DETACH,       /**< view */
	SIM_TO_DEVICE,    /**< handle, device, dir */
	SIM_QUEUE,        /**< the same, by a verb that queues work */
	SIM_COMPLETE,     /**< view: its work is done, one of them */
	SIM_FAIL,         /**< view: one of them failed */
	SIM_DEVICE_WRITE, /**< view, offset, size */
	SIM_TO_CPU,       /**< handle, dir */
	SIM_SETTLE,       /**< handle */
	SIM_FORK,         /**< handle: that the child frees */
	SIM_OP_KINDS,
};

/** An operation on slots; what is outside a handle's range is left out. */
struct sim_op {
	enum sim_op_kind kind;
	unsigned handle, of, view, device, source, dir;
	size_t offset, size;
	unsigned steps; /**< of the machine, before it */
	unsigned value; /**< what these do, and what is written */
};

struct sim_root {
	struct sim_model *model;
	enum sim_kind kind;
	bool reports;           /**< the program tells the library what it writes */
	unsigned users;         /**< handles and views */
	unsigned mapped;        /**< handles that are mapped */
	unsigned char *address; /**< of the first byte, for the CPU */
};

struct sim_handle {
	struct metal_generic_shm *shm; /**< NULL: the slot is free */
	struct sim_root *root;
	size_t offset, size;
	int prot;     /**< it is mapped so */
	bool no_copy; /**< METAL_SHM_SUB_NO_COPY */
};

struct sim_view {
	struct metal_generic_shm *shm; /**< NULL: the slot is free */
	struct sim_root *root;
	size_t offset, size;
	unsigned device;
	unsigned count;   /**< attachments; 0: it ends with its work */
	unsigned pending; /**< queued works */
	bool done;        /**< they are over: the device reads and writes no more */
	struct sim_attached *attached;
};

/** How often each kind was done, and what libshm refused that it may refuse. */
struct sim_tally {
	unsigned done[SIM_OP_KINDS];
	unsigned left_out;           /**< they made no sense */
	unsigned refused[SIM_KINDS]; /**< hand-overs, of each kind of memory */
	unsigned lost;               /**< hand-overs that told of lost bytes */
	unsigned windows;            /**< attachments by windows */
};

/** What came of a world. */
struct sim_outcome {
	char why[256]; /**< the first thing that went wrong, or "" */
	struct sim_tally tally;
};

struct sim_world {
	struct sim_machine *machine;
	struct sim_source *sources[SIM_KINDS];
	struct sim_device *devices[SIM_DEVICES];
	struct sim_handle handles[SIM_HANDLES];
	struct sim_view views[SIM_VIEWS];
	struct sim_outcome outcome;
};

/**
 * Make a world without buffers.
 *
 * @param mistakes  what its machine does wrong, SIM_FORGETS_*
 * @return ended by sim_world_end()
 */
struct sim_world *sim_world_new(unsigned mistakes);
/** Take all back, compare it a last time, end it all, and say what came of it. */
struct sim_outcome sim_world_end(struct sim_world *world);

/**
 * Do an operation; then read everything that anyone may read now.
 *
 * @return false: what went wrong is in the outcome, and nothing more may be done
 */
bool sim_world_do(struct sim_world *world, const struct sim_op *op);

/** Do it. False: it makes no sense now, and nothing was done. */
bool sim_world_operate(struct sim_world *world, const struct sim_op *op);

/** Say what went wrong; the first has the word. */
void sim_world_wrong(struct sim_world *world, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/** The view of a range on a device, or SIM_VIEWS. */
unsigned sim_world_view(const struct sim_world *world, const struct sim_handle *handle,
			unsigned device);

/**
 * Whether a device writes past the cache, now, what an operation on other bytes could not spare: where all
 * of the memory is synced at once anything else, otherwise what shares a line. Only then a hand-over may be
 * refused, and never one of everything; and only then a shadow's bytes may be lost with its view.
 */
bool sim_world_stands_in_the_way(const struct sim_world *world, const struct sim_root *root,
				 size_t offset, size_t size);

/** Whether the attach must be refused since another device works on copies of the same buffer. Parts have
 *  memories of their own. */
bool sim_world_bounces(const struct sim_world *world, const struct sim_handle *handle,
		       unsigned device);

/** What the device's view stands for: a window or a copy where it takes no part of a buffer, or its syncs
 *  would reach beyond. */
enum metal_shm_view_mode sim_world_mode(const struct sim_world *world,
					const struct sim_handle *handle, unsigned device);

/** The views of a buffer that have work queued, in bits, of all devices but one. */
uint32_t sim_world_pending(const struct sim_world *world, const struct sim_root *root,
			   unsigned but);

/** Whether the device has work queued on some of the bytes by another view: what it does to them by two
 *  at once nobody says. */
bool sim_world_disagrees(const struct sim_world *world, const struct sim_handle *handle,
			 unsigned device, unsigned view);

#endif
