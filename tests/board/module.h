/* SPDX-License-Identifier: BSD-3-Clause */
/* Kernel modules that build-kernel made: the fixtures' and libshm's own. */
#ifndef MODULE_H
#define MODULE_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shm_test.h"

/* 0, or the negative errno with which the kernel refuses it; -EEXIST: it is loaded. */
static inline int module_insert(const char *name, const char *parameters)
{
	const char *folder = getenv("LIBSHM_BOARD_MODULES");
	char path[4096];
	int file, error;

	snprintf(path, sizeof(path), "%s/%s.ko", folder ? folder : "", name);
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		fail_msg("'%s': %s: run tests/board/build-kernel", path, strerror(errno));
	error = syscall(SYS_finit_module, file, parameters, 0) ? -errno : 0;
	close(file);
	return error;
}

/* Loaded, if it was not. */
static inline void module_load(const char *name, const char *parameters)
{
	int error = module_insert(name, parameters);

	if (error && error != -EEXIST)
		fail_msg("%s: %s", name, strerror(-error));
}

/* 0, or the negative errno; -EWOULDBLOCK: somebody uses it, -ENOENT: it isn't loaded. */
static inline int module_remove(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

#endif
