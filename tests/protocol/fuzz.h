/* SPDX-License-Identifier: BSD-3-Clause */
/* What libFuzzer calls, and replay.c where there is none. */
#ifndef PROTOCOL_FUZZ_H
#define PROTOCOL_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
