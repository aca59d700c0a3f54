/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file sim_device.h
 * A simulated machine's sources and devices, as libshm sees them: sim_machine.h behind the public table
 * of operations.
 */
#ifndef SIM_DEVICE_H
#define SIM_DEVICE_H

#include "sim_machine.h"

/** A device that gives a machine's memory. */
struct sim_source {
	struct metal_device *dev;
	struct sim_machine *machine;
	enum sim_kind kind;
	struct sim_memory *newest;
	unsigned live;     /**< memories that are not given back */
	unsigned fails_in; /**< the allocation that fails, counted down; 0 none */
	bool closed;
};

/** A device that uses it. */
struct sim_device {
	struct metal_device *dev;
	enum metal_shm_access access; /**< what its views answer */
	bool by_cpu;                  /**< what it does */
	bool needs_whole;             /**< it takes no part of a buffer */
	unsigned attached;
	bool closed;
};

/**
 * Make a source.
 *
 * @param machine  the machine
 * @param kind     what its memories are like
 * @param name     the device's
 * @return ended by sim_source_end(), when its memories are given back
 */
struct sim_source *sim_source_new(struct sim_machine *machine, enum sim_kind kind,
				  const char *name);
void sim_source_end(struct sim_source *source);

/**
 * Make a device. One of an unknown kind uses DMA; set by_cpu for another.
 *
 * @param access  what it tells of itself
 * @param name    the device's
 * @return ended by sim_device_end(), when nothing is attached to it
 */
struct sim_device *sim_device_new(enum metal_shm_access access, const char *name);
void sim_device_end(struct sim_device *device);

/**
 * What a device sees of a handle that is attached to it, wherever its view has the bytes.
 *
 * @param device  the device
 * @param shm     the handle
 * @return valid until the view ends
 */
struct sim_attached *sim_device_view(const struct sim_device *device,
				     struct metal_generic_shm *shm);

/** What the device does; @p offset is from the start of the handle's range. */
void sim_device_read(const struct sim_attached *attached, size_t offset, void *bytes, size_t n);
void sim_device_write(struct sim_attached *attached, size_t offset, const void *bytes, size_t n);

#endif
