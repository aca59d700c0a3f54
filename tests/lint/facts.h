/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the analyzer can't see from one file alone, included before each file that it reads: the
 * calls that leave a reason answer their error, so never 0.
 */
#if __has_include(<shm/device.h>)
#include <shm/device.h>
#define metal_shm_set_error(error, ...) (metal_shm_set_error((error), __VA_ARGS__), -(error))
#endif

#if __has_include("core.h")
#include "core.h"
#define shm__error(error, ...) (shm__error((error), __VA_ARGS__), -(error))
#endif
