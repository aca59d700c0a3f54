/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * This program executed again, as another process: a forked child of a program that used the library may
 * only free. Its argv[0] says what it is to do; what it writes to its standard output comes by a pipe.
 */
#ifndef AGAIN_H
#define AGAIN_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <shm/shm.h>

#include "shm_test.h"

/* Start it; the variables, as NAME=VALUE, end with NULL and may be NULL. */
static inline pid_t start_again(const char *verb, const char *argument, char *const variables[],
				int *ret_fd)
{
	int ends[2];
	pid_t child;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	child = fork();
	if (!child) {
		while (variables && *variables)
			putenv(*variables++);
		dup2(ends[1], STDOUT_FILENO);
		execl("/proc/self/exe", verb, argument, NULL);
		_exit(127);
	}
	close(ends[1]);
	if (child < 0)
		fail_msg("fork: %s", strerror(errno));
	*ret_fd = ends[0];
	return child;
}

/* What say_result() wrote there: the answer; the reason is then this string. */
static inline int result_of_again(const char *verb, const char *argument, char *const variables[],
				  char *ret_reason, size_t size)
{
	int fd, status, result = 1, length = 0;
	char text[2048] = "";
	size_t used = 0;
	pid_t child = start_again(verb, argument, variables, &fd);
	ssize_t got;

	while ((got = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)got;
	close(fd);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!WIFEXITED(status) || WEXITSTATUS(status) ||
	    sscanf(text, "%d %n", &result, &length) != 1 || !length)
		fail_msg("%s %s: status 0x%x, '%s'", verb, argument, status, text);
	snprintf(ret_reason, size, "%s", text + length);
	return result;
}

/* In the other process. */
static inline int say_result(int result)
{
	printf("%d %s", result, metal_shm_last_error());
	return fflush(stdout) ? 1 : 0;
}

#endif
