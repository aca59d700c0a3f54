/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SHM_LINUX_TRACE_FILE_H
#define SHM_LINUX_TRACE_FILE_H

/* At the first use of the library: switch the trace on if LIBSHM_TRACE asks for it. */
void shm__trace_file_begin(void);

#endif
