/* SPDX-License-Identifier: BSD-3-Clause */
/* The remote's side of RPMsg over virtio, as Linux's remoteproc sets it up. One thread, no allocation. */
#ifndef RPMSG_H
#define RPMSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest message: 512 bytes less the header. */
enum { RPMSG_MAX = 496 };

struct rpmsg_endpoint {
	uint32_t address; /* ours; 0 ends the table */
	const char *service;
	void (*received)(uint32_t from, uint32_t to, const void *message, size_t size);
};

/* Announces the endpoints once the host is ready, and hands out what has come since the last call. */
void rpmsg_poll(const struct rpmsg_endpoint *endpoints);

/* False: longer than RPMSG_MAX, or the host has no free buffer now. */
bool rpmsg_send(uint32_t from, uint32_t to, const void *message, size_t size);

#endif
