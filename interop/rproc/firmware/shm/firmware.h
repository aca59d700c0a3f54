/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file firmware.h
 * libshm for a coprocessor's firmware: memory that a host shares, in place.
 *
 * The host is a struct metal_device. What it shares is a buffer, its own until it gives bytes of it: then
 *
 *	metal_shm_sync_for_cpu(shm, METAL_SHM_DIR_DEV_RW);
 *	... metal_shm_map(shm, ...) is where they are
 *	metal_shm_sync_for_device(shm, host, METAL_SHM_DIR_DEV_RW);
 *
 * takes them and gives them back; the platform's cache operations run on the way. metal_shm_allocate(size,
 * host, type) asks the host for memory, waits for it, and the firmware owns it; metal_shm_free() gives it
 * back. metal_shm_device_dispatch(host) is what the main loop calls.
 *
 * Whatever a host says is checked against what was said before and against what this processor reaches. The
 * conventions of shm.h hold; one hart or core calls all that is here. docs/porting.md has an example.
 */
#ifndef METAL_SHM_FIRMWARE_H
#define METAL_SHM_FIRMWARE_H

#include <shm/shm.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Bytes of the longest message that a channel carries. */
#define METAL_SHM_CHANNEL_MAX 496
/** Bytes of the longest message of the program's own, metal_shm_host_send(). */
#define METAL_SHM_MESSAGE_MAX 472

/**
 * What carries messages to the host: whole, in order, none lost.
 *
 * metal_shm_rpmsg_channel() and metal_shm_ring_channel() make one.
 */
struct metal_shm_channel {
	void *data;
	/** Send one, if there is room for it now. Calls nothing of libshm. */
	bool (*send)(void *data, const void *message, size_t size);
	/** Hand the next message that has come to metal_shm_host_received(). False: there was none. */
	bool (*poll)(void *data, struct metal_device *host);
	/** Messages that the host may send before poll was called; at least 1. */
	uint32_t room;
};

/**
 * What the firmware does when the host says something. Each may be NULL.
 *
 * They run in metal_shm_device_dispatch(host), also in that of a call that waits. They may take, use and
 * return the bytes they are told of, and must not wait for others: note what came, and do that later.
 */
struct metal_shm_host_events {
	/**
	 * Memory is shared. Nothing of it is ours yet. The handle lives until unshare was called, and longer
	 * by metal_shm_ref().
	 *
	 * @return 0, or -errno to refuse it
	 */
	int (*shared)(void *user, struct metal_generic_shm *shm, enum metal_shm_dir dir);
	/**
	 * Bytes are ours until they are handed back: those of @p shm, which is what was shared, or a part of
	 * it. With METAL_SHM_DIR_DEV_R the host goes on to read: take them by
	 * metal_shm_sync_for_cpu(shm, METAL_SHM_DIR_DEV_W), to read.
	 */
	void (*given)(void *user, struct metal_generic_shm *shm, enum metal_shm_dir dir);
	/** The host wants bytes of @p shm back soon. */
	void (*recalled)(void *user, struct metal_generic_shm *shm);
	/**
	 * The host ends it: return what is given, end own references, parts and views. When nothing is left
	 * the host is told.
	 */
	void (*unshare)(void *user, struct metal_generic_shm *shm);
	/** A message of the host's program; @p message is valid during the call. */
	void (*message)(void *user, const void *message, size_t size);
	/** The host began, maybe anew: what was shared before is void, and so is what was given. */
	void (*began)(void *user);
};

/** How a firmware meets its host. */
struct metal_shm_host_setup {
	uint32_t struct_size;
	uint32_t reach_count;
	/** Not NULL; both live as long as the host. */
	const struct metal_shm_channel *channel;
	const struct metal_shm_host_events *events;
	void *user;
	/**
	 * Addresses, as this processor sees them, in which the host's memory may lie: what leaves them is
	 * refused. The firmware's own memory is not among them. At least one.
	 */
	const struct metal_shm_segment *reach;
	/** How long metal_shm_allocate() waits for the host. */
	int64_t request_timeout_ns;
};

/**
 * Make the device that stands for the host.
 *
 * @param setup     copied, but for what it points to
 * @param ret_host  receives it; it lives as long as the firmware
 * @return 0; -EINVAL half a setup, or no platform yet; -ENOSPC there is one already; -ENOMEM
 */
int metal_shm_host_open(const struct metal_shm_host_setup *setup, struct metal_device **ret_host);

/**
 * Say that this end begins, over a channel on which the host can't tell (a ring).
 *
 * All that was shared is void. Over RPMsg the host begins.
 *
 * @param host  the host
 * @return 0; -EINVAL not the host; -EAGAIN the channel has no room
 */
int metal_shm_host_begin(struct metal_device *host);

/**
 * One message came: for writers of channels, from their poll operation alone.
 *
 * @param host     the host
 * @param message  copied from where the host could change it
 * @param size     bytes
 */
void metal_shm_host_received(struct metal_device *host, const void *message, size_t size);

/**
 * Send a message to the host's program. It arrives in order with what is given and returned.
 *
 * @param host     the host
 * @param message  the bytes
 * @param size     how many, 1 to METAL_SHM_MESSAGE_MAX
 * @return 0; -EINVAL; -EAGAIN the host takes none just now: dispatch, and try again; -ENOTCONN it hasn't begun
 */
int metal_shm_host_send(struct metal_device *host, const void *message, size_t size);

/**
 * Hand bytes back as metal_shm_sync_for_device() does, but for a failure: they are undefined.
 *
 * @param shm    the handle that was given
 * @param host   the host
 * @param error  -ECANCELED nothing was done with them; any other -errno the work failed
 * @return as metal_shm_sync_for_device(); -EINVAL @p error is not negative
 */
int metal_shm_host_fail(struct metal_generic_shm *shm, struct metal_device *host, int error);

/**
 * The number by which the host's program names what it shared, for messages between the two programs.
 *
 * @param shm     any handle of memory that the host shared, attached to @p host
 * @param host    the host
 * @param ret_id  receives it
 * @return 0; -EINVAL not attached to the host
 */
int metal_shm_host_id(struct metal_generic_shm *shm, struct metal_device *host, uint32_t *ret_id);

/** What was counted of a host since it was opened. */
struct metal_shm_host_stats {
	uint32_t faults; /**< messages that failed a check; each was answered and changed nothing */
	uint32_t stale;  /**< of before a restart */
	uint32_t refused; /**< ours that the host refused */
	uint32_t shares;  /**< that there are now */
};

/**
 * @param host  the host
 * @param ret   receives the counts
 * @return 0; -EINVAL
 */
int metal_shm_host_stats(const struct metal_device *host, struct metal_shm_host_stats *ret);

#ifdef __cplusplus
}
#endif
#endif
