/* SPDX-License-Identifier: BSD-3-Clause */
/* What goes wrong around OpenCL, and that it says so. */
#include "opencl_fixture.h"

#include <sys/wait.h>

#define SIZE 4096u

static void null_and_foreign_arguments_are_einval(void **state)
{
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, fx.memfd, 0);
	struct metal_generic_shm *view = metal_shm_attach(shm, fx.gpu);
	struct metal_device *dev = NULL;
	cl_mem mem = NULL;

	(void)state;
	assert_int_equal(metal_shm_opencl_open(fx.context, fx.queue, NULL), -EINVAL);
	assert_int_equal(metal_shm_opencl_open(fx.context, NULL, &dev), -EINVAL);
	assert_int_equal(metal_shm_opencl_open(NULL, fx.queue, &dev), -EINVAL);
	assert_int_equal(metal_shm_opencl_open_with(NULL, &dev), -EINVAL);
	assert_null(dev);
	assert_int_equal(metal_shm_opencl_mem(NULL, shm, &mem), -EINVAL);
	assert_int_equal(metal_shm_opencl_mem(fx.memfd, shm, &mem), -EINVAL);
	assert_int_equal(metal_shm_opencl_mem(fx.gpu, NULL, &mem), -EINVAL);
	assert_int_equal(metal_shm_opencl_mem(fx.gpu, shm, NULL), -EINVAL);
	assert_int_equal(metal_shm_opencl_path(fx.memfd, shm), -EINVAL);
	assert_int_equal(metal_shm_opencl_acquire(fx.memfd, shm, DEV_R), -EINVAL);
	assert_int_equal(metal_shm_opencl_release(NULL, shm), -EINVAL);
	assert_int_equal(metal_shm_opencl_acquire(fx.gpu, shm, 0), -EINVAL);
	assert_int_equal(metal_shm_opencl_acquire(fx.gpu, shm, 4), -EINVAL);
	assert_null(metal_shm_opencl_context(fx.memfd));
	assert_null(metal_shm_opencl_queue(NULL));
	assert_null(mem);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(shm, DEV_RW, 0), 0);
	metal_shm_detach(view, fx.gpu);
	metal_shm_free(shm, NULL);
}

static void unknown_options_are_einval(void **state)
{
	struct metal_shm_opencl_options options = { .context = fx.context, .queue = fx.queue };
	struct metal_device *dev = NULL;

	(void)state;
	assert_int_equal(metal_shm_opencl_open_with(&options, &dev), -EINVAL); /* no struct_size */
	options.struct_size = sizeof(options);
	options.flags = 1u << 31;
	assert_int_equal(metal_shm_opencl_open_with(&options, &dev), -EINVAL);
	options.flags = 0;
	options.paths = 1;
	assert_int_equal(metal_shm_opencl_open_with(&options, &dev), -EINVAL);
	options.paths = 0;
	options.reserved = 1;
	assert_int_equal(metal_shm_opencl_open_with(&options, &dev), -EINVAL);
	assert_null(dev);
}

static void handles_that_are_not_attached_are_enotconn(void **state)
{
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, fx.memfd, 0);
	struct metal_generic_shm *part = metal_shm_sub(shm, 0, 128, 0);
	struct metal_generic_shm *view;
	cl_mem mem = NULL;

	(void)state;
	assert_int_equal(metal_shm_opencl_mem(fx.gpu, shm, &mem), -ENOTCONN);
	assert_int_equal(metal_shm_opencl_path(fx.gpu, shm), -ENOTCONN);
	assert_int_equal(metal_shm_opencl_acquire(fx.gpu, shm, DEV_R), -ENOTCONN);
	assert_int_equal(metal_shm_opencl_release(fx.gpu, shm), -ENOTCONN);
	view = metal_shm_attach(shm, fx.gpu);
	assert_int_equal(metal_shm_opencl_mem(fx.gpu, part, &mem), -ENOTCONN);
	assert_null(mem);
	metal_shm_detach(view, fx.gpu);
	metal_shm_free(part, NULL);
	metal_shm_free(shm, NULL);
}

static void a_queue_of_another_context_is_einval(void **state)
{
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, fx.memfd, 0);
	struct metal_generic_shm *view = metal_shm_attach(shm, fx.gpu);
	struct metal_device *other = NULL, *dev = NULL;
	cl_command_queue foreign;

	(void)state;
	assert_int_equal(metal_shm_opencl_open(NULL, NULL, &other), 0);
	foreign = metal_shm_opencl_queue(other);
	assert_int_equal(metal_shm_opencl_open(fx.context, foreign, &dev), -EINVAL);
	assert_null(dev);
	assert_int_equal(
		metal_shm_opencl_enqueue_acquire(fx.gpu, foreign, shm, DEV_R, 0, NULL, NULL),
		-EINVAL);
	assert_reason_has("another context");
	assert_int_equal(metal_shm_opencl_acquire(fx.gpu, shm, DEV_R), 0);
	assert_int_equal(metal_shm_opencl_enqueue_release(fx.gpu, foreign, shm, 0, NULL, NULL),
			 -EINVAL);
	assert_int_equal(metal_shm_opencl_release(fx.gpu, shm), 0);
	assert_int_equal(metal_shm_sync_for_cpu(shm, DEV_RW), 0);
	metal_shm_detach(view, fx.gpu);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(other);
}

static void a_wait_list_that_opencl_refuses_leaves_nothing_acquired(void **state)
{
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, fx.memfd, 0);
	struct metal_generic_shm *view = metal_shm_attach(shm, fx.gpu);
	cl_event none = NULL, event = NULL;

	(void)state;
	assert_int_equal(metal_shm_opencl_enqueue_acquire(fx.gpu, NULL, shm, DEV_R, 1, NULL, NULL),
			 -EINVAL);
	assert_int_equal(
		metal_shm_opencl_enqueue_acquire(fx.gpu, NULL, shm, DEV_R, 1, &none, &event),
		-EINVAL);
	assert_reason_has("CL_INVALID_EVENT_WAIT_LIST");
	assert_null(event);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(shm, DEV_RW, 0), 0);
	assert_int_equal(metal_shm_opencl_acquire(fx.gpu, shm, DEV_R), 0);
	assert_int_equal(metal_shm_opencl_enqueue_release(fx.gpu, NULL, shm, 1, &none, &event),
			 -EINVAL);
	assert_null(event);
	/* still acquired */
	assert_int_equal(metal_shm_opencl_release(fx.gpu, shm), 0);
	assert_int_equal(metal_shm_sync_for_cpu(shm, DEV_RW), 0);
	metal_shm_detach(view, fx.gpu);
	metal_shm_free(shm, NULL);
}

static void a_context_that_the_program_released_keeps_working(void **state)
{
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, fx.memfd, 0);
	struct metal_generic_shm *view;
	struct metal_device *gpu = NULL;
	cl_context context;
	cl_command_queue queue;
	cl_int code;

	(void)state;
	context = clCreateContext(NULL, 1, &fx.device, NULL, NULL, &code);
	queue = clCreateCommandQueueWithProperties(context, fx.device, NULL, &code);
	assert_int_equal(metal_shm_opencl_open(context, queue, &gpu), 0);
	clReleaseCommandQueue(queue);
	clReleaseContext(context);
	view = metal_shm_attach(shm, gpu);
	assert_non_null(view);
	assert_int_equal(metal_shm_opencl_acquire(gpu, shm, DEV_RW), 0);
	assert_int_equal(metal_shm_opencl_release(gpu, shm), 0);
	assert_int_equal(metal_shm_sync_for_cpu(shm, DEV_RW), 0);
	metal_shm_detach(view, gpu);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(gpu);
}

static void a_view_outlives_its_closed_device(void **state)
{
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, fx.memfd, 0);
	struct metal_device *gpu = open_paths(0, 0);
	struct metal_generic_shm *view = metal_shm_attach(shm, gpu);

	(void)state;
	metal_shm_device_close(gpu);
	run_on(gpu, shm, "fill", 1);
	assert_int_equal(metal_shm_sync_for_cpu(shm, DEV_RW), 0);
	errno = 0;
	assert_null(metal_shm_attach(shm, gpu));
	assert_int_equal(errno, ENODEV);
	metal_shm_detach(view, gpu);
	metal_shm_free(shm, NULL);
}

static void devices_open_by_name_or_say_that_there_is_none(void **state)
{
	struct metal_device *dev = NULL;
	char name[160];

	(void)state;
	snprintf(name, sizeof(name), "%s", metal_shm_device_name(fx.gpu));
	assert_int_equal(metal_shm_device_open(name, &dev), 0);
	assert_string_equal(metal_shm_device_name(dev), name);
	metal_shm_device_close(dev);
	dev = NULL;
	assert_int_equal(metal_shm_device_open("opencl:no such device", &dev), -ENODEV);
	assert_reason_has("no such device");
	assert_null(dev);
}

static void paths_have_names(void **state)
{
	(void)state;
	assert_string_equal(metal_shm_opencl_path_name(METAL_SHM_OPENCL_ARM_IMPORT), "arm-import");
	assert_string_equal(metal_shm_opencl_path_name(METAL_SHM_OPENCL_HOST_PTR), "host-pointer");
	assert_string_equal(metal_shm_opencl_path_name(METAL_SHM_OPENCL_COPY), "copy");
	assert_string_equal(metal_shm_opencl_path_name(-1), "unknown");
}

/* The loader reads its directory once in a process, so another one looks at an empty one. */
static void a_machine_without_opencl_is_told_what_to_install(void **state)
{
	char directory[] = "/tmp/shm-no-opencl-XXXXXX";
	int status = -1;
	pid_t child;

	(void)state;
	assert_non_null(mkdtemp(directory));
	child = fork();
	if (!child) {
		setenv("OCL_ICD_VENDORS", directory, 1);
		unsetenv("OCL_ICD_FILENAMES");
		execl("/proc/self/exe", "test_opencl_errors", "--no-platform", (char *)NULL);
		_exit(99);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	rmdir(directory);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int without_platform(void)
{
	struct metal_device *dev = NULL;

	if (metal_shm_opencl_open(NULL, NULL, &dev) != -ENODEV || dev)
		return 1;
	if (!strstr(metal_shm_last_error(), "install") ||
	    !strstr(metal_shm_last_error(), "pocl-opencl-icd"))
		return 2;
	if (metal_shm_device_open("opencl", &dev) != -ENODEV || dev)
		return 3;
	return 0;
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		opencl_case(null_and_foreign_arguments_are_einval),
		opencl_case(unknown_options_are_einval),
		opencl_case(handles_that_are_not_attached_are_enotconn),
		opencl_case(a_queue_of_another_context_is_einval),
		opencl_case(a_wait_list_that_opencl_refuses_leaves_nothing_acquired),
		opencl_case(a_context_that_the_program_released_keeps_working),
		opencl_case(a_view_outlives_its_closed_device),
		opencl_case(devices_open_by_name_or_say_that_there_is_none),
		cmocka_unit_test(paths_have_names),
		cmocka_unit_test(a_machine_without_opencl_is_told_what_to_install),
	};

	if (argc == 2 && !strcmp(argv[1], "--no-platform"))
		return without_platform();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
