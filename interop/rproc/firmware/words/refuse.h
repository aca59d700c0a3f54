/* SPDX-License-Identifier: BSD-3-Clause */
/* What went wrong, in words. Firmware without words has another file of this name: terse. */
#ifndef SHM_FIRMWARE_REFUSE_H
#define SHM_FIRMWARE_REFUSE_H

#include <shm/device.h>

#define shm__refuse metal_shm_set_error

#endif
