/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the firmware board-lock.elf is told by messages of the program's. It answers each with the same command, and
 * what came of it in value. All of it is about the last buffer that was shared, which begins with struct
 * lock_firmware_shared.
 */
#ifndef LOCK_FIRMWARE_H
#define LOCK_FIRMWARE_H

enum lock_firmware_what {
	LOCK_COUNT =
		1, /* take the lock again and again, and add 1 each time; value: how often, or -1 */
	LOCK_HOLD, /* take it, and keep it; value: enum lock_firmware_answer */
	LOCK_TRY,  /* wait for it for so many milliseconds; value: likewise */
	LOCK_GIVE, /* give it back; value: likewise */
	LOCK_TRAP, /* with the lock taken, work half done: an illegal instruction; no answer */
};

/* The firmware's C library has other numbers for errors. */
enum lock_firmware_answer {
	LOCK_OK,
	LOCK_ENDED, /* EOWNERDEAD */
	LOCK_LATE,  /* ETIMEDOUT */
	LOCK_NOT_MINE,
	LOCK_ODD,
};

struct lock_firmware_command {
	int what, value;
};

struct lock_firmware_shared {
	unsigned long long lock;
	volatile unsigned long long counter;
	volatile unsigned long long met;  /* by the firmware: how often another had it */
	volatile unsigned long long stop; /* the counting */
	volatile unsigned long long half; /* 1 while work is half done */
};

#endif
