/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SHM_SOURCE_NODE_H
#define SHM_SOURCE_NODE_H

/*
 * Open a device node for reading and writing; @subsystem is udev's word for it.
 *
 * A descriptor; -ENOENT without a reason; -EACCES with one that says which group or udev rule helps;
 * -EINVAL not a device; another -errno with its reason.
 */
int shm__node_open(const char *path, const char *subsystem);

#endif
