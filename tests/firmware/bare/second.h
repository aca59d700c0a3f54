/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/support/second.h where the other one is a hart. */
#ifndef SECOND_H
#define SECOND_H

#include "bare.h"

static inline unsigned second_number(void)
{
	return bare_hart();
}

static inline void second_run(void (*run)(void))
{
	bare_run_second(run);
}

static inline void second_wait(void)
{
	bare_wait_second();
}

#endif
