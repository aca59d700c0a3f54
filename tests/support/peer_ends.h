/* SPDX-License-Identifier: BSD-3-Clause */
/* What tests of other processes share: a socket's two ends, and memory for them. */
#ifndef PEER_ENDS_H
#define PEER_ENDS_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <shm/linux.h>
#include <shm/observe.h>

#include "shm_test.h"

#define SECOND INT64_C(1000000000)

/* Both ends of a socket, close-on-exec. */
static inline void peer_sockets(int ends[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
}

static inline struct metal_generic_shm *peer_buffer(size_t size)
{
	struct metal_device *memfd;
	struct metal_generic_shm *shm;

	assert_int_equal(metal_shm_device_open("memfd", &memfd), 0);
	shm = metal_shm_allocate(size, memfd, 0);
	assert_non_null(shm);
	metal_shm_device_close(memfd);
	return shm;
}

#endif
