/* SPDX-License-Identifier: BSD-3-Clause */
/* Acquire and release: what waits for what, on queues of both orders, and what never blocks. */
#include "opencl_fixture.h"

#include <poll.h>

#define SIZE 4096u

struct shared {
	struct metal_generic_shm *shm, *view;
	unsigned char *bytes;
};

static struct shared shared_new(struct metal_device *gpu)
{
	struct shared s;

	s.shm = metal_shm_allocate(SIZE, fx.memfd, METAL_SHM_ZEROED);
	assert_non_null(s.shm);
	s.view = metal_shm_attach(s.shm, gpu);
	assert_non_null(s.view);
	s.bytes = metal_shm_map(s.shm, READ_WRITE);
	assert_non_null(s.bytes);
	return s;
}

static void shared_end(struct shared *s, struct metal_device *gpu)
{
	metal_shm_detach(s->view, gpu);
	metal_shm_free(s->shm, NULL);
}

static bool readable(int fd, int timeout_ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, timeout_ms) == 1;
}

/* That nothing has run yet shows only in bytes that aren't the program's. */
static void look_while_it_is_held(const struct shared *s)
{
	assert_int_equal(metal_shm_guard(s->shm, false), 0);
}

static void release_does_not_wait_and_its_end_is_polled(void **state)
{
	struct shared s = shared_new(fx.gpu);
	cl_event gate = gate_new();
	int fd = metal_shm_device_poll_fd(fx.gpu);

	(void)state;
	look_while_it_is_held(&s);
	queue_fill(fx.gpu, s.shm, gate, 0x21);
	assert_false(readable(fd, 0));
	assert_int_equal(metal_shm_device_dispatch(fx.gpu), 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(s.shm, DEV_W, 0), -ETIMEDOUT);
	assert_true(all_are(s.bytes, SIZE, 0));
	clSetUserEventStatus(gate, CL_COMPLETE);
	assert_true(readable(fd, 10000));
	assert_int_equal(metal_shm_device_dispatch(fx.gpu), 0);
	assert_false(readable(fd, 0));
	assert_int_equal(metal_shm_sync_for_cpu_timeout(s.shm, DEV_W, 0), 0);
	assert_true(all_are(s.bytes, SIZE, 0x21));
	clReleaseEvent(gate);
	shared_end(&s, fx.gpu);
}

/* Not by the look that is due five times a second. */
static void completion_is_reported_when_it_comes(void **state)
{
	struct shared s = shared_new(fx.gpu);
	int fd = metal_shm_device_poll_fd(fx.gpu);
	int64_t begin = now_ns();

	(void)state;
	for (unsigned char i = 0; i < 20; i++) {
		cl_event gate = gate_new();

		queue_fill(fx.gpu, s.shm, gate, i);
		clSetUserEventStatus(gate, CL_COMPLETE);
		assert_true(readable(fd, 10000));
		assert_int_equal(metal_shm_sync_for_cpu(s.shm, DEV_W), 0);
		clReleaseEvent(gate);
	}
	assert_true(now_ns() - begin < INT64_C(2000000000));
	shared_end(&s, fx.gpu);
}

static void sync_for_cpu_waits_for_the_kernel(void **state)
{
	struct shared s = shared_new(fx.gpu);
	cl_event gate = gate_new();
	pthread_t thread;

	(void)state;
	queue_fill(fx.gpu, s.shm, gate, 0x22);
	assert_int_equal(pthread_create(&thread, NULL, open_gate_later, gate), 0);
	assert_int_equal(metal_shm_sync_for_cpu(s.shm, DEV_W), 0);
	assert_true(all_are(s.bytes, SIZE, 0x22));
	pthread_join(thread, NULL);
	clReleaseEvent(gate);
	shared_end(&s, fx.gpu);
}

static void a_finished_queue_needs_no_callback(void **state)
{
	struct shared s = shared_new(fx.gpu);

	(void)state;
	for (int i = 1; i <= 200; i++) {
		run_on(fx.gpu, s.shm, "fill", (unsigned char)i);
		clFinish(fx.queue);
		assert_int_equal(metal_shm_device_dispatch(fx.gpu), 0);
		assert_int_equal(metal_shm_sync_for_cpu_timeout(s.shm, DEV_RW, 0), 0);
		assert_int_equal(s.bytes[SIZE - 1], (unsigned char)i);
	}
	shared_end(&s, fx.gpu);
}

static void another_device_waits_for_queued_work(void **state)
{
	struct metal_device *other = open_paths(0, 0);
	struct shared s = shared_new(fx.gpu);
	struct metal_generic_shm *view = metal_shm_attach(s.shm, other);
	cl_event gate = gate_new();

	(void)state;
	assert_non_null(view);
	queue_fill(fx.gpu, s.shm, gate, 5);
	assert_int_equal(metal_shm_hold(s.shm, other, DEV_R, 0), -ETIMEDOUT);
	clSetUserEventStatus(gate, CL_COMPLETE);
	run_on(other, s.shm, "add", 6);
	assert_int_equal(metal_shm_sync_for_cpu(s.shm, DEV_RW), 0);
	assert_true(all_are(s.bytes, SIZE, 11));
	clReleaseEvent(gate);
	metal_shm_detach(view, other);
	shared_end(&s, fx.gpu);
	metal_shm_device_close(other);
}

static void an_out_of_order_queue_follows_the_events(void **state)
{
	struct shared s = shared_new(fx.gpu);
	cl_event gate = gate_new(), acquired, filled, added, released;

	(void)state;
	assert_int_equal(metal_shm_opencl_enqueue_acquire(fx.gpu, fx.out_of_order, s.shm, DEV_RW, 1,
							  &gate, &acquired),
			 0);
	enqueue_fill(fx.out_of_order, "fill", mem_of(fx.gpu, s.shm), 30, SIZE, 1, &acquired,
		     &filled);
	enqueue_fill(fx.out_of_order, "add", mem_of(fx.gpu, s.shm), 4, SIZE, 1, &filled, &added);
	assert_int_equal(metal_shm_opencl_enqueue_release(fx.gpu, fx.out_of_order, s.shm, 1, &added,
							  &released),
			 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(s.shm, DEV_RW, 0), -ETIMEDOUT);
	clSetUserEventStatus(gate, CL_COMPLETE);
	assert_int_equal(clWaitForEvents(1, &released), CL_SUCCESS);
	assert_int_equal(metal_shm_sync_for_cpu(s.shm, DEV_RW), 0);
	assert_true(all_are(s.bytes, SIZE, 34));
	clReleaseEvent(gate);
	clReleaseEvent(acquired);
	clReleaseEvent(filled);
	clReleaseEvent(added);
	clReleaseEvent(released);
	shared_end(&s, fx.gpu);
}

static void a_release_without_events_waits_for_all_of_an_out_of_order_queue(void **state)
{
	struct shared s = shared_new(fx.gpu);
	cl_event gate = gate_new();

	(void)state;
	look_while_it_is_held(&s);
	assert_int_equal(metal_shm_opencl_enqueue_acquire(fx.gpu, fx.out_of_order, s.shm, DEV_W, 1,
							  &gate, NULL),
			 0);
	/* no wait list: the acquire's barrier holds it back */
	enqueue_fill(fx.out_of_order, "fill", mem_of(fx.gpu, s.shm), 31, SIZE, 0, NULL, NULL);
	assert_int_equal(
		metal_shm_opencl_enqueue_release(fx.gpu, fx.out_of_order, s.shm, 0, NULL, NULL), 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(s.shm, DEV_W, 0), -ETIMEDOUT);
	assert_true(all_are(s.bytes, SIZE, 0));
	clSetUserEventStatus(gate, CL_COMPLETE);
	assert_int_equal(metal_shm_sync_for_cpu(s.shm, DEV_W), 0);
	assert_true(all_are(s.bytes, SIZE, 31));
	clReleaseEvent(gate);
	shared_end(&s, fx.gpu);
}

static void a_copy_follows_the_events_of_an_out_of_order_queue(void **state)
{
	struct metal_device *gpu = open_paths(METAL_SHM_OPENCL_PATH_BIT(METAL_SHM_OPENCL_COPY),
					      METAL_SHM_OPENCL_ALLOW_COPY);
	struct shared s = shared_new(gpu);
	cl_event gate = gate_new();

	(void)state;
	look_while_it_is_held(&s);
	memset(s.bytes, 100, SIZE);
	assert_int_equal(metal_shm_opencl_enqueue_acquire(gpu, fx.out_of_order, s.shm, DEV_RW, 1,
							  &gate, NULL),
			 0);
	enqueue_fill(fx.out_of_order, "add", mem_of(gpu, s.shm), 1, SIZE, 0, NULL, NULL);
	/* a second acquire fills nothing again, its release brings nothing back */
	assert_int_equal(
		metal_shm_opencl_enqueue_acquire(gpu, fx.out_of_order, s.shm, DEV_R, 0, NULL, NULL),
		0);
	assert_int_equal(
		metal_shm_opencl_enqueue_release(gpu, fx.out_of_order, s.shm, 0, NULL, NULL), 0);
	assert_int_equal(
		metal_shm_opencl_enqueue_release(gpu, fx.out_of_order, s.shm, 0, NULL, NULL), 0);
	assert_int_equal(metal_shm_opencl_release(gpu, s.shm), -EINVAL);
	assert_true(all_are(s.bytes, SIZE, 100));
	clSetUserEventStatus(gate, CL_COMPLETE);
	assert_int_equal(metal_shm_sync_for_cpu(s.shm, DEV_RW), 0);
	assert_true(all_are(s.bytes, SIZE, 101));
	clReleaseEvent(gate);
	shared_end(&s, gpu);
	metal_shm_device_close(gpu);
}

static void each_acquire_needs_its_release(void **state)
{
	struct shared s = shared_new(fx.gpu);

	(void)state;
	assert_int_equal(metal_shm_opencl_release(fx.gpu, s.shm), -EINVAL);
	assert_int_equal(metal_shm_opencl_acquire(fx.gpu, s.shm, DEV_R), 0);
	assert_int_equal(metal_shm_opencl_acquire(fx.gpu, s.shm, DEV_W), 0);
	assert_int_equal(metal_shm_opencl_release(fx.gpu, s.shm), 0);
	clFinish(fx.queue);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(s.shm, DEV_RW, 0), -ETIMEDOUT);
	assert_int_equal(metal_shm_opencl_release(fx.gpu, s.shm), 0);
	assert_int_equal(metal_shm_sync_for_cpu(s.shm, DEV_RW), 0);
	assert_int_equal(metal_shm_opencl_release(fx.gpu, s.shm), -EINVAL);
	shared_end(&s, fx.gpu);
}

static void everything_may_go_right_after_the_release(void **state)
{
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };
	struct shared s = shared_new(fx.gpu);
	cl_event gate = gate_new();
	uint64_t live;

	(void)state;
	metal_shm_stats(&stats);
	live = stats.buffers_live;
	queue_fill(fx.gpu, s.shm, gate, 3);
	shared_end(&s, fx.gpu);
	metal_shm_stats(&stats);
	assert_int_equal(stats.buffers_live, live);
	clSetUserEventStatus(gate, CL_COMPLETE);
	clFinish(fx.queue);
	assert_int_equal(metal_shm_device_dispatch(fx.gpu), 0);
	metal_shm_stats(&stats);
	assert_int_equal(stats.buffers_live, live - 1);
	clReleaseEvent(gate);
}

static void a_device_closed_with_work_queued_still_gives_the_bytes_back(void **state)
{
	struct metal_device *gpu = open_paths(0, 0);
	struct shared s = shared_new(gpu);
	cl_event gate = gate_new();

	(void)state;
	queue_fill(gpu, s.shm, gate, 0x44);
	assert_int_equal(metal_shm_opencl_acquire(gpu, s.shm, DEV_R), 0); /* and no release */
	metal_shm_device_close(gpu);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(s.shm, DEV_RW, 0), -ETIMEDOUT);
	clSetUserEventStatus(gate, CL_COMPLETE);
	assert_int_equal(metal_shm_sync_for_cpu(s.shm, DEV_RW), 0);
	assert_true(all_are(s.bytes, SIZE, 0x44));
	clReleaseEvent(gate);
	shared_end(&s, gpu);
}

struct churn {
	pthread_t thread;
	unsigned seed;
	const char *wrong;
};

/* Each step's name where it failed: cmocka's assertions are for the main thread. */
static const char *churn_once(unsigned char value)
{
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, fx.memfd, METAL_SHM_ZEROED);
	struct metal_generic_shm *view = metal_shm_attach(shm, fx.gpu);
	unsigned char *bytes = metal_shm_map(shm, READ_WRITE);
	const size_t count = SIZE;
	cl_kernel kernel;
	cl_mem mem = NULL;
	cl_int code;

	kernel = clCreateKernel(fx.program, "add", &code);
	if (!view || !bytes || !kernel || metal_shm_opencl_mem(fx.gpu, shm, &mem))
		return "setting up";
	memset(bytes, 1, SIZE);
	if (metal_shm_opencl_acquire(fx.gpu, shm, DEV_RW))
		return "acquire";
	clSetKernelArg(kernel, 0, sizeof(mem), &mem);
	clSetKernelArg(kernel, 1, sizeof(value), &value);
	clEnqueueNDRangeKernel(fx.queue, kernel, 1, NULL, &count, NULL, 0, NULL, NULL);
	clReleaseKernel(kernel);
	if (metal_shm_opencl_release(fx.gpu, shm) || metal_shm_sync_for_cpu(shm, DEV_RW))
		return "release or sync";
	if (!all_are(bytes, SIZE, (unsigned char)(value + 1)))
		return "bytes";
	metal_shm_detach(view, fx.gpu);
	metal_shm_free(shm, NULL);
	return NULL;
}

static void *churn(void *argument)
{
	struct churn *churn = argument;

	for (unsigned i = 0; i < 50 && !churn->wrong; i++)
		churn->wrong = churn_once((unsigned char)(churn->seed + i));
	return NULL;
}

static void four_threads_share_a_device(void **state)
{
	struct churn churns[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		churns[i] = (struct churn){ .seed = i * 50 };
		assert_int_equal(pthread_create(&churns[i].thread, NULL, churn, &churns[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(churns[i].thread, NULL);
		if (churns[i].wrong)
			fail_msg("%s", churns[i].wrong);
	}
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		opencl_case(release_does_not_wait_and_its_end_is_polled),
		opencl_case(completion_is_reported_when_it_comes),
		opencl_case(sync_for_cpu_waits_for_the_kernel),
		opencl_case(a_finished_queue_needs_no_callback),
		opencl_case(another_device_waits_for_queued_work),
		opencl_case(an_out_of_order_queue_follows_the_events),
		opencl_case(a_release_without_events_waits_for_all_of_an_out_of_order_queue),
		opencl_case(a_copy_follows_the_events_of_an_out_of_order_queue),
		opencl_case(each_acquire_needs_its_release),
		opencl_case(everything_may_go_right_after_the_release),
		opencl_case(a_device_closed_with_work_queued_still_gives_the_bytes_back),
		opencl_case(four_threads_share_a_device),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
