/* SPDX-License-Identifier: BSD-3-Clause */
/* What must and may be the order of syncs of a graph of commands. */
#ifndef GRAPH_MODEL_H
#define GRAPH_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <CL/cl.h>

#include "fake_dmabuf.h"

#define NODES      48
#define QUEUES     3
#define DMABUFS    3
#define USERS      3
#define MOST_WAITS 4
#define CELL       16

#define USER(index) (-1 - (index))

#define BIT(index) ((uint64_t)1 << (index))

/* What native kernels note. */
#define NOTE_BEGIN(node)  ((node)*2 + 1)
#define NOTE_FINISH(node) ((node)*2 + 2)

enum kind { NATIVE, FILL, COPY, READ, MARKER, BARRIER };

struct node {
	enum kind kind;
	uint64_t before;        /* the nodes that are over before it starts */
	uint64_t writes, reads; /* DMA-BUFs; who writes reads */
	unsigned char value;    /* of its own cell in all that it writes */
	/* how it is enqueued */
	unsigned queue, wait_count;
	int waits[MOST_WAITS]; /* nodes; USER() for others */
	unsigned dmabufs[2];   /* the one that is written, and another */
	unsigned twins[2];     /* which import of them */
	int source;            /* whose cell is read, in the other */
	_Atomic(cl_event) event;
};

struct graph {
	struct node nodes[NODES];
	int count;
	uint64_t in_queue[QUEUES]; /* the nodes of each */
	uint64_t barriers[QUEUES]; /* what a queue's later nodes come after */
};

/* Add what the queue says to a node's predecessors, and the node to the queue. */
void graph_order(struct graph *graph, int id, bool in_order);
/* What is wrong with the log, or NULL. */
const char *graph_fault(const struct graph *graph, struct fake_dmabuf *const fakes[DMABUFS]);

static inline bool cell_is(const unsigned char *cell, unsigned char value)
{
	for (int i = 0; i < CELL; i++)
		if (cell[i] != value)
			return false;
	return true;
}

#endif
