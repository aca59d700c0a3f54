/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers.h"
#include "system.h"

const struct metal_shm_driver *const shm__os_drivers[] = {
	&shm__memfd_driver, &shm__udmabuf_driver, &shm__heap_driver,
	&shm__anon_driver,  &shm__vfio_driver,    NULL,
};
