/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file opencl.h
 * OpenCL devices: cl_mem buffers, sub-buffers and images that are libshm's memory.
 *
 * Open a device with the program's context and queue, attach handles to it, and ask for their cl_mem.
 * Commands that use one stand between an acquire and a release:
 *
 *	metal_shm_opencl_acquire(gpu, shm, METAL_SHM_DIR_DEV_RW);
 *	metal_shm_opencl_mem(gpu, shm, &mem);
 *	clSetKernelArg(kernel, 0, sizeof(mem), &mem);
 *	clEnqueueNDRangeKernel(queue, kernel, ...);
 *	metal_shm_opencl_release(gpu, shm);
 *
 * and metal_shm_sync_for_cpu(), or the next device's verb, waits for the kernel.
 *
 * How memory becomes a cl_mem is tried in the order of enum metal_shm_opencl_path. A path is used for
 * a kind of memory only after a kernel has shown, once for each device, that it shares bytes in both
 * directions. Nothing is copied unless METAL_SHM_OPENCL_ALLOW_COPY asks for it.
 *
 * The library registers the scheme "opencl": metal_shm_device_open("opencl") opens the first
 * platform's default device in a context of its own, "opencl:NAME" the first device whose name
 * contains NAME.
 *
 * The conventions of shm.h hold. Where OpenCL fails the reason names its error; CL_OUT_OF_RESOURCES,
 * CL_OUT_OF_HOST_MEMORY and CL_MEM_OBJECT_ALLOCATION_FAILURE are -ENOMEM, what a runtime doesn't
 * support -ENOTSUP, a device that is gone -ENODEV, the failure of an earlier command -EIO, anything
 * else -EINVAL.
 */
#ifndef METAL_SHM_OPENCL_H
#define METAL_SHM_OPENCL_H

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 300
#endif
#include <CL/cl.h>

#include <shm/shm.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How a memory became a cl_mem, in the order in which the ways are tried. */
enum metal_shm_opencl_path {
	METAL_SHM_OPENCL_ARM_IMPORT = 1, /**< cl_arm_import_memory of the DMA-BUF */
	METAL_SHM_OPENCL_KHR_EXTERNAL,   /**< cl_khr_external_memory of the DMA-BUF */
	METAL_SHM_OPENCL_HOST_PTR,       /**< CL_MEM_USE_HOST_PTR over a mapping */
	METAL_SHM_OPENCL_COPY, /**< bytes copied at acquire and release, where asked for */
};

/** A path's bit in struct metal_shm_opencl_options' paths. */
#define METAL_SHM_OPENCL_PATH_BIT(path) (1u << (path))

/** metal_shm_opencl_options: where no path shares memory, copy it (stats.bytes_copied counts). */
#define METAL_SHM_OPENCL_ALLOW_COPY (1u << 0)

/** How to open a device. Set struct_size, leave the rest 0 for the defaults. */
struct metal_shm_opencl_options {
	uint32_t struct_size;
	uint32_t flags;     /**< METAL_SHM_OPENCL_ALLOW_COPY or 0 */
	uint32_t paths;     /**< METAL_SHM_OPENCL_PATH_BITs to try; 0 for all */
	uint32_t reserved;  /**< 0 */
	cl_context context; /**< NULL, with queue: as metal_shm_device_open("opencl") */
	cl_command_queue
		queue; /**< of context, a host queue; its device is the one that is opened */
};

/**
 * Open the device of a queue.
 *
 * Context and queue stay the caller's and are retained: releasing them leaves the device working.
 *
 * @param context  a valid context; NULL, with a NULL queue, for the first platform's default device
 *                 in a context of its own
 * @param queue    a valid host queue of @p context, in-order or out-of-order: the default queue
 * @param ret_dev  receives the device; end it with metal_shm_device_close(). Finish the queues first:
 *                 memory with work still queued stays taken until somebody waits for it
 * @return 0; -EINVAL NULL, not a context or queue, a queue of another context, a queue on the device;
 *         -ENODEV no OpenCL platform or no device (the reason says what to install); -ENOMEM;
 *         -EMFILE, -ENFILE
 */
int metal_shm_opencl_open(cl_context context, cl_command_queue queue,
			  struct metal_device **ret_dev);

/**
 * metal_shm_opencl_open() with options.
 *
 * @param options  struct_size set; fields beyond the caller's size are taken as 0
 * @param ret_dev  as there
 * @return as there; -EINVAL also for unknown flags or paths
 */
int metal_shm_opencl_open_with(const struct metal_shm_opencl_options *options,
			       struct metal_device **ret_dev);

/**
 * A device's context, for programs that let the library make it.
 *
 * @param gpu  an OpenCL device
 * @return the context, the device's; NULL with errno EINVAL for another kind of device
 */
cl_context metal_shm_opencl_context(struct metal_device *gpu);

/**
 * A device's default queue.
 *
 * @param gpu  an OpenCL device
 * @return the queue, the device's; NULL with errno EINVAL for another kind of device
 */
cl_command_queue metal_shm_opencl_queue(struct metal_device *gpu);

/**
 * The buffer object that a handle's bytes are.
 *
 * A part is a sub-buffer where CL_DEVICE_MEM_BASE_ADDR_ALIGN allows its offset. On CPU devices any
 * other offset works too, and the kernel's pointer types must then suit it. Elsewhere such a part is
 * copied to and from a buffer of its own, unless METAL_SHM_SUB_NO_COPY forbids that.
 *
 * @param gpu      an OpenCL device
 * @param shm      any handle whose range is attached to @p gpu
 * @param ret_mem  receives a buffer object of metal_shm_size() bytes, borrowed: valid until the range
 *                 is detached; clRetainMemObject() does not keep its memory. Read-only memory makes
 *                 a CL_MEM_READ_ONLY object
 * @return 0; -EINVAL NULL or another kind of device; -ENOTCONN never attached
 */
int metal_shm_opencl_mem(struct metal_device *gpu, struct metal_generic_shm *shm, cl_mem *ret_mem);

/**
 * An image object over one plane of a handle's frame, sharing its bytes.
 *
 * Made at the first call and proven apart from buffers. Formats, all CL_UNORM_INT8 unless said: XR24,
 * AR24 CL_BGRA, or CL_RGBA where the runtime has no CL_BGRA (red and blue then change places; ask
 * clGetImageInfo()); XB24, AB24 CL_RGBA; R8 and planes of one byte CL_R; the chroma of NV12, NV21, NV16
 * CL_RG; YUYV, UYVY CL_RGBA of half the width, one pixel for two (their four bytes in memory order);
 * RG16 CL_RGB CL_UNORM_SHORT_565. Others have none.
 *
 * @param gpu        an OpenCL device
 * @param shm        a handle of a whole buffer that has a frame (metal_shm_frame_of()), attached
 * @param plane      0 up to the frame's plane_count - 1
 * @param ret_image  receives a 2D image, borrowed as metal_shm_opencl_mem()'s. Acquire and release
 *                   cover it
 * @return 0; -EINVAL NULL, another kind of device, no such plane, a part; -ENOTCONN never attached;
 *         -ENODATA no frame; -ENOTSUP the runtime has no such image, or none that shares memory, or
 *         the plane's stride or offset doesn't suit it, or the path is METAL_SHM_OPENCL_COPY: the
 *         reason says which; -EBUSY the proof needs the bytes while work has them; -ENOMEM
 */
int metal_shm_opencl_image(struct metal_device *gpu, struct metal_generic_shm *shm, unsigned plane,
			   cl_mem *ret_image);

/**
 * How a handle's memory became a cl_mem.
 *
 * @param gpu  an OpenCL device
 * @param shm  any handle whose range is attached to @p gpu
 * @return an enum metal_shm_opencl_path; -EINVAL; -ENOTCONN never attached
 */
int metal_shm_opencl_path(struct metal_device *gpu, struct metal_generic_shm *shm);

/**
 * A path's name for messages.
 *
 * @param path  an enum metal_shm_opencl_path
 * @return "arm-import", "khr-external", "host-pointer", "copy"; "unknown" for anything else; never NULL
 */
const char *metal_shm_opencl_path_name(int path);

/**
 * Take bytes for commands on the default queue.
 *
 * metal_shm_opencl_enqueue_acquire() without events.
 *
 * @param gpu  an OpenCL device
 * @param shm  any handle whose range is attached to @p gpu
 * @param dir  what the commands up to the release do with the bytes
 * @return 0; -EINVAL, -ENOTCONN, -EACCES, -EIO, -ENODEV, -ENOMEM as there
 */
int metal_shm_opencl_acquire(struct metal_device *gpu, struct metal_generic_shm *shm,
			     enum metal_shm_dir dir);

/**
 * End an acquire after the commands that the default queue has now.
 *
 * metal_shm_opencl_enqueue_release() without events.
 *
 * @param gpu  an OpenCL device
 * @param shm  as acquired
 * @return 0; -EINVAL, -ENOTCONN, -ENOMEM as there
 */
int metal_shm_opencl_release(struct metal_device *gpu, struct metal_generic_shm *shm);

/**
 * Take bytes for commands that follow on a queue.
 *
 * Makes the hand-over and enqueues what the path needs. Never waits for this device; waits, like
 * metal_shm_sync_for_device(), for conflicting work that other devices have queued. Each acquire
 * needs a release; several of one range may be open at once. The bytes are the device's until the
 * release's commands are done.
 *
 * Commands that use the bytes must run after it: on an in-order queue they do; on an out-of-order one
 * they wait for @p ret_event, or, where that is NULL, for a barrier that this call enqueues if it
 * enqueues anything.
 *
 * @param gpu         an OpenCL device
 * @param queue       a host queue of the device's context and device; NULL for the default queue
 * @param shm         any handle whose range is attached to @p gpu
 * @param dir         what the commands up to the release do with the bytes
 * @param num_events  length of @p wait_list
 * @param wait_list   events that the path's commands wait for; NULL when @p num_events is 0
 * @param ret_event   receives an event of the caller's that is complete when the bytes can be used;
 *                    may be NULL
 * @return 0; -EINVAL NULL, another kind of device, not a direction, a queue of another context or
 *         device, a wait list that OpenCL refuses; -ENOTCONN never attached; -EACCES read-only memory
 *         and a @p dir that writes; -EIO, -ENODEV a holder failed or is gone; -ENOMEM. On failure
 *         nothing is acquired
 */
int metal_shm_opencl_enqueue_acquire(struct metal_device *gpu, cl_command_queue queue,
				     struct metal_generic_shm *shm, enum metal_shm_dir dir,
				     cl_uint num_events, const cl_event *wait_list,
				     cl_event *ret_event);

/**
 * End an acquire after commands of a queue.
 *
 * Doesn't block. Enqueues what the path needs and flushes the queue; when that is done the bytes are
 * without work, which metal_shm_device_dispatch() notices and every waiting call of libshm with it.
 * A command that ended with an error makes it -EIO for the next owner.
 *
 * @param gpu         an OpenCL device
 * @param queue       as for metal_shm_opencl_enqueue_acquire(); any, not only the acquire's
 * @param shm         as acquired; the handle may be freed and the view detached right afterwards
 * @param num_events  length of @p wait_list
 * @param wait_list   the events of the commands that use the bytes; NULL, when @p num_events is 0, for
 *                    all commands that @p queue has now
 * @param ret_event   receives an event of the caller's that is complete when the release is; may be
 *                    NULL
 * @return 0; -EINVAL NULL, another kind of device, not acquired, a wrong queue, a wait list that
 *         OpenCL refuses; -ENOTCONN never attached; -ENOMEM. On failure it stays acquired
 */
int metal_shm_opencl_enqueue_release(struct metal_device *gpu, cl_command_queue queue,
				     struct metal_generic_shm *shm, cl_uint num_events,
				     const cl_event *wait_list, cl_event *ret_event);

#ifdef __cplusplus
}
#endif
#endif
