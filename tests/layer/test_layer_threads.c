/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads that import and release at once, and children of a program that has threads: none hangs. */
#include "bracket_fixture.h"
#include "layer_memory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HASTE 20
#define leave _exit /* a sanitizer misses the threads in a child */
#else
#define HASTE 100
#define leave exit
#endif
#define THREADS 4

static cl_kernel copier;

static const char source[] = "kernel void copy(global const uint *from, global uint *to)\n"
			     "{\n"
			     "	to[get_global_id(0)] = from[get_global_id(0)];\n"
			     "}\n";

static void set_mem(cl_kernel kernel, cl_uint index, cl_mem mem)
{
	assert_cl(clSetKernelArg(kernel, index, sizeof(mem), &mem));
}

static atomic_bool stop_threads;
static atomic_uint rounds_done;

struct worker {
	pthread_t thread;
	struct fake_dmabuf *fake; /* all threads' */
	unsigned number, wrong;
	bool forever;
};

static unsigned use_once(const struct worker *worker, unsigned round)
{
	const cl_import_properties_arm *properties = as_dmabuf;
	struct memory memory = { .size = 4096 };
	unsigned char value = (unsigned char)(worker->number + round), copy = 0;
	cl_mem mine, shared;
	cl_int code, fd = fake_fd(worker->fake);
	cl_event filled, event;
	unsigned wrong = 0;

	memory.fd = memfd_create("thread", MFD_CLOEXEC);
	wrong += ftruncate(memory.fd, 4096) != 0;
	mine = cl.import(cl.context, 0, properties, &memory.fd, 4096, &code);
	wrong += code != CL_SUCCESS;
	shared = cl.import(cl.context, 0, properties, &fd, BYTES, &code);
	wrong += code != CL_SUCCESS;
	wrong += clEnqueueFillBuffer(cl.queue, mine, &value, 1, 0, 4096, 0, NULL, &filled) !=
		 CL_SUCCESS;
	wrong += clEnqueueCopyBuffer(cl.unordered, shared, mine, 0, 2048, 64, 1, &filled, &event) !=
		 CL_SUCCESS;
	wrong += clWaitForEvents(1, &event) != CL_SUCCESS;
	wrong += clReleaseEvent(event) != CL_SUCCESS;
	wrong += clReleaseEvent(filled) != CL_SUCCESS;
	wrong += clEnqueueReadBuffer(cl.queue, mine, CL_TRUE, 9, 1, &copy, 0, NULL, NULL) !=
		 CL_SUCCESS;
	wrong += copy != value;
	wrong += clReleaseMemObject(shared) != CL_SUCCESS;
	wrong += clReleaseMemObject(mine) != CL_SUCCESS;
	close(memory.fd);
	atomic_fetch_add(&rounds_done, 1);
	return wrong;
}

static void *work(void *arg)
{
	struct worker *worker = arg;

	for (unsigned i = 0; worker->forever ? !atomic_load(&stop_threads) : i < HASTE; i++)
		worker->wrong += use_once(worker, i);
	return NULL;
}

static void threads_import_and_release_at_once(void **state)
{
	struct fake_dmabuf *fake = fake_new(BYTES);
	struct worker workers[THREADS];

	(void)state;
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .fake = fake, .number = i };
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		assert_int_equal(workers[i].wrong, 0);
	}
	fake_free(fake);
}

/* ---- fork ---- */

/* What the child makes of its commands: 0 when all are refused. */
static int try_commands(cl_mem mem, cl_mem dmabuf)
{
	unsigned char value = 1;
	cl_int code;

	if (clEnqueueFillBuffer(cl.queue, dmabuf, &value, 1, 0, 64, 0, NULL, NULL) !=
	    CL_OUT_OF_RESOURCES)
		return 1;
	if (clEnqueueReadBuffer(cl.queue, mem, CL_TRUE, 0, 1, &value, 0, NULL, NULL) !=
	    CL_OUT_OF_RESOURCES)
		return 2;
	if (clEnqueueMapBuffer(cl.queue, mem, CL_TRUE, CL_MAP_READ, 0, 64, 0, NULL, NULL, &code))
		return 3;
	if (clEnqueueMapBuffer(cl.queue, dmabuf, CL_TRUE, CL_MAP_READ, 0, 64, 0, NULL, NULL, &code))
		return 4;
	if (clEnqueueNDRangeKernel(cl.queue, copier, 1, NULL, &(size_t){ 1 }, NULL, 0, NULL,
				   NULL) != CL_OUT_OF_RESOURCES)
		return 5;
	return 0;
}

static void assert_child(pid_t child)
{
	int status = -1;

	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFSIGNALED(status))
		fail_msg("the child got signal %d", WTERMSIG(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* SIGALRM ends one that hangs. */
static void a_childs_commands_are_refused(void **state)
{
	struct fake_dmabuf *fake = fake_new(BYTES);
	struct memory memory = new_memory(BYTES);
	cl_mem mem = import_fd(memory.fd, BYTES), dmabuf = import_fd(fake_fd(fake), BYTES);
	pid_t child;

	(void)state;
	set_mem(copier, 0, mem);
	set_mem(copier, 1, dmabuf);
	assert_cl(run_kernel(copier, 16));
	child = fork();
	if (!child) {
		alarm(20);
		_exit(try_commands(mem, dmabuf));
	}
	assert_child(child);
	assert_cl(run_kernel(copier, 16));
	assert_cl(clReleaseMemObject(mem));
	assert_cl(clReleaseMemObject(dmabuf));
	free_memory(&memory);
	fake_free(fake);
}

/* While other threads are in the layer, so that locks are held at some of the forks. */
static void a_child_of_a_busy_program_exits_and_execs(void **state)
{
	struct fake_dmabuf *fake = fake_new(BYTES);
	struct worker workers[2];

	(void)state;
	atomic_store(&stop_threads, false);
	atomic_store(&rounds_done, 0);
	for (unsigned i = 0; i < 2; i++) {
		workers[i] = (struct worker){ .fake = fake, .number = i, .forever = true };
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; i < 24; i++) {
		unsigned before = atomic_load(&rounds_done);
		cl_mem mem;
		pid_t child;

		while (atomic_load(&rounds_done) == before)
			usleep(100);
		mem = import_fd(fake_fd(fake), BYTES);
		fflush(NULL);
		child = fork();
		if (!child) {
			unsigned char value = 1;

			alarm(20);
			if (clEnqueueFillBuffer(cl.queue, mem, &value, 1, 0, 64, 0, NULL, NULL) !=
			    CL_OUT_OF_RESOURCES)
				_exit(1);
			if (i % 2)
				execl("/bin/true", "true", (char *)NULL);
			leave(0);
		}
		assert_child(child);
		assert_cl(clReleaseMemObject(mem));
	}
	atomic_store(&stop_threads, true);
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(workers[i].thread, NULL);
		assert_int_equal(workers[i].wrong, 0);
	}
	fake_free(fake);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_import_and_release_at_once),
		cmocka_unit_test(a_childs_commands_are_refused),
		cmocka_unit_test(a_child_of_a_busy_program_exits_and_execs),
	};

	open_bracket_runtime();
	copier = new_kernel(source, "copy");
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
