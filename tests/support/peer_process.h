/* SPDX-License-Identifier: BSD-3-Clause */
/* Another process at the other end of a socket: peer_child.c. */
#ifndef PEER_PROCESS_H
#define PEER_PROCESS_H

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "peer_ends.h"

struct process {
	struct metal_device *dev;
	pid_t pid;
};

/* A process that has the other end; ours is *ret_socket. */
static inline pid_t peer_spawn(const char *role, int *ret_socket)
{
	int ends[2];
	pid_t pid;

	peer_sockets(ends);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		/* a test that is killed leaves nobody behind who goes on trying */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (ends[1] == 3)
			fcntl(3, F_SETFD, 0);
		else
			dup2(ends[1], 3);
		execl(PEER_CHILD, PEER_CHILD, role, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	*ret_socket = ends[0];
	return pid;
}

static inline struct process peer_start(const char *role)
{
	struct process process;
	int end;

	process.pid = peer_spawn(role, &end);
	assert_int_equal(metal_shm_peer_open(end, &process.dev), 0);
	return process;
}

/* It ends by itself, with 0. */
static inline void peer_wait(const struct process *process)
{
	int status;

	assert_int_equal(waitpid(process->pid, &status, 0), process->pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static inline void peer_stop(struct process *process)
{
	metal_shm_device_close(process->dev);
	peer_wait(process);
}

static inline void peer_kill(const struct process *process)
{
	kill(process->pid, SIGKILL);
	waitpid(process->pid, NULL, 0);
}

static inline void peer_tell(const struct process *process, const char *text)
{
	assert_int_equal(metal_shm_peer_say(process->dev, text, strlen(text)), 0);
}

#endif
