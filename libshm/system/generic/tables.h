/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How many records of each kind there are: set on the compiler's command line where a firmware needs
 * others. Each is static memory; "size" tells how much.
 */
#ifndef SHM_TABLES_H
#define SHM_TABLES_H

#ifndef SHM_PROCESSORS
#define SHM_PROCESSORS 1 /* harts or cores that call the library */
#endif
#ifndef SHM_DEVICES
#define SHM_DEVICES 4
#endif
#ifndef SHM_BUFFERS
#define SHM_BUFFERS 8 /* memories */
#endif
#ifndef SHM_HANDLES
#define SHM_HANDLES 32 /* buffers, parts and views */
#endif
#ifndef SHM_RANGES
#define SHM_RANGES 16 /* of all memories, beyond the first few that each has by itself */
#endif

#endif
