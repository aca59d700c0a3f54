/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SHM_SOURCE_DRIVERS_H
#define SHM_SOURCE_DRIVERS_H

#include <shm/device.h>

extern const struct metal_shm_driver shm__memfd_driver;
extern const struct metal_shm_driver shm__udmabuf_driver;
extern const struct metal_shm_driver shm__heap_driver;
extern const struct metal_shm_driver shm__anon_driver;
extern const struct metal_shm_driver shm__vfio_driver;

#endif
