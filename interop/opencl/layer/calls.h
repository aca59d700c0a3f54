/* SPDX-License-Identifier: BSD-3-Clause */
/* OpenCL's calls as the layer answers them, by file. Each has the contract of the call it stands for. */
#ifndef SHM_OPENCL_LAYER_CALLS_H
#define SHM_OPENCL_LAYER_CALLS_H

#include "layer.h"

/* query.c */
cl_int CL_API_CALL layer_get_platform_info(cl_platform_id platform, cl_platform_info name,
					   size_t size, void *value, size_t *ret_size);
cl_int CL_API_CALL layer_get_device_info(cl_device_id device, cl_device_info name, size_t size,
					 void *value, size_t *ret_size);
void *CL_API_CALL layer_get_extension_function_address(const char *name);
void *CL_API_CALL layer_get_extension_function_address_for_platform(cl_platform_id platform,
								    const char *name);
cl_int CL_API_CALL layer_get_mem_object_info(cl_mem mem, cl_mem_info name, size_t size, void *value,
					     size_t *ret_size);
cl_int CL_API_CALL layer_get_image_info(cl_mem image, cl_image_info name, size_t size, void *value,
					size_t *ret_size);

/* queue.c */
cl_int CL_API_CALL layer_enqueue_barrier_with_wait_list(cl_command_queue queue, cl_uint wait_count,
							const cl_event *wait_list, cl_event *event);
cl_int CL_API_CALL layer_enqueue_barrier(cl_command_queue queue);
cl_int CL_API_CALL layer_enqueue_wait_for_events(cl_command_queue queue, cl_uint count,
						 const cl_event *events);
cl_int CL_API_CALL layer_retain_command_queue(cl_command_queue queue);
cl_int CL_API_CALL layer_release_command_queue(cl_command_queue queue);
cl_command_queue CL_API_CALL layer_create_command_queue(cl_context context, cl_device_id device,
							cl_command_queue_properties properties,
							cl_int *errcode_ret);
cl_command_queue CL_API_CALL layer_create_command_queue_with_properties(
	cl_context context, cl_device_id device, const cl_queue_properties *properties,
	cl_int *errcode_ret);

/* create.c */
cl_mem CL_API_CALL layer_create_buffer(cl_context context, cl_mem_flags flags, size_t size,
				       void *host, cl_int *errcode_ret);
cl_mem CL_API_CALL layer_create_sub_buffer(cl_mem buffer, cl_mem_flags flags,
					   cl_buffer_create_type type, const void *info,
					   cl_int *errcode_ret);
cl_mem CL_API_CALL layer_create_image(cl_context context, cl_mem_flags flags,
				      const cl_image_format *format, const cl_image_desc *desc,
				      void *host, cl_int *errcode_ret);

/* external.c */
cl_mem CL_API_CALL layer_create_buffer_with_properties(cl_context context,
						       const cl_mem_properties *properties,
						       cl_mem_flags flags, size_t size, void *host,
						       cl_int *errcode_ret);
cl_mem CL_API_CALL layer_create_image_with_properties(cl_context context,
						      const cl_mem_properties *properties,
						      cl_mem_flags flags,
						      const cl_image_format *format,
						      const cl_image_desc *wanted, void *host,
						      cl_int *errcode_ret);
cl_int CL_API_CALL layer_enqueue_acquire_external(cl_command_queue queue, cl_uint count,
						  const cl_mem *mems, cl_uint wait_count,
						  const cl_event *wait_list, cl_event *event);
cl_int CL_API_CALL layer_enqueue_release_external(cl_command_queue queue, cl_uint count,
						  const cl_mem *mems, cl_uint wait_count,
						  const cl_event *wait_list, cl_event *event);

/* import.c */
cl_mem CL_API_CALL layer_import_memory_arm(cl_context context, cl_mem_flags flags,
					   const cl_import_properties_arm *properties, void *memory,
					   size_t size, cl_int *errcode_ret);

/* map.c */
void *CL_API_CALL layer_enqueue_map_buffer(cl_command_queue queue, cl_mem buffer, cl_bool blocking,
					   cl_map_flags flags, size_t offset, size_t size,
					   cl_uint wait_count, const cl_event *wait_list,
					   cl_event *event, cl_int *errcode_ret);
void *CL_API_CALL layer_enqueue_map_image(cl_command_queue queue, cl_mem image, cl_bool blocking,
					  cl_map_flags flags, const size_t *origin,
					  const size_t *region, size_t *row, size_t *slice,
					  cl_uint wait_count, const cl_event *wait_list,
					  cl_event *event, cl_int *errcode_ret);
cl_int CL_API_CALL layer_enqueue_unmap_mem_object(cl_command_queue queue, cl_mem mem, void *address,
						  cl_uint wait_count, const cl_event *wait_list,
						  cl_event *event);
cl_int CL_API_CALL layer_retain_mem_object(cl_mem mem);
cl_int CL_API_CALL layer_release_mem_object(cl_mem mem);

/* kernel.c */
cl_int CL_API_CALL layer_set_kernel_arg(cl_kernel kernel, cl_uint index, size_t size,
					const void *value);
cl_int CL_API_CALL layer_set_kernel_arg_svm_pointer(cl_kernel kernel, cl_uint index,
						    const void *value);
cl_int CL_API_CALL layer_enqueue_ndrange_kernel(cl_command_queue queue, cl_kernel kernel,
						cl_uint dimensions, const size_t *offset,
						const size_t *global, const size_t *local,
						cl_uint wait_count, const cl_event *wait_list,
						cl_event *event);
cl_int CL_API_CALL layer_enqueue_task(cl_command_queue queue, cl_kernel kernel, cl_uint wait_count,
				      const cl_event *wait_list, cl_event *event);
cl_kernel CL_API_CALL layer_create_kernel(cl_program program, const char *name,
					  cl_int *errcode_ret);
cl_int CL_API_CALL layer_create_kernels_in_program(cl_program program, cl_uint count,
						   cl_kernel *ret_kernels, cl_uint *ret_count);
cl_kernel CL_API_CALL layer_clone_kernel(cl_kernel source, cl_int *errcode_ret);
cl_int CL_API_CALL layer_retain_kernel(cl_kernel kernel);
cl_int CL_API_CALL layer_release_kernel(cl_kernel kernel);

/* event.c */
cl_int CL_API_CALL layer_retain_event(cl_event event);
cl_int CL_API_CALL layer_release_event(cl_event event);
cl_int CL_API_CALL layer_get_event_info(cl_event event, cl_event_info name, size_t size,
					void *value, size_t *ret_size);
cl_int CL_API_CALL layer_get_event_profiling_info(cl_event event, cl_profiling_info name,
						  size_t size, void *value, size_t *ret_size);
cl_int CL_API_CALL layer_set_event_callback(cl_event event, cl_int type,
					    void(CL_CALLBACK *notify)(cl_event, cl_int, void *),
					    void *user_data);
cl_int CL_API_CALL layer_set_user_event_status(cl_event event, cl_int status);

/* commands.c */
cl_int CL_API_CALL layer_enqueue_read_buffer(cl_command_queue queue, cl_mem buffer,
					     cl_bool blocking, size_t offset, size_t size,
					     void *ptr, cl_uint wait_count,
					     const cl_event *wait_list, cl_event *event);
cl_int CL_API_CALL layer_enqueue_write_buffer(cl_command_queue queue, cl_mem buffer,
					      cl_bool blocking, size_t offset, size_t size,
					      const void *ptr, cl_uint wait_count,
					      const cl_event *wait_list, cl_event *event);
cl_int CL_API_CALL layer_enqueue_read_buffer_rect(cl_command_queue queue, cl_mem buffer,
						  cl_bool blocking, const size_t *buffer_origin,
						  const size_t *host_origin, const size_t *region,
						  size_t buffer_row, size_t buffer_slice,
						  size_t host_row, size_t host_slice, void *ptr,
						  cl_uint wait_count, const cl_event *wait_list,
						  cl_event *event);
cl_int CL_API_CALL layer_enqueue_write_buffer_rect(cl_command_queue queue, cl_mem buffer,
						   cl_bool blocking, const size_t *buffer_origin,
						   const size_t *host_origin, const size_t *region,
						   size_t buffer_row, size_t buffer_slice,
						   size_t host_row, size_t host_slice,
						   const void *ptr, cl_uint wait_count,
						   const cl_event *wait_list, cl_event *event);
cl_int CL_API_CALL layer_enqueue_copy_buffer(cl_command_queue queue, cl_mem src, cl_mem dst,
					     size_t src_offset, size_t dst_offset, size_t size,
					     cl_uint wait_count, const cl_event *wait_list,
					     cl_event *event);
cl_int CL_API_CALL layer_enqueue_copy_buffer_rect(cl_command_queue queue, cl_mem src, cl_mem dst,
						  const size_t *src_origin,
						  const size_t *dst_origin, const size_t *region,
						  size_t src_row, size_t src_slice, size_t dst_row,
						  size_t dst_slice, cl_uint wait_count,
						  const cl_event *wait_list, cl_event *event);
cl_int CL_API_CALL layer_enqueue_fill_buffer(cl_command_queue queue, cl_mem buffer,
					     const void *pattern, size_t pattern_size,
					     size_t offset, size_t size, cl_uint wait_count,
					     const cl_event *wait_list, cl_event *event);
cl_int CL_API_CALL layer_enqueue_migrate_mem_objects(cl_command_queue queue, cl_uint count,
						     const cl_mem *mems,
						     cl_mem_migration_flags flags,
						     cl_uint wait_count, const cl_event *wait_list,
						     cl_event *event);
cl_int CL_API_CALL layer_enqueue_native_kernel(cl_command_queue queue,
					       void(CL_CALLBACK *function)(void *), void *args,
					       size_t args_size, cl_uint count, const cl_mem *mems,
					       const void **locations, cl_uint wait_count,
					       const cl_event *wait_list, cl_event *event);

/* commands_image.c */
cl_int CL_API_CALL layer_enqueue_read_image(cl_command_queue queue, cl_mem image, cl_bool blocking,
					    const size_t *origin, const size_t *region, size_t row,
					    size_t slice, void *ptr, cl_uint wait_count,
					    const cl_event *wait_list, cl_event *event);
cl_int CL_API_CALL layer_enqueue_write_image(cl_command_queue queue, cl_mem image, cl_bool blocking,
					     const size_t *origin, const size_t *region, size_t row,
					     size_t slice, const void *ptr, cl_uint wait_count,
					     const cl_event *wait_list, cl_event *event);
cl_int CL_API_CALL layer_enqueue_copy_image(cl_command_queue queue, cl_mem src, cl_mem dst,
					    const size_t *src_origin, const size_t *dst_origin,
					    const size_t *region, cl_uint wait_count,
					    const cl_event *wait_list, cl_event *event);
cl_int CL_API_CALL layer_enqueue_copy_image_to_buffer(cl_command_queue queue, cl_mem src,
						      cl_mem dst, const size_t *origin,
						      const size_t *region, size_t offset,
						      cl_uint wait_count, const cl_event *wait_list,
						      cl_event *event);
cl_int CL_API_CALL layer_enqueue_copy_buffer_to_image(cl_command_queue queue, cl_mem src,
						      cl_mem dst, size_t offset,
						      const size_t *origin, const size_t *region,
						      cl_uint wait_count, const cl_event *wait_list,
						      cl_event *event);
cl_int CL_API_CALL layer_enqueue_fill_image(cl_command_queue queue, cl_mem image, const void *color,
					    const size_t *origin, const size_t *region,
					    cl_uint wait_count, const cl_event *wait_list,
					    cl_event *event);

#endif
