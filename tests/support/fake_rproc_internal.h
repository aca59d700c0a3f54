/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the fake's files and its system calls. */
#ifndef FAKE_RPROC_INTERNAL_H
#define FAKE_RPROC_INTERNAL_H

#include "fake_rproc.h"

extern unsigned fake_rproc_buses; /* made so far */
extern char fake_rproc_root[64];  /* "": not begun */

void fake_rproc_real(const char *path, char *ret, size_t size);
int fake_rproc_plain_open(const char *path, int flags);
void fake_rproc_state(const char *id, const char *state);
/* A device in full, below the core's, with one file of it, and what links to it. */
void fake_rproc_device(const char *folder, const char *name, const char *device, const char *file,
		       const char *text);
void fake_rproc_remove_all(void);

#endif
