/* SPDX-License-Identifier: BSD-3-Clause */
/* Where picolibc has what libbsd has on Linux. */
#include <sys/tree.h>
