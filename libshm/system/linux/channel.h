/* SPDX-License-Identifier: BSD-3-Clause */
/* Records over a socket between processes, with descriptors beside them. */
#ifndef SHM_LINUX_CHANNEL_H
#define SHM_LINUX_CHANNEL_H

#include <stdbool.h>

#include <shm/device.h>

#include "record.h"

#define SHM__MESSAGE_FDS 2u /* one more than any record has; the kernel closes what doesn't fit */

struct shm__message {
	size_t size;
	uint8_t data[SHM__RECORD_MAX + 4]; /* more than a record: then it is none */
	unsigned fd_count;
	int fds[SHM__MESSAGE_FDS];
};

/* 0, or the reason why records can't go over it: not a connected SOCK_SEQPACKET of AF_UNIX. */
int shm__channel_check(int fd);

/* One record; beside is a descriptor that goes with it, or -1. -EAGAIN: no room now. */
int shm__channel_send(int fd, const void *data, size_t size, int beside, bool wait);

/* One record. 1, 0 the other side has ended, -EAGAIN, or what the socket says. */
int shm__channel_receive(int fd, struct shm__message *ret, bool wait);

/* Close the descriptors that nobody took. */
void shm__message_drop(struct shm__message *message);

/*
 * The memory that a SHARE stands for, judged by its descriptor alone. src as in shm__import().
 */
int shm__message_memory(const struct shm__message *message, const struct shm__wire_share *share,
			struct metal_device *src, struct metal_generic_shm **ret_shm);

/* -ENOTSUP for what the other side would refuse: without a descriptor, or one whose size may change. */
int shm__channel_may_share(int fd, const char *name);

/* What a SHARE of it may allow at most: SHM__WIRE_*. */
uint16_t shm__channel_dir(int fd);

#endif
