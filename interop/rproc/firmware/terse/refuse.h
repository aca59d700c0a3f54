/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers alone: the words are checked by the compiler, and are nowhere in what it makes. */
#ifndef SHM_FIRMWARE_REFUSE_H
#define SHM_FIRMWARE_REFUSE_H

#include <shm/device.h>

int shm__no_words(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* libshm's own, where that was built without words too. */
int shm__error_number(int error);

#define shm__refuse(error, ...) ((void)sizeof(shm__no_words(__VA_ARGS__)), shm__error_number(error))

#endif
