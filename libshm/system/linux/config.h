/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SHM_LINUX_CONFIG_H
#define SHM_LINUX_CONFIG_H

#include <shm/shm.h>

/*
 * Add to @have what /etc/libshm/heaps.conf says of a heap; LIBSHM_HEAPS_CONF names another file.
 *
 * The administrator's word stands above what is known of the kernel's. Any mistake in the file is
 * -EINVAL with its place: half a configuration would promise what nobody meant.
 */
int shm__config_heap(const char *name, struct metal_shm_properties *have);

#endif
