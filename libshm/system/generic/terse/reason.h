/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers alone: the words are checked by the compiler, and are nowhere in what it makes. */
#ifndef SHM_REASON_H
#define SHM_REASON_H

#include <shm/observe.h>

int shm__no_words(const char *format, ...) __attribute__((format(printf, 1, 2)));

int shm__error_number(int error);
void shm__misuse_number(void);

#define shm__error(error, ...)  ((void)sizeof(shm__no_words(__VA_ARGS__)), shm__error_number(error))
#define shm__log(level, ...)    ((void)sizeof(shm__no_words(__VA_ARGS__)))
#define shm__misuse(call, what) ((void)sizeof(call), (void)sizeof(what), shm__misuse_number())

#endif
