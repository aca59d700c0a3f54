/* SPDX-License-Identifier: BSD-3-Clause */
/* Which imports a kernel's arguments are, and whether it may write them. */
#include <search.h>
#include <stdlib.h>

#include "calls.h"
#include "layer.h"

struct argument {
	cl_mem mem; /* of an import when it was set; NULL for anything else */
	bool may_write;
};

struct kernel {
	cl_kernel kernel;
	cl_uint users; /* the program's references */
	cl_uint count;
	struct argument arguments[];
};

/*
 * Guards the table and the records, each of which is something to care for: a kernel that is made, or
 * whose arguments are set, after the last import is gone must find its record. A kernel's arguments are
 * set by one thread at a time anyway.
 */
static pthread_mutex_t kernels_lock = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t *const layer_kernels_guard = &kernels_lock;
static void *kernels;

static struct kernel *find(cl_kernel kernel)
{
	return layer_find(&kernels, kernel);
}

/* Both under the lock. False without memory for it. */
static bool add(struct kernel *record)
{
	if (!tsearch(record, &kernels, layer_by_handle))
		return false;
	atomic_fetch_add(&layer_cares, 1);
	return true;
}

static void drop(struct kernel *record)
{
	tdelete(record, &kernels, layer_by_handle);
	atomic_fetch_sub(&layer_cares, 1);
}

static void forget(cl_kernel kernel)
{
	struct kernel *record;

	pthread_mutex_lock(&kernels_lock);
	record = find(kernel);
	if (record)
		drop(record);
	pthread_mutex_unlock(&kernels_lock);
	free(record);
}

static struct kernel *make_record(cl_kernel kernel)
{
	struct kernel *record;
	cl_uint count = 0, users = 1;

	if (layer_next.clGetKernelInfo(kernel, CL_KERNEL_NUM_ARGS, sizeof(count), &count, NULL) !=
		    CL_SUCCESS ||
	    layer_next.clGetKernelInfo(kernel, CL_KERNEL_REFERENCE_COUNT, sizeof(users), &users,
				       NULL) != CL_SUCCESS)
		return NULL;
	record = calloc(1, sizeof(*record) + count * sizeof(record->arguments[0]));
	if (record) {
		record->kernel = kernel;
		record->users = users;
		record->count = count;
	}
	return record;
}

/* Where the program was built without -cl-kernel-arg-info nothing is known: it may. */
static bool may_write(cl_kernel kernel, cl_uint index)
{
	cl_kernel_arg_address_qualifier address = 0;
	cl_kernel_arg_access_qualifier access = 0;
	cl_kernel_arg_type_qualifier type = 0;

	if (layer_next.clGetKernelArgInfo(kernel, index, CL_KERNEL_ARG_ADDRESS_QUALIFIER,
					  sizeof(address), &address, NULL) == CL_SUCCESS &&
	    address == CL_KERNEL_ARG_ADDRESS_CONSTANT)
		return false;
	if (layer_next.clGetKernelArgInfo(kernel, index, CL_KERNEL_ARG_ACCESS_QUALIFIER,
					  sizeof(access), &access, NULL) == CL_SUCCESS &&
	    access != CL_KERNEL_ARG_ACCESS_NONE)
		return access != CL_KERNEL_ARG_ACCESS_READ_ONLY;
	if (layer_next.clGetKernelArgInfo(kernel, index, CL_KERNEL_ARG_TYPE_QUALIFIER, sizeof(type),
					  &type, NULL) == CL_SUCCESS)
		return !(type & CL_KERNEL_ARG_TYPE_CONST);
	return true;
}

static bool is_import(size_t size, const void *value, cl_mem *ret_mem)
{
	if (size != sizeof(cl_mem) || !value)
		return false;
	*ret_mem = *(const cl_mem *)value;
	pthread_mutex_lock(&layer_objects_lock);
	if (!layer_mem_find(*ret_mem))
		*ret_mem = NULL;
	pthread_mutex_unlock(&layer_objects_lock);
	return *ret_mem;
}

/* False without memory for it. */
static bool remember(cl_kernel kernel, cl_uint index, struct argument argument)
{
	struct kernel *fresh = argument.mem ? make_record(kernel) : NULL, *record;
	bool kept = false;

	pthread_mutex_lock(&kernels_lock);
	record = find(kernel);
	if (!record && fresh && add(fresh)) {
		record = fresh;
		fresh = NULL;
	}
	if (record && index < record->count) {
		record->arguments[index] = argument;
		kept = true;
	}
	pthread_mutex_unlock(&kernels_lock);
	free(fresh);
	return kept || !argument.mem;
}

cl_int CL_API_CALL layer_set_kernel_arg(cl_kernel kernel, cl_uint index, size_t size,
					const void *value)
{
	struct argument argument = { 0 };
	cl_int code = layer_next.clSetKernelArg(kernel, index, size, value);

	if (layer_idle() || code != CL_SUCCESS)
		return code;
	if (is_import(size, value, &argument.mem))
		argument.may_write = may_write(kernel, index);
	return remember(kernel, index, argument) ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY;
}

cl_int CL_API_CALL layer_set_kernel_arg_svm_pointer(cl_kernel kernel, cl_uint index,
						    const void *value)
{
	cl_int code = layer_next.clSetKernelArgSVMPointer(kernel, index, value);

	if (!layer_idle() && code == CL_SUCCESS)
		remember(kernel, index, (struct argument){ 0 });
	return code;
}

/* The next argument from *index on that is an import, or was; *index is then behind it. */
static bool next_import(cl_kernel kernel, cl_uint *index, struct argument *ret_argument)
{
	struct kernel *record;
	bool found = false;

	pthread_mutex_lock(&kernels_lock);
	record = find(kernel);
	while (record && !found && *index < record->count) {
		*ret_argument = record->arguments[(*index)++];
		found = ret_argument->mem;
	}
	pthread_mutex_unlock(&kernels_lock);
	return found;
}

void layer_kernel_touch(struct layer_bracket *bracket, cl_kernel kernel)
{
	struct argument argument;
	cl_uint index = 0;

	while (next_import(kernel, &index, &argument))
		layer_touch(bracket, argument.mem, argument.may_write);
}

bool layer_kernel_has_import(cl_kernel kernel)
{
	struct layer_import *import = NULL;
	struct argument argument;
	cl_uint index = 0;

	while (!import && next_import(kernel, &index, &argument))
		import = layer_mem_import(argument.mem);
	if (import)
		layer_import_put(import);
	return import;
}

cl_int CL_API_CALL layer_enqueue_ndrange_kernel(cl_command_queue queue, cl_kernel kernel,
						cl_uint dimensions, const size_t *offset,
						const size_t *global, const size_t *local,
						cl_uint wait_count, const cl_event *wait_list,
						cl_event *event)
{
	struct layer_bracket b;
	cl_int code;

	if (layer_idle())
		return layer_next.clEnqueueNDRangeKernel(queue, kernel, dimensions, offset, global,
							 local, wait_count, wait_list, event);
	layer_begin(&b, queue, CL_COMMAND_NDRANGE_KERNEL, CL_FALSE, wait_count, wait_list, event);
	layer_kernel_touch(&b, kernel);
	code = layer_open(&b, LAYER_AROUND);
	if (code == CL_SUCCESS)
		code = layer_close(&b, layer_next.clEnqueueNDRangeKernel(
					       b.queue, kernel, dimensions, offset, global, local,
					       b.wait_count, b.wait_list, b.event));
	return code;
}

cl_int CL_API_CALL layer_enqueue_task(cl_command_queue queue, cl_kernel kernel, cl_uint wait_count,
				      const cl_event *wait_list, cl_event *event)
{
	struct layer_bracket b;
	cl_int code;

	if (layer_idle())
		return layer_next.clEnqueueTask(queue, kernel, wait_count, wait_list, event);
	layer_begin(&b, queue, CL_COMMAND_TASK, CL_FALSE, wait_count, wait_list, event);
	layer_kernel_touch(&b, kernel);
	code = layer_open(&b, LAYER_AROUND);
	if (code == CL_SUCCESS)
		code = layer_close(&b, layer_next.clEnqueueTask(b.queue, kernel, b.wait_count,
								b.wait_list, b.event));
	return code;
}

/* A new kernel may have the address of one that is gone. */
cl_kernel CL_API_CALL layer_create_kernel(cl_program program, const char *name, cl_int *errcode_ret)
{
	cl_kernel kernel = layer_next.clCreateKernel(program, name, errcode_ret);

	if (!layer_idle() && kernel)
		forget(kernel);
	return kernel;
}

cl_int CL_API_CALL layer_create_kernels_in_program(cl_program program, cl_uint count,
						   cl_kernel *ret_kernels, cl_uint *ret_count)
{
	cl_uint made = 0;
	cl_int code = layer_next.clCreateKernelsInProgram(program, count, ret_kernels, &made);

	if (ret_count)
		*ret_count = made;
	if (!layer_idle() && code == CL_SUCCESS && ret_kernels)
		for (cl_uint i = 0; i < made && i < count; i++)
			forget(ret_kernels[i]);
	return code;
}

/* False without memory for it. */
static bool copy_record(cl_kernel source, cl_kernel clone)
{
	struct kernel *copy = make_record(clone), *record;
	bool kept = false, needed;

	pthread_mutex_lock(&kernels_lock);
	record = find(source);
	needed = record;
	if (record && copy && copy->count == record->count) {
		for (cl_uint i = 0; i < copy->count; i++)
			copy->arguments[i] = record->arguments[i];
		kept = add(copy);
	}
	pthread_mutex_unlock(&kernels_lock);
	if (!kept)
		free(copy);
	return kept || !needed;
}

/* A clone has its arguments set as they were. */
cl_kernel CL_API_CALL layer_clone_kernel(cl_kernel source, cl_int *errcode_ret)
{
	cl_kernel clone = layer_next.clCloneKernel(source, errcode_ret);

	if (layer_idle() || !clone)
		return clone;
	forget(clone);
	if (copy_record(source, clone))
		return clone;
	layer_next.clReleaseKernel(clone);
	if (errcode_ret)
		*errcode_ret = CL_OUT_OF_HOST_MEMORY;
	return NULL;
}

cl_int CL_API_CALL layer_retain_kernel(cl_kernel kernel)
{
	cl_int code = layer_next.clRetainKernel(kernel);
	struct kernel *record;

	if (layer_idle() || code != CL_SUCCESS)
		return code;
	pthread_mutex_lock(&kernels_lock);
	record = find(kernel);
	if (record)
		record->users++;
	pthread_mutex_unlock(&kernels_lock);
	return CL_SUCCESS;
}

/* The runtime's own references, of commands under way, are not asked: they need no record. */
cl_int CL_API_CALL layer_release_kernel(cl_kernel kernel)
{
	struct kernel *record = NULL;

	if (!layer_idle()) {
		pthread_mutex_lock(&kernels_lock);
		record = find(kernel);
		if (record && --record->users)
			record = NULL;
		if (record)
			drop(record);
		pthread_mutex_unlock(&kernels_lock);
	}
	free(record);
	return layer_next.clReleaseKernel(kernel);
}
