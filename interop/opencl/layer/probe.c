/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an implementation can do. That its devices work on host memory in place is tried, not believed:
 * some keep a copy and write it back at maps only.
 */
#include <stdlib.h>
#include <string.h>

#include "layer.h"

#define PROBE_BYTES  ((size_t)4096)
#define PROBE_PIXELS 32 /* a side of the image, of 4 bytes a pixel: as many bytes */

struct verdict {
	struct verdict *next;
	cl_device_id device;
	bool buffers, images;
};

static pthread_mutex_t verdicts_lock = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t *const layer_probe_guard = &verdicts_lock;
static struct verdict *verdicts;

bool layer_has_word(const char *text, const char *word)
{
	size_t length = strlen(word);

	for (; (text = strstr(text, word)) != NULL; text += length)
		if (text[length] == ' ' || text[length] == '\0')
			return true;
	return false;
}

bool layer_device_has(cl_device_id device, const char *extension)
{
	bool found = false;
	size_t size = 0;
	char *text;

	if (layer_next.clGetDeviceInfo(device, CL_DEVICE_EXTENSIONS, 0, NULL, &size) != CL_SUCCESS)
		return false;
	text = calloc(size + 1, 1);
	if (text && layer_next.clGetDeviceInfo(device, CL_DEVICE_EXTENSIONS, size, text, NULL) ==
			    CL_SUCCESS)
		found = layer_has_word(text, extension);
	free(text);
	return found;
}

cl_version layer_device_version(cl_device_id device, const char *extension)
{
	cl_name_version *list;
	cl_version version = 0;
	size_t size = 0;

	if (layer_next.clGetDeviceInfo(device, CL_DEVICE_EXTENSIONS_WITH_VERSION, 0, NULL, &size) !=
	    CL_SUCCESS)
		return 0;
	list = calloc(1, size + 1);
	if (list && layer_next.clGetDeviceInfo(device, CL_DEVICE_EXTENSIONS_WITH_VERSION, size,
					       list, NULL) == CL_SUCCESS)
		for (size_t i = 0; i < size / sizeof(list[0]); i++)
			if (!strncmp(list[i].name, extension, sizeof(list[i].name)))
				version = list[i].version;
	free(list);
	return version;
}

bool layer_device_imports_dmabuf(cl_device_id device)
{
	cl_external_memory_handle_type_khr types[32];
	size_t size = 0;

	if (layer_next.clGetDeviceInfo(device, CL_DEVICE_EXTERNAL_MEMORY_IMPORT_HANDLE_TYPES_KHR,
				       sizeof(types), types, &size) != CL_SUCCESS)
		return false;
	for (size_t i = 0; i < size / sizeof(types[0]); i++)
		if (types[i] == CL_EXTERNAL_MEMORY_HANDLE_DMA_BUF_KHR)
			return true;
	return false;
}

static bool all_are(const unsigned char *bytes, unsigned char value)
{
	for (size_t i = 0; i < PROBE_BYTES; i++)
		if (bytes[i] != value)
			return false;
	return true;
}

/* What the device writes shows in the host's pages without a map, and the other way round. */
static bool buffer_shares(cl_context context, cl_command_queue queue, unsigned char *host,
			  unsigned char *copy)
{
	const unsigned char pattern = 0x5a;
	bool shares = false;
	cl_mem mem;
	cl_int code;

	mem = layer_next.clCreateBuffer(context, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR,
					PROBE_BYTES, host, &code);
	if (!mem)
		return false;
	code = layer_next.clEnqueueFillBuffer(queue, mem, &pattern, 1, 0, PROBE_BYTES, 0, NULL,
					      NULL);
	if (code == CL_SUCCESS && layer_next.clFinish(queue) == CL_SUCCESS &&
	    all_are(host, pattern)) {
		memset(host, 0x3c, PROBE_BYTES);
		code = layer_next.clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, PROBE_BYTES, copy, 0,
						      NULL, NULL);
		shares = code == CL_SUCCESS && all_are(copy, 0x3c);
	}
	layer_next.clReleaseMemObject(mem);
	return shares;
}

static bool image_shares(cl_context context, cl_command_queue queue, unsigned char *host,
			 unsigned char *copy)
{
	static const size_t origin[3] = { 0 }, region[3] = { PROBE_PIXELS, PROBE_PIXELS, 1 };
	const cl_image_format format = { CL_RGBA, CL_UNSIGNED_INT8 };
	const cl_image_desc desc = {
		.image_type = CL_MEM_OBJECT_IMAGE2D,
		.image_width = PROBE_PIXELS,
		.image_height = PROBE_PIXELS,
		.image_row_pitch = PROBE_BYTES / PROBE_PIXELS,
	};
	const cl_uint color[4] = { 0x69, 0x69, 0x69, 0x69 };
	bool shares = false;
	cl_mem mem;
	cl_int code;

	mem = layer_next.clCreateImage(context, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, &format,
				       &desc, host, &code);
	if (!mem)
		return false;
	code = layer_next.clEnqueueFillImage(queue, mem, color, origin, region, 0, NULL, NULL);
	if (code == CL_SUCCESS && layer_next.clFinish(queue) == CL_SUCCESS && all_are(host, 0x69)) {
		memset(host, 0x96, PROBE_BYTES);
		code = layer_next.clEnqueueReadImage(queue, mem, CL_TRUE, origin, region, 0, 0,
						     copy, 0, NULL, NULL);
		shares = code == CL_SUCCESS && all_are(copy, 0x96);
	}
	layer_next.clReleaseMemObject(mem);
	return shares;
}

static void probe(struct verdict *verdict)
{
	cl_bool unified = CL_TRUE, images = CL_FALSE;
	unsigned char *bytes = NULL;
	cl_command_queue queue = NULL;
	cl_context context;
	cl_int code;

	/* Memory of its own is beyond the bus: spare the start of such a device. */
	layer_next.clGetDeviceInfo(verdict->device, CL_DEVICE_HOST_UNIFIED_MEMORY, sizeof(unified),
				   &unified, NULL);
	layer_next.clGetDeviceInfo(verdict->device, CL_DEVICE_IMAGE_SUPPORT, sizeof(images),
				   &images, NULL);
	if (!unified)
		return;
	context = layer_next.clCreateContext(NULL, 1, &verdict->device, NULL, NULL, &code);
	if (!context)
		return;
	queue = layer_next.clCreateCommandQueue(context, verdict->device, 0, &code);
	bytes = aligned_alloc(PROBE_BYTES, 2 * PROBE_BYTES);
	if (queue && bytes) {
		memset(bytes, 0, 2 * PROBE_BYTES);
		verdict->buffers = buffer_shares(context, queue, bytes, bytes + PROBE_BYTES);
		verdict->images =
			images && image_shares(context, queue, bytes, bytes + PROBE_BYTES);
	}
	if (queue)
		layer_next.clReleaseCommandQueue(queue);
	layer_next.clReleaseContext(context);
	free(bytes);
}

/* Held while it is tried: a second thread waits for the answer. */
static struct verdict verdict_of(cl_device_id device)
{
	struct verdict *verdict, answer = { 0 };

	pthread_mutex_lock(&verdicts_lock);
	for (verdict = verdicts; verdict && verdict->device != device; verdict = verdict->next)
		;
	if (!verdict) {
		verdict = calloc(1, sizeof(*verdict));
		if (verdict) {
			verdict->device = device;
			probe(verdict);
			verdict->next = verdicts;
			verdicts = verdict;
		}
	}
	if (verdict)
		answer = *verdict;
	pthread_mutex_unlock(&verdicts_lock);
	return answer;
}

bool layer_device_shares(cl_device_id device)
{
	return verdict_of(device).buffers;
}

bool layer_device_shares_images(cl_device_id device)
{
	return verdict_of(device).images;
}

__attribute__((destructor)) static void forget_verdicts(void)
{
	struct verdict *verdict;

	while ((verdict = verdicts) != NULL) {
		verdicts = verdict->next;
		free(verdict);
	}
}
