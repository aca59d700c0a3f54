/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A plain OpenCL program with the layer on the board: its objects, and true DMA-BUFs of each exporter.
 * A loader takes its layers when it is loaded, so the program executes itself again with the variable
 * set.
 */
#ifndef LAYER_BOARD_H
#define LAYER_BOARD_H

#include "layer_fixture.h"

#include <sys/ioctl.h>
#include <time.h>

#include <linux/dma-buf.h>
#include <linux/udmabuf.h>

#include "fence.h"
#include "heap_memory.h"

struct memory {
	int fd;
	unsigned char *bytes; /* the program's mapping, which the layer doesn't know */
};

typedef cl_int(CL_API_CALL *hand_over_fn)(cl_command_queue, cl_uint, const cl_mem *, cl_uint,
					  const cl_event *, cl_event *);

static struct {
	hand_over_fn acquire, release; /* of cl_khr_external_memory */
	cl_program program;
	cl_kernel add;
	cl_mem plain; /* the runtime's own memory */
} layer;

/* ---- DMA-BUFs ---- */

static inline int udmabuf_memory(void)
{
	struct udmabuf_create create = { .flags = UDMABUF_FLAGS_CLOEXEC, .size = BYTES };
	int device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	int memfd = memfd_create("layer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int fd;

	assert_int_equal(ftruncate(memfd, BYTES), 0);
	assert_int_equal(fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	create.memfd = (uint32_t)memfd;
	fd = ioctl(device, UDMABUF_CREATE, &create);
	if (fd < 0)
		fail_msg("udmabuf: %s", strerror(errno));
	close(memfd);
	close(device);
	return fd;
}

static inline unsigned char *map_bytes(int fd, off_t offset)
{
	void *bytes = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);

	if (bytes == MAP_FAILED)
		fail_msg("mmap: %s", strerror(errno));
	return bytes;
}

/* Of a heap, or of udmabuf. */
static inline struct memory memory_from(const char *exporter)
{
	struct memory memory;

	memory.fd = strcmp(exporter, "udmabuf") == 0 ? udmabuf_memory()
						     : heap_memory(exporter, BYTES, O_RDWR);
	memory.bytes = map_bytes(memory.fd, 0);
	return memory;
}

static inline void memory_end(struct memory *memory)
{
	munmap(memory->bytes, BYTES);
	close(memory->fd);
}

static inline void pause_ms(long ms)
{
	const struct timespec pause = { .tv_nsec = ms * 1000000 };

	nanosleep(&pause, NULL);
}

/* How many there are on the whole board. */
static inline long dmabufs(void)
{
	FILE *info = fopen("/sys/kernel/debug/dma_buf/bufinfo", "re");
	char line[512];
	long count = -1;

	assert_non_null(info);
	while (fgets(line, sizeof(line), info))
		sscanf(line, "Total %ld objects", &count);
	fclose(info);
	return count;
}

/* The threads of runtime and layer may hold a command a little longer than its event says. */
static inline void wait_for_dmabufs(long count)
{
	for (int i = 0; i < 500 && dmabufs() != count; i++)
		pause_ms(10);
	assert_int_equal(dmabufs(), count);
}

static inline bool all_are(const unsigned char *bytes, size_t size, unsigned char value)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != value)
			return false;
	return true;
}

#define assert_all(bytes, value) assert_true(all_are((bytes), BYTES, (value)))

static inline bool is_complete(cl_event event)
{
	cl_int status = CL_QUEUED;

	assert_cl(clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(status), &status,
				 NULL));
	assert_true(status >= 0);
	return status == CL_COMPLETE;
}

static inline void wait_and_release(cl_event event)
{
	assert_cl(clWaitForEvents(1, &event));
	assert_true(is_complete(event));
	assert_cl(clReleaseEvent(event));
}

/* ---- external memory ---- */

static inline cl_mem external_buffer(int fd)
{
	const cl_mem_properties properties[] = { CL_EXTERNAL_MEMORY_HANDLE_DMA_BUF_KHR,
						 (cl_mem_properties)fd, 0 };
	cl_int code;
	cl_mem mem = clCreateBufferWithProperties(cl.context, properties, CL_MEM_READ_WRITE, BYTES,
						  NULL, &code);

	assert_cl(code);
	return mem;
}

static inline void acquire(cl_command_queue queue, cl_mem mem, cl_event *event)
{
	assert_cl(layer.acquire(queue, 1, &mem, 0, NULL, event));
}

static inline void release(cl_command_queue queue, cl_mem mem, cl_event *event)
{
	assert_cl(layer.release(queue, 1, &mem, 0, NULL, event));
}

/* ---- the program ---- */

static inline void *extension_function(const char *name)
{
	void *address = clGetExtensionFunctionAddressForPlatform(cl.platform, name);

	if (!address)
		fail_msg("%s is missing", name);
	return address;
}

static inline void enqueue_add(cl_command_queue queue, cl_mem mem, cl_uchar n, cl_uint wait_count,
			       const cl_event *wait_list, cl_event *event)
{
	const size_t count = BYTES;

	assert_cl(clSetKernelArg(layer.add, 0, sizeof(mem), &mem));
	assert_cl(clSetKernelArg(layer.add, 1, sizeof(n), &n));
	assert_cl(clEnqueueNDRangeKernel(queue, layer.add, 1, NULL, &count, NULL, wait_count,
					 wait_list, event));
}

/* Before the first case: what runtime and layer make once, and keep. */
static inline void layer_board_start(void)
{
	static const char *const source =
		"kernel void add(global uchar *b, uchar n) { b[get_global_id(0)] += n; }\n";
	long before = dmabufs();
	struct memory memory = memory_from("system");
	unsigned char *bytes = malloc(BYTES);
	void *address;
	cl_event event;
	cl_int code;
	cl_mem mem;

	open_runtime();
	address = extension_function("clEnqueueAcquireExternalMemObjectsKHR");
	memcpy(&layer.acquire, &address, sizeof(address));
	address = extension_function("clEnqueueReleaseExternalMemObjectsKHR");
	memcpy(&layer.release, &address, sizeof(address));
	layer.program =
		clCreateProgramWithSource(cl.context, 1, (const char **)&source, NULL, &code);
	assert_cl(code);
	assert_cl(clBuildProgram(layer.program, 1, &cl.device, "", NULL, NULL));
	layer.add = clCreateKernel(layer.program, "add", &code);
	assert_cl(code);
	layer.plain = clCreateBuffer(cl.context, CL_MEM_READ_WRITE, BYTES, NULL, &code);
	assert_cl(code);
	mem = import_fd(memory.fd, BYTES);
	enqueue_add(cl.queue, mem, 1, 0, NULL, &event);
	wait_and_release(event);
	assert_cl(clEnqueueReadBuffer(cl.unordered, mem, CL_TRUE, 0, BYTES, bytes, 0, NULL, NULL));
	assert_all(bytes, 1);
	assert_cl(clReleaseMemObject(mem));
	free(bytes);
	memory_end(&memory);
	wait_for_dmabufs(before);
}

static inline bool lists_only(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--list") == 0)
			return true;
	return false;
}

static inline int layer_board_main(int argc, char **argv, const struct CMUnitTest tests[],
				   size_t count)
{
	if (!lists_only(argc, argv)) {
		if (!getenv("OPENCL_LAYERS")) {
			setenv("OPENCL_LAYERS", LAYER_PATH, 1);
			execv("/proc/self/exe", argv);
			perror("/proc/self/exe");
			return 2;
		}
		layer_board_start();
	}
	return shm_test_main(argc, argv, tests, count);
}

#endif
