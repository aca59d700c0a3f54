/* SPDX-License-Identifier: BSD-3-Clause */
/* The device: opening, what it asks of memory and frames, closing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define PATHS_ALL  (METAL_SHM_OPENCL_PATH_BIT(METAL_SHM_OPENCL_COPY + 1) - 2)
#define TRIAL_SIZE 4096

static bool tries(const struct shm__cl *cl, enum metal_shm_opencl_path path)
{
	return cl->paths & METAL_SHM_OPENCL_PATH_BIT(path);
}

static bool copies(const struct shm__cl *cl)
{
	return (cl->flags & METAL_SHM_OPENCL_ALLOW_COPY) && tries(cl, METAL_SHM_OPENCL_COPY);
}

static bool takes_host_memory(const struct shm__cl *cl)
{
	return copies(cl) || ((cl->on_cpu || cl->unified) && tries(cl, METAL_SHM_OPENCL_HOST_PTR));
}

static bool imports(const struct shm__cl *cl)
{
	return (cl->import_arm && tries(cl, METAL_SHM_OPENCL_ARM_IMPORT)) ||
	       (cl->acquire_khr && tries(cl, METAL_SHM_OPENCL_KHR_EXTERNAL));
}

/* Whether parts may start anywhere: the CPU's paths and the copy ask for no alignment. */
static bool takes_any_offset(const struct shm__cl *cl)
{
	return copies(cl) || (cl->on_cpu && tries(cl, METAL_SHM_OPENCL_HOST_PTR));
}

static int constraints(struct metal_device *dev, const struct metal_shm_frame *frame,
		       struct metal_shm_constraints *ret)
{
	const struct shm__cl *cl = metal_shm_device_data(dev, &shm__cl_ops);

	(void)frame;
	if (imports(cl) && !takes_host_memory(cl))
		ret->required = METAL_SHM_DMABUF;
	if (!takes_any_offset(cl))
		ret->address_alignment = cl->base_alignment;
	ret->trial_size = TRIAL_SIZE;
	if (cl->on_cpu)
		ret->access = METAL_SHM_ACCESS_CPU_USER;
	return 0;
}

/* So that each plane can be an image; a device without images on buffers asks for nothing. */
static int layout(struct metal_device *dev, const struct metal_shm_frame *frame,
		  struct metal_shm_layout *ret)
{
	const struct shm__cl *cl = metal_shm_device_data(dev, &shm__cl_ops);
	struct metal_shm_format format;
	int error = metal_shm_format_of(frame->fourcc, &format);

	if (error)
		return error;
	if (!takes_any_offset(cl))
		ret->offset_alignment = cl->base_alignment;
	if (!cl->images || !cl->pitch_pixels)
		return 0;
	for (unsigned i = 0; i < format.plane_count; i++)
		if (cl->pitch_pixels * format.bytes[i] > ret->stride_alignment)
			ret->stride_alignment = cl->pitch_pixels * format.bytes[i];
	return 0;
}

static void free_device(struct shm__cl *cl)
{
	shm__cl_forget_proofs(cl);
	if (cl->queue)
		clReleaseCommandQueue(cl->queue);
	if (cl->context)
		clReleaseContext(cl->context);
	shm__cl_notifier_close(cl->notifier);
	pthread_mutex_destroy(&cl->proof_lock);
	pthread_mutex_destroy(&cl->lock);
	free(cl);
}

static void close_device(struct metal_device *dev)
{
	free_device(metal_shm_device_data(dev, &shm__cl_ops));
}

const struct metal_shm_device_ops shm__cl_ops = {
	.struct_size = sizeof(shm__cl_ops),
	.constraints = constraints,
	.attach = shm__cl_attach,
	.detach = shm__cl_detach,
	.layout = layout,
	.trial = shm__cl_trial,
	.poll_handle = shm__cl_poll_handle,
	.dispatch = shm__cl_dispatch,
	.shutdown = shm__cl_shutdown,
	.close = close_device,
};

/* The queue decides: it must be the context's, and on the host. */
static int use_queue(struct shm__cl *cl, cl_context context, cl_command_queue queue)
{
	cl_command_queue_properties properties = 0;
	cl_context owner = NULL;
	cl_uint devices = 0;
	cl_int code;

	code = clGetContextInfo(context, CL_CONTEXT_NUM_DEVICES, sizeof(devices), &devices, NULL);
	if (code != CL_SUCCESS)
		return shm__cl_error(code, "clGetContextInfo");
	code = clGetCommandQueueInfo(queue, CL_QUEUE_CONTEXT, sizeof(owner), &owner, NULL);
	if (code == CL_SUCCESS)
		code = clGetCommandQueueInfo(queue, CL_QUEUE_DEVICE, sizeof(cl->device),
					     &cl->device, NULL);
	if (code == CL_SUCCESS)
		code = clGetCommandQueueInfo(queue, CL_QUEUE_PROPERTIES, sizeof(properties),
					     &properties, NULL);
	if (code != CL_SUCCESS)
		return shm__cl_error(code, "clGetCommandQueueInfo");
	if (owner != context)
		return metal_shm_set_error(EINVAL, "the queue is of another context");
	if (properties & CL_QUEUE_ON_DEVICE)
		return metal_shm_set_error(EINVAL, "the queue is on the device");
	cl->several = devices > 1;
	cl->out_of_order = properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE;
	clRetainContext(context);
	cl->context = context;
	clRetainCommandQueue(queue);
	cl->queue = queue;
	return 0;
}

static int make_queue(struct shm__cl *cl, const char *name)
{
	cl_int code = CL_SUCCESS;
	int error = shm__cl_find_device(name, &cl->device);

	if (error)
		return error;
	cl->context = clCreateContext(NULL, 1, &cl->device, NULL, NULL, &code);
	if (!cl->context)
		return shm__cl_error(code, "clCreateContext");
	cl->queue = shm__cl_queue_create(cl->context, cl->device, &code);
	return cl->queue ? 0 : shm__cl_error(code, "clCreateCommandQueue");
}

static void name_device(const struct shm__cl *cl, char *name, size_t size)
{
	char text[96] = "";

	if (clGetDeviceInfo(cl->device, CL_DEVICE_NAME, sizeof(text), text, NULL) != CL_SUCCESS)
		text[0] = '\0';
	snprintf(name, size, text[0] ? "opencl:%s" : "opencl%s", text);
}

static int open_device(const struct metal_shm_opencl_options *options, const char *rest,
		       struct metal_device **ret_dev)
{
	struct shm__cl *cl = calloc(1, sizeof(*cl));
	char name[128];
	int error;

	if (!cl)
		return metal_shm_set_error(ENOMEM, "no memory for a device");
	pthread_mutex_init(&cl->lock, NULL);
	pthread_mutex_init(&cl->proof_lock, NULL);
	cl->flags = options->flags;
	cl->paths = options->paths ? options->paths : PATHS_ALL;
	if (options->context)
		error = use_queue(cl, options->context, options->queue);
	else
		error = make_queue(cl, rest);
	if (!error)
		error = shm__cl_describe(cl);
	if (!error)
		error = shm__cl_notifier_create(&cl->notifier);
	if (error)
		goto free_cl;
	name_device(cl, name, sizeof(name));
	error = metal_shm_device_create(&shm__cl_ops, name, cl, &cl->dev);
	if (error)
		goto free_cl;
	*ret_dev = cl->dev;
	return 0;
free_cl:
	free_device(cl);
	return error;
}

int metal_shm_opencl_open_with(const struct metal_shm_opencl_options *options,
			       struct metal_device **ret_dev)
{
	struct metal_shm_opencl_options all = { 0 };

	if (!options || !ret_dev || options->struct_size < sizeof(options->struct_size))
		return metal_shm_set_error(EINVAL,
					   "metal_shm_opencl_open: NULL, or no struct_size");
	memcpy(&all, options,
	       options->struct_size < sizeof(all) ? options->struct_size : sizeof(all));
	if (all.flags & ~METAL_SHM_OPENCL_ALLOW_COPY || all.paths & ~PATHS_ALL || all.reserved)
		return metal_shm_set_error(EINVAL, "metal_shm_opencl_open: unknown flags or paths");
	if (!all.context != !all.queue)
		return metal_shm_set_error(EINVAL, "metal_shm_opencl_open: a context without a "
						   "queue, or a queue without a context");
	return open_device(&all, "", ret_dev);
}

int metal_shm_opencl_open(cl_context context, cl_command_queue queue, struct metal_device **ret_dev)
{
	const struct metal_shm_opencl_options options = {
		.struct_size = sizeof(options),
		.context = context,
		.queue = queue,
	};

	return metal_shm_opencl_open_with(&options, ret_dev);
}

cl_context metal_shm_opencl_context(struct metal_device *gpu)
{
	const struct shm__cl *cl = metal_shm_device_data(gpu, &shm__cl_ops);

	return cl ? cl->context : NULL;
}

cl_command_queue metal_shm_opencl_queue(struct metal_device *gpu)
{
	const struct shm__cl *cl = metal_shm_device_data(gpu, &shm__cl_ops);

	return cl ? cl->queue : NULL;
}

static int open_by_name(const char *rest, struct metal_device **ret_dev)
{
	const struct metal_shm_opencl_options options = { .struct_size = sizeof(options) };

	return open_device(&options, rest, ret_dev);
}

static const struct metal_shm_driver driver = {
	.struct_size = sizeof(driver),
	.scheme = "opencl",
	.open = open_by_name,
};

__attribute__((constructor)) static void register_driver(void)
{
	metal_shm_driver_register(&driver);
}
