/* SPDX-License-Identifier: BSD-3-Clause */
/* What went wrong, in words. Firmware without words has another file of this name: system/generic/terse. */
#ifndef SHM_REASON_H
#define SHM_REASON_H

#include <shm/observe.h>

/* Negative error; its words are metal_shm_last_error()'s. */
int shm__error(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));
void shm__log(enum metal_shm_log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void shm__misuse(const char *call, const char *what);

#endif
