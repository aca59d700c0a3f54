/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DMA-BUFs of a machine that has none, whose memory no cache keeps coherent.
 *
 * Simulated: a memfd answers fstatfs() as a DMA-BUF does, DMA_BUF_IOCTL_SYNC and poll() on it are
 * answered here, in the layer's calls as in everybody else's of the process. Everything else about
 * the descriptor is the kernel's and a memfd's: its size, mappings, duplicates, access mode.
 *
 * The memory has two sides. What is mapped is the CPU's; the device's is apart. START brings the
 * device's bytes to the CPU, END those of a writer to the device, and leaves the CPU with others:
 * who reads or writes outside of a bracket has bytes that nobody ever wrote. The kernel's START
 * waits for fences; this one notes that it would have waited.
 *
 * Everything that happens gets a line in one log, in the order in which it happened.
 */
#ifndef FAKE_DMABUF_H
#define FAKE_DMABUF_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/dma-buf.h>

#define FAKE_READ  ((unsigned)DMA_BUF_SYNC_READ)
#define FAKE_WRITE ((unsigned)DMA_BUF_SYNC_RW) /* the layer's writers read as well */

struct fake_dmabuf;

/* Zeroes on both sides. */
struct fake_dmabuf *fake_new(size_t size);
/* Fails the case if the layer still has a descriptor of it after a generous while. NULL is fine. */
void fake_free(struct fake_dmabuf *dmabuf);
/* Stays the fake's: what imports it has to duplicate it. */
int fake_fd(const struct fake_dmabuf *dmabuf);
unsigned char *fake_device(struct fake_dmabuf *dmabuf);
void fake_fill(struct fake_dmabuf *dmabuf, unsigned char value);
/* The device's side, all of it. */
bool fake_holds(struct fake_dmabuf *dmabuf, unsigned char value);

/* ---- the log ---- */

enum fake_what { FAKE_START, FAKE_END, FAKE_NOTE };

struct fake_entry {
	enum fake_what what;
	const struct fake_dmabuf *dmabuf; /* NULL for a note */
	unsigned flags;                   /* FAKE_READ or FAKE_WRITE */
	int error;                        /* what the ioctl failed with */
	bool fenced;                      /* START would have waited for a fence */
	int note;
};

void fake_reset(void);
void fake_note(int note);
size_t fake_log(struct fake_entry *entries, size_t room);
/* The place of the first note in the log; fails the case if there is none. */
size_t fake_place(int note);
/* The same of one that may still be to come. */
size_t fake_await(int note);
/* How many of one kind there are, successful or not. */
size_t fake_count(const struct fake_dmabuf *dmabuf, enum fake_what what);
/* The place of the only START or END; fails the case if there are more, or none. */
size_t fake_only(const struct fake_dmabuf *dmabuf, enum fake_what what, unsigned flags);
/* The log to stderr, for a case that fails. */
void fake_print(void);

/* ---- what happens to a DMA-BUF ---- */

/* The next syncs of one kind fail so many times. */
void fake_fail(struct fake_dmabuf *dmabuf, enum fake_what what, int error, unsigned times);
/* A device reads, or writes, until it is signalled. */
void fake_fence(struct fake_dmabuf *dmabuf, bool writes);
void fake_signal(struct fake_dmabuf *dmabuf);
/* The events that poll() was asked for. */
short fake_polled(struct fake_dmabuf *dmabuf);

#endif
