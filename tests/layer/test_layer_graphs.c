/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random graphs of commands, in in-order and out-of-order queues, enqueued by several threads, with
 * barriers, markers, user events, fences, and several imports of which some are of the same DMA-BUF.
 *
 * The model knows of each command all that comes before it. From the log of syncs and of what native
 * kernels noted it tells whether each START may have come, whether each DMA-BUF was open for those who
 * were at work, and whether everything was ended that a command follows. And the bytes: each command
 * writes a cell of its own, with a value that says whether it found what its predecessors wrote.
 *
 * SHM_TEST_SEED repeats a run.
 */
#include "bracket_fixture.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/random.h>
#include <time.h>

#include "graph_model.h"

#define GRAPHS     300
#define FEW_GRAPHS 30 /* where each takes long */
#define ENOUGH_S   8

static uint64_t random_state;

/* splitmix64, Vigna. */
static unsigned below(unsigned limit)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return (unsigned)((z ^ (z >> 31)) % limit);
}

static unsigned seed(void)
{
	const char *given = getenv("SHM_TEST_SEED");
	unsigned value = 1;

	if (given)
		value = (unsigned)strtoul(given, NULL, 0);
	else
		assert_int_equal(getrandom(&value, sizeof(value), 0), sizeof(value));
	print_message("SHM_TEST_SEED=%u\n", value);
	return value;
}

/* ---- what a graph is made of ---- */

static struct graph graph;
static struct plan {
	struct fake_dmabuf *fakes[DMABUFS];
	cl_mem mems[DMABUFS][2];
	cl_command_queue queues[QUEUES];
	bool in_order[QUEUES];
	cl_event users[USERS];
	unsigned threads, nodes;
	unsigned char host[NODES][CELL];
} plan;

static atomic_uint wrong;

/* A predecessor whose cell can be read, or -1. */
static int readable(const struct node *self, unsigned *ret_dmabuf)
{
	int candidates[NODES], count = 0, node;

	for (node = 0; node < NODES; node++)
		if (self->before & BIT(node) && graph.nodes[node].writes)
			candidates[count++] = node;
	if (!count)
		return -1;
	node = candidates[below((unsigned)count)];
	do
		*ret_dmabuf = below(DMABUFS);
	while (!(graph.nodes[node].writes & BIT(*ret_dmabuf)));
	return node;
}

static void plan_waits(struct node *self, int id)
{
	unsigned count = below(3) || !id ? 0 : 1 + below(MOST_WAITS - 1);

	for (unsigned i = 0; i < count; i++) {
		int other = (int)below((unsigned)id);

		self->waits[self->wait_count++] = other;
		self->before |= BIT(other) | graph.nodes[other].before;
	}
	if (!below(6))
		self->waits[self->wait_count++] = USER((int)below(USERS));
	graph_order(&graph, id, plan.in_order[self->queue]);
}

static void plan_uses(struct node *self)
{
	self->value = (unsigned char)(1 + below(200));
	for (int i = 0; i < 2; i++) {
		self->dmabufs[i] = below(DMABUFS);
		self->twins[i] = below(2);
	}
	if (self->kind == COPY || self->kind == READ) {
		self->source = readable(self, &self->dmabufs[1]);
		if (self->source < 0)
			self->kind = FILL;
		else
			self->value = graph.nodes[self->source].value;
	}
	if (self->kind == NATIVE || self->kind == FILL || self->kind == COPY)
		self->writes = BIT(self->dmabufs[0]);
	if (self->kind == NATIVE)
		self->writes |= BIT(self->dmabufs[1]);
	self->reads = self->writes;
	if (self->kind == COPY || self->kind == READ)
		self->reads |= BIT(self->dmabufs[1]);
}

static void plan_nodes(void)
{
	static const enum kind kinds[] = { NATIVE, NATIVE, NATIVE, FILL,   FILL,
					   COPY,   COPY,   READ,   MARKER, BARRIER };

	memset(&graph, 0, sizeof(graph));
	for (int id = 0; id < (int)plan.nodes; id++) {
		struct node *self = &graph.nodes[id];

		self->kind = kinds[below(SHM_TEST_COUNT(kinds))];
		self->queue = below(QUEUES);
		plan_waits(self, id);
		plan_uses(self);
		graph.count++;
	}
}

/* ---- the commands ---- */

/* What a native kernel gets; the runtime fills in the addresses. */
struct work {
	unsigned char *bytes[2];
	int node;
	cl_uint count;
};

static void CL_CALLBACK work(void *args)
{
	const struct work *job = args;
	const struct node *self = &graph.nodes[job->node];

	fake_note(NOTE_BEGIN(job->node));
	for (cl_uint i = 0; i < job->count; i++) {
		for (int before = 0; before < job->node; before++) {
			const struct node *other = &graph.nodes[before];

			if (self->before & BIT(before) && other->writes & BIT(self->dmabufs[i]) &&
			    !cell_is(job->bytes[i] + (size_t)before * CELL, other->value))
				atomic_fetch_add(&wrong, 1);
		}
		memset(job->bytes[i] + (size_t)job->node * CELL, self->value, CELL);
	}
	fake_note(NOTE_FINISH(job->node));
}

/* PoCL 3.1 gives the addresses out in the order in which the memory was made. */
static cl_int enqueue_native(int id, cl_command_queue queue, const cl_mem *mems, cl_uint waits,
			     const cl_event *list, cl_event *event)
{
	const struct node *self = &graph.nodes[id];
	const bool swapped = self->dmabufs[0] > self->dmabufs[1];
	const cl_mem sorted[2] = { mems[swapped], mems[!swapped] };
	struct work job = { .node = id, .count = self->dmabufs[0] == self->dmabufs[1] ? 1 : 2 };
	const void *places[2] = { &job.bytes[swapped], &job.bytes[!swapped] };

	if (job.count == 1)
		places[0] = &job.bytes[0];
	return clEnqueueNativeKernel(queue, work, &job, sizeof(job), job.count,
				     job.count == 1 ? mems : sorted, places, waits, list, event);
}

static cl_int enqueue(int id, const cl_event *list, cl_event *event)
{
	const struct node *self = &graph.nodes[id];
	const size_t own = (size_t)id * CELL, from = (size_t)self->source * CELL;
	const cl_mem mems[2] = { plan.mems[self->dmabufs[0]][self->twins[0]],
				 plan.mems[self->dmabufs[1]][self->twins[1]] };
	const cl_uint count = self->wait_count;
	cl_command_queue queue = plan.queues[self->queue];

	switch (self->kind) {
	case NATIVE:
		return enqueue_native(id, queue, mems, count, list, event);
	case FILL:
		return clEnqueueFillBuffer(queue, mems[0], &self->value, 1, own, CELL, count, list,
					   event);
	case COPY:
		return clEnqueueCopyBuffer(queue, mems[1], mems[0], from, own, CELL, count, list,
					   event);
	case READ:
		return clEnqueueReadBuffer(queue, mems[1], CL_FALSE, from, CELL, plan.host[id],
					   count, list, event);
	case MARKER:
		return clEnqueueMarkerWithWaitList(queue, count, list, event);
	case BARRIER:
		return clEnqueueBarrierWithWaitList(queue, count, list, event);
	}
	return CL_INVALID_VALUE;
}

/* Other threads enqueue what comes before. */
static cl_event event_of(int wait)
{
	cl_event event;

	if (wait < 0)
		return plan.users[USER(wait)];
	while (!(event = atomic_load(&graph.nodes[wait].event)))
		sched_yield();
	return event;
}

static void enqueue_node(int id)
{
	struct node *self = &graph.nodes[id];
	cl_event list[MOST_WAITS], event = NULL;

	for (unsigned i = 0; i < self->wait_count; i++)
		list[i] = event_of(self->waits[i]);
	assert_cl(enqueue(id, self->wait_count ? list : NULL, &event));
	clFlush(plan.queues[self->queue]);
	atomic_store(&self->event, event);
}

/* Each queue is one thread's. */
static void *enqueue_nodes(void *number)
{
	for (int id = 0; id < graph.count; id++)
		if (graph.nodes[id].queue % plan.threads == *(unsigned *)number)
			enqueue_node(id);
	return NULL;
}

static void make_plan(void)
{
	for (unsigned i = 0; i < DMABUFS; i++) {
		plan.fakes[i] = fake_new(NODES * CELL);
		plan.mems[i][0] = import_fd(fake_fd(plan.fakes[i]), NODES * CELL);
		plan.mems[i][1] = plan.mems[i][0];
		if (below(2))
			plan.mems[i][1] = import_fd(fake_fd(plan.fakes[i]), NODES * CELL);
		if (!below(4))
			fake_fence(plan.fakes[i], below(2));
	}
	for (unsigned i = 0; i < QUEUES; i++) {
		plan.in_order[i] = !below(3);
		plan.queues[i] =
			new_queue(plan.in_order[i] ? 0 : CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
	}
	for (unsigned i = 0; i < USERS; i++)
		plan.users[i] = new_user_event();
	plan.threads = 1 + below(QUEUES);
	plan.nodes = 4 + below(NODES - 4);
	plan_nodes();
	fake_reset();
}

static void end_plan(void)
{
	for (int i = 0; i < graph.count; i++)
		assert_cl(clReleaseEvent(graph.nodes[i].event));
	for (unsigned i = 0; i < USERS; i++)
		assert_cl(clReleaseEvent(plan.users[i]));
	for (unsigned i = 0; i < QUEUES; i++) {
		assert_cl(clReleaseCommandQueue(plan.queues[i]));
	}
	for (unsigned i = 0; i < DMABUFS; i++) {
		if (plan.mems[i][1] != plan.mems[i][0])
			assert_cl(clReleaseMemObject(plan.mems[i][1]));
		assert_cl(clReleaseMemObject(plan.mems[i][0]));
		fake_free(plan.fakes[i]);
	}
	fake_reset();
}

static bool bytes_are_right(void)
{
	for (int id = 0; id < graph.count; id++) {
		const struct node *node = &graph.nodes[id];

		if (node->kind == READ && !cell_is(plan.host[id], node->value))
			return false;
		for (unsigned i = 0; i < DMABUFS; i++)
			if (node->writes & BIT(i) &&
			    !cell_is(fake_device(plan.fakes[i]) + (size_t)id * CELL, node->value))
				return false;
	}
	return true;
}

static void run_graph(void)
{
	unsigned numbers[QUEUES];
	pthread_t threads[QUEUES] = { 0 };
	const char *fault;

	make_plan();
	for (unsigned i = 0; i < plan.threads; i++) {
		numbers[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, enqueue_nodes, &numbers[i]), 0);
	}
	for (unsigned i = 0; i < USERS; i++) {
		usleep(200);
		assert_cl(clSetUserEventStatus(plan.users[i], CL_COMPLETE));
	}
	for (unsigned i = 0; i < DMABUFS; i++)
		fake_signal(plan.fakes[i]);
	for (unsigned i = 0; i < plan.threads; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < QUEUES; i++)
		assert_cl(clFinish(plan.queues[i]));
	fault = graph_fault(&graph, plan.fakes);
	if (fault) {
		fake_print();
		fail_msg("%s", fault);
	}
	assert_int_equal(wrong, 0);
	assert_true(bytes_are_right());
	end_plan();
}

static void random_graphs_keep_order_and_bytes(void **state)
{
	const time_t begun = time(NULL);
	unsigned first = seed(), i;

	(void)state;
	for (i = 0; i < GRAPHS && (i < FEW_GRAPHS || time(NULL) < begun + ENOUGH_S); i++) {
		random_state = first + i;
		run_graph();
	}
	print_message("%u graphs\n", i);
}

/* ---- threads that agree on nothing ---- */

#define THREADS 3
#define ROUNDS  40

static struct fake_dmabuf *shared;
static cl_mem shared_mem;

static void CL_CALLBACK count_up(cl_event event, cl_int status, void *counter)
{
	(void)event;
	(void)status;
	atomic_fetch_add((atomic_uint *)counter, 1);
}

/* Each on a cell of its own, in queues that all use, with imports and queues of its own beside. */
static void *use_what_is_shared(void *number)
{
	const size_t own = *(unsigned *)number * CELL;
	atomic_uint called = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		cl_command_queue queue = i % 2 ? cl.queue : cl.unordered, mine = new_queue(0);
		const unsigned char value = (unsigned char)(i + 1);
		unsigned char copy[CELL] = { 0 };
		cl_mem twin = import_fd(fake_fd(shared), NODES * CELL);
		cl_event filled, barrier;

		assert_cl(clEnqueueFillBuffer(queue, i % 3 ? shared_mem : twin, &value, 1, own,
					      CELL, 0, NULL, &filled));
		assert_cl(clSetEventCallback(filled, CL_COMPLETE, count_up, &called));
		assert_cl(clEnqueueBarrierWithWaitList(queue, 0, NULL, &barrier));
		assert_cl(clFlush(queue));
		assert_cl(clEnqueueReadBuffer(mine, twin, CL_TRUE, own, CELL, copy, 1, &filled,
					      NULL));
		assert_true(cell_is(copy, value));
		assert_cl(clWaitForEvents(1, &barrier));
		assert_cl(clReleaseEvent(filled));
		assert_cl(clReleaseEvent(barrier));
		assert_cl(clReleaseMemObject(twin));
		assert_cl(clReleaseCommandQueue(mine));
	}
	for (int ms = 0; ms < PATIENT_MS && atomic_load(&called) < ROUNDS; ms++)
		usleep(1000);
	assert_int_equal(atomic_load(&called), ROUNDS);
	return NULL;
}

static void threads_share_queues_and_imports(void **state)
{
	unsigned numbers[THREADS];
	pthread_t threads[THREADS] = { 0 };

	(void)state;
	shared = fake_new(NODES * CELL);
	shared_mem = import_fd(fake_fd(shared), NODES * CELL);
	for (unsigned i = 0; i < THREADS; i++) {
		numbers[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, use_what_is_shared, &numbers[i]),
				 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_cl(clFinish(cl.queue));
	assert_cl(clFinish(cl.unordered));
	assert_int_equal(fake_count(shared, FAKE_START) > 0, 1);
	for (unsigned i = 0; i < THREADS; i++)
		assert_true(cell_is(fake_device(shared) + (size_t)i * CELL, ROUNDS));
	assert_cl(clReleaseMemObject(shared_mem));
	fake_free(shared);
	fake_reset();
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_graphs_keep_order_and_bytes),
		cmocka_unit_test(threads_share_queues_and_imports),
	};

	open_bracket_runtime();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
