/* SPDX-License-Identifier: BSD-3-Clause */
/* What the kernel tells in files: remoteprocs, whose each RPMsg device is, carveouts. */
#ifndef SHM_RPROC_SYSFS_H
#define SHM_RPROC_SYSFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <shm/rproc.h>

#define SHM__RPROC_TEXT 256 /* room for a file of one value */

/* A file of one value, without its newline; -errno. */
int shm__rproc_read(const char *path, char ret_text[static SHM__RPROC_TEXT]);
int shm__rproc_write(const char *path, const char *text);

/* Find a remoteproc by the kernel's name for it ("remoteproc0") or by its own. */
int shm__rproc_find(const char *name, char ret_id[static SHM__RPROC_TEXT]);

/* The part of a device's path that names its remoteproc; false: it has none. */
bool shm__rproc_of_path(const char *path, char ret_id[static SHM__RPROC_TEXT]);

/* An RPMsg device or character device of a remoteproc. */
struct shm__rproc_node {
	char name[SHM__RPROC_TEXT]; /* of its folder */
	char path[4096];            /* its device's, as the class or bus links to it */
};

/*
 * Go through a class's or bus's devices that are id's, or all where id is NULL; each answers non-zero to
 * end it, which this answers then. -errno where there is no such class.
 */
int shm__rproc_each(const char *folder, const char *id,
		    int (*each)(void *user, const struct shm__rproc_node *node), void *user);

/*
 * Which start of a core the kernel's devices are of: the numbers grow with each. Both 0: none is there, since
 * the core doesn't run or has no RPMsg.
 */
struct shm__rproc_epoch {
	uint64_t first, last;
};

struct shm__rproc_epoch shm__rproc_epoch(const char *id);

#endif
