/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Only native kernels say when they run. Of any other command is known what comes before it and what
 * it touches, so each sync is right if there is a command that it may be of.
 */
#include <shm_test.h>

#include <stdlib.h>

#include "graph_model.h"

#define NEVER SIZE_MAX

void graph_order(struct graph *graph, int id, bool in_order)
{
	struct node *node = &graph->nodes[id];
	unsigned queue = node->queue;
	bool all =
		in_order || ((node->kind == MARKER || node->kind == BARRIER) && !node->wait_count);

	node->before |= all ? graph->in_queue[queue] : graph->barriers[queue];
	for (int i = 0; i < id; i++)
		if (node->before & BIT(i))
			node->before |= graph->nodes[i].before;
	graph->in_queue[queue] |= BIT(id);
	if (node->kind == BARRIER)
		graph->barriers[queue] |= BIT(id) | node->before;
}

struct check {
	const struct graph *graph;
	struct fake_dmabuf *const *fakes;
	struct fake_entry *log;
	size_t length;
	size_t begin[NODES], finish[NODES]; /* of native kernels */
	unsigned open[DMABUFS];
	unsigned starts[DMABUFS];
};

static int index_of(const struct check *check, const struct fake_dmabuf *fake)
{
	for (int i = 0; i < DMABUFS; i++)
		if (check->fakes[i] == fake)
			return i;
	return -1;
}

/* Whether some kernel that has begun comes after the node. */
static bool is_surely_over(const struct check *check, int node, size_t place)
{
	for (int i = 0; i < check->graph->count; i++)
		if (check->begin[i] <= place && check->graph->nodes[i].before & BIT(node))
			return true;
	return false;
}

static bool may_be_started(const struct check *check, int node, size_t place)
{
	for (int i = 0; i < check->graph->count; i++)
		if (check->graph->nodes[node].before & BIT(i) &&
		    check->graph->nodes[i].kind == NATIVE && check->finish[i] > place)
			return false;
	return true;
}

/* Whether any command may have the DMA-BUF open there; END may come after the kernel's last note. */
static bool may_be_open(const struct check *check, int dmabuf, size_t place)
{
	for (int i = 0; i < check->graph->count; i++)
		if (check->graph->nodes[i].reads & BIT(dmabuf) && may_be_started(check, i, place) &&
		    !is_surely_over(check, i, place))
			return true;
	return false;
}

/* Whether any command may start there: none that runs does. */
static bool may_start(const struct check *check, int dmabuf, bool write, size_t place)
{
	for (int i = 0; i < check->graph->count; i++) {
		const struct node *node = &check->graph->nodes[i];

		if ((write ? node->writes : node->reads) & BIT(dmabuf) && check->begin[i] > place &&
		    may_be_started(check, i, place) && !is_surely_over(check, i, place))
			return true;
	}
	return false;
}

static const char *check_sync(struct check *check, const struct fake_entry *entry, size_t place)
{
	int dmabuf = index_of(check, entry->dmabuf);
	unsigned *open;

	if (dmabuf < 0)
		return "a sync of a DMA-BUF of another graph";
	open = &check->open[dmabuf];
	if (entry->fenced)
		return "START with a fence pending";
	if (entry->what == FAKE_END) {
		if (!*open)
			return "END without START";
		if (entry->flags != *open)
			return "END of another direction than START";
		*open = 0;
		return NULL;
	}
	if (!(entry->flags & ~*open))
		return "START of what was open already";
	if (!may_start(check, dmabuf, entry->flags == FAKE_WRITE, place))
		return "START that no command can have wanted yet, or still";
	*open |= entry->flags;
	check->starts[dmabuf]++;
	return NULL;
}

/* A kernel begins or ends: what it touches is open, what is open has a reason. */
static const char *check_kernel(const struct check *check, int node, size_t place)
{
	for (int i = 0; i < DMABUFS; i++) {
		if (check->graph->nodes[node].writes & BIT(i) && check->open[i] != FAKE_WRITE)
			return "a kernel ran outside of its bracket";
		if (check->open[i] && !may_be_open(check, i, place))
			return "what came before a kernel wasn't ended";
	}
	return NULL;
}

/* Where each command comes after the one before there is one log that is right. */
static const char *check_chain(const struct check *check, int dmabuf)
{
	int chain[NODES], count = 0;
	size_t place = 0;

	for (int i = 0; i < check->graph->count; i++)
		if (check->graph->nodes[i].reads & BIT(dmabuf))
			chain[count++] = i;
	if (check->starts[dmabuf] > (unsigned)count)
		return "more STARTs than commands want";
	for (int i = 1; i < count; i++)
		if (!(check->graph->nodes[chain[i]].before & BIT(chain[i - 1])))
			return NULL;
	for (int i = 0; i < 2 * count; i++) {
		bool writes = check->graph->nodes[chain[i / 2]].writes & BIT(dmabuf);

		while (place < check->length && (check->log[place].dmabuf != check->fakes[dmabuf] ||
						 check->log[place].what == FAKE_NOTE))
			place++;
		if (place == check->length)
			return "a command without its bracket";
		if (check->log[place].what != (i % 2 ? FAKE_END : FAKE_START) ||
		    check->log[place].flags != (writes ? FAKE_WRITE : FAKE_READ))
			return "a bracket of another kind than its command's";
		place++;
	}
	return NULL;
}

static const char *check_log(struct check *check)
{
	const char *fault = NULL;

	for (size_t i = 0; i < check->length && !fault; i++) {
		const struct fake_entry *entry = &check->log[i];

		if (entry->what == FAKE_NOTE)
			fault = check_kernel(check, (entry->note - 1) / 2, i);
		else
			fault = check_sync(check, entry, i);
	}
	for (int i = 0; i < DMABUFS && !fault; i++)
		fault = check->open[i] ? "START without END" : check_chain(check, i);
	return fault;
}

const char *graph_fault(const struct graph *graph, struct fake_dmabuf *const fakes[DMABUFS])
{
	struct check check = { .graph = graph, .fakes = fakes };
	const char *fault = NULL;

	check.length = fake_log(NULL, 0);
	check.log = calloc(check.length + 1, sizeof(*check.log));
	assert_non_null(check.log);
	fake_log(check.log, check.length);
	for (int i = 0; i < NODES; i++)
		check.begin[i] = check.finish[i] = NEVER;
	for (size_t i = 0; i < check.length; i++) {
		if (check.log[i].what != FAKE_NOTE)
			continue;
		if (check.log[i].note % 2)
			check.begin[(check.log[i].note - 1) / 2] = i;
		else
			check.finish[(check.log[i].note - 1) / 2] = i;
	}
	for (int i = 0; i < graph->count; i++) {
		if (graph->nodes[i].kind != NATIVE)
			continue;
		if (check.finish[i] == NEVER)
			fault = "a kernel did not run";
		for (int before = 0; before < i; before++)
			if (graph->nodes[i].before & BIT(before) &&
			    graph->nodes[before].kind == NATIVE &&
			    check.finish[before] > check.begin[i])
				fault = "a kernel ran before another that comes first";
	}
	if (!fault)
		fault = check_log(&check);
	free(check.log);
	return fault;
}
