/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * clImportMemoryARM for programs that link it or look it up by name, which libOpenCL doesn't export.
 * It finds the function of the context's own platform: the implementation's, or the layer's.
 */
#define CL_TARGET_OPENCL_VERSION 300
#include <stdlib.h>
#include <string.h>

#include <CL/cl.h>

#include <CL/cl_ext.h>

typedef cl_mem(CL_API_CALL *import_fn)(cl_context, cl_mem_flags, const cl_import_properties_arm *,
				       void *, size_t, cl_int *);

static cl_int find(cl_context context, import_fn *ret_import)
{
	cl_platform_id platform;
	cl_device_id *devices;
	size_t size = 0;
	void *address;
	cl_int code;

	code = clGetContextInfo(context, CL_CONTEXT_DEVICES, 0, NULL, &size);
	if (code != CL_SUCCESS || size < sizeof(devices[0]))
		return CL_INVALID_CONTEXT;
	devices = malloc(size);
	if (!devices)
		return CL_OUT_OF_HOST_MEMORY;
	code = clGetContextInfo(context, CL_CONTEXT_DEVICES, size, devices, NULL);
	if (code == CL_SUCCESS)
		code = clGetDeviceInfo(devices[0], CL_DEVICE_PLATFORM, sizeof(platform), &platform,
				       NULL);
	free(devices);
	if (code != CL_SUCCESS)
		return code;
	address = clGetExtensionFunctionAddressForPlatform(platform, "clImportMemoryARM");
	if (!address)
		return CL_INVALID_OPERATION;
	memcpy(ret_import, &address, sizeof(*ret_import));
	return CL_SUCCESS;
}

/* CL_INVALID_OPERATION where neither the implementation nor a layer has it. */
CL_API_ENTRY cl_mem CL_API_CALL clImportMemoryARM(cl_context context, cl_mem_flags flags,
						  const cl_import_properties_arm *properties,
						  void *memory, size_t size, cl_int *errcode_ret)
{
	import_fn import;
	cl_int code = find(context, &import);

	if (code == CL_SUCCESS)
		return import(context, flags, properties, memory, size, errcode_ret);
	if (errcode_ret)
		*errcode_ret = code;
	return NULL;
}
