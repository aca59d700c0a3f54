/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the board's two processors agree on: a RISC-V core in a second QEMU sees the same memory at other
 * addresses. Included by its boot ROM (assembler), its firmware, the remoteproc driver and the tests.
 */
#ifndef COPROCESSOR_H
#define COPROCESSOR_H

/* The carveout, as this side's physical address; "board" keeps the kernel out of it and what follows it. */
#define COPROCESSOR_BASE 0x30000000
#define COPROCESSOR_SIZE 0x01000000
#define ASIDE_BASE       0x31000000 /* memory for nobody in particular */
#define ASIDE_SIZE       0x00800000
/* What the coprocessor adds to a physical address to reach it. */
#define COPROCESSOR_OFFSET 0x80000000

/* Offsets in the carveout. */
#define COPROCESSOR_FIRMWARE      0x000000
#define COPROCESSOR_FIRMWARE_SIZE 0x100000
#define COPROCESSOR_VRING         0x100000 /* two of them */
#define COPROCESSOR_VRING_SIZE    0x010000
#define COPROCESSOR_CONTROL       0x200000
#define COPROCESSOR_CONTROL_SIZE  0x001000
#define COPROCESSOR_SHARED        0x800000 /* for programs; the resource table names it "shared" */
#define COPROCESSOR_SHARED_SIZE   0x800000
#define COPROCESSOR_RING_SIZE     0x008000 /* where "shared" begins, of each ring of board-rings.elf */

/* Offsets in the control block, and their values. */
#define COPROCESSOR_MAGIC      0x00 /* the ROM is alive */
#define COPROCESSOR_ALIVE      0x43504f43
#define COPROCESSOR_GO         0x04 /* 1: run from the entry; else: reset the core */
#define COPROCESSOR_ENTRY      0x08
#define COPROCESSOR_STATE      0x0c
#define COPROCESSOR_STOPPED    0
#define COPROCESSOR_RUNNING    1
#define COPROCESSOR_TRAPPED    2
#define COPROCESSOR_TO_REMOTE  0x10 /* doorbells: two counters each way */
#define COPROCESSOR_TO_HOST    0x18
#define COPROCESSOR_CAUSE      0x20 /* of a trap: 64 bits each */
#define COPROCESSOR_TRAP_PC    0x28
#define COPROCESSOR_TRAP_VALUE 0x30
#define COPROCESSOR_SAVED      0x800 /* the ROM's own */

#ifndef __ASSEMBLER__

/* Endpoints of the test firmware: one sends everything back, each byte ^ 0x20, one works. */
enum { COPROCESSOR_ECHO = 0x400, COPROCESSOR_WORK = 0x401 };

/* The endpoint of firmware that speaks libshm's protocol. */
enum { COPROCESSOR_LIBSHM = 0x410 };

/* What the second is asked. Addresses are the coprocessor's. It answers with the same record. */
struct coprocessor_job {
	unsigned int what;
	unsigned int value;
	unsigned long long address;
	unsigned long long length;
	unsigned long long result;
};

enum {
	COPROCESSOR_ADD = 1, /* value to each byte */
	COPROCESSOR_FILL,    /* each byte is value */
	COPROCESSOR_SUM,     /* of all bytes: result */
	COPROCESSOR_LATE, /* fill again and again, after the answer too, until the next such job */
	COPROCESSOR_TRAP, /* an illegal instruction; no answer */
	COPROCESSOR_HANG, /* no answer, and none to anything else */
};

#endif
#endif
