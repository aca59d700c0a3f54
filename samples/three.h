/* SPDX-License-Identifier: BSD-3-Clause */
/* What 06 and 08 begin with: three programs in a row, with a socket between each two. */
#ifndef THREE_H
#define THREE_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <shm/linux.h>

#define LIMIT INT64_C(20000000000) /* nanoseconds: whoever hangs is given up */

static inline void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %s\n", what, metal_shm_last_error());
	exit(1);
}

/* This program again, in a role, with these sockets as descriptors 10 and 11 and no others. */
static inline void start(char **argv, const char *role, int first, int second)
{
	if (fork())
		return;
	dup2(first, 10);
	if (second >= 0)
		dup2(second, 11);
	close_range(3, 9, 0);
	close_range(second < 0 ? 11 : 12, ~0u, 0);
	setenv("ROLE", role, 1);
	execv("/proc/self/exe", argv);
	_exit(127);
}

static inline int start_three(char **argv)
{
	int raw[2], done[2], status, worst = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, raw) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, done)) {
		perror("socketpair");
		return 1;
	}
	start(argv, "camera", raw[0], -1);
	start(argv, "worker", raw[1], done[0]);
	start(argv, "display", done[1], -1);
	close_range(3, ~0u, 0);
	while (wait(&status) > 0)
		worst |= status;
	return worst != 0;
}

/* The other side of one of these sockets. */
static inline struct metal_device *open_peer(int take_socket)
{
	struct metal_device *peer;

	must(!metal_shm_peer_open(take_socket, &peer), "peer_open");
	return peer;
}

#endif
