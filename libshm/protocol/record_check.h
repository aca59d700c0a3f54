/* SPDX-License-Identifier: BSD-3-Clause */
/* Between record.c and record_check.c. */
#ifndef SHM_RECORD_CHECK_H
#define SHM_RECORD_CHECK_H

#include "record.h"

/* A record whose fields are all there. */
enum shm__code shm__check_record(const struct shm__record *record);
/* A SHARE but for its segments; they are as many as can be in a record then. */
enum shm__code shm__check_share(const struct shm__wire_share *share);
enum shm__code shm__check_segment(const struct shm__wire_segment *segment);

#endif
