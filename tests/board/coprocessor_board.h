/* SPDX-License-Identifier: BSD-3-Clause */
/* The board's coprocessor as its users see it: a remoteproc, and RPMsg channels of its firmware. */
#ifndef COPROCESSOR_BOARD_H
#define COPROCESSOR_BOARD_H

#include <stdbool.h>
#include <stddef.h>

#include "coprocessor.h"

/** What a wait of these functions is given at most, in milliseconds, before the case fails. */
enum { COPROCESSOR_PATIENCE = 20000 };

/**
 * Load the driver of the coprocessor, and tell the kernel where the firmware lies.
 *
 * @param parameters  the module's, such as "reach=0x20000000"; they count where it was not loaded
 */
void coprocessor_load(const char *parameters);

/** Unload it again, which stops the core. @return 0, or the negative errno of the refusal */
int coprocessor_unload(void);

/** Whether there is one. */
bool coprocessor_is_there(void);

/** Write into a file of the remoteproc in sysfs, as "start" into "state". @return 0 or -errno */
int coprocessor_write(const char *file, const char *text);

/** Read one, without its newline. */
void coprocessor_read(const char *file, char *ret_text, size_t size);

/** Loaded and running, whatever it was before; fails the case where it can't be. */
void coprocessor_start(void);

/** Not running. */
void coprocessor_stop(void);

/**
 * Open the channel of one of the firmware's endpoints, once it has announced it.
 *
 * @param endpoint  COPROCESSOR_ECHO or COPROCESSOR_WORK
 * @return a descriptor, to be closed
 */
int coprocessor_channel(unsigned endpoint);

/** Whether such a channel is there now. */
bool coprocessor_has_channel(unsigned endpoint);

/** Send a message and take the answer. @return its size; 0: none came within the time */
size_t coprocessor_talk(int channel, const void *message, size_t size, void *ret_answer,
			size_t room, int milliseconds);

/** Have a job done by the work channel and take its result; no answer fails the case. */
unsigned long long coprocessor_work(int channel, unsigned what, unsigned long long address,
				    unsigned long long length, unsigned value);

#endif
