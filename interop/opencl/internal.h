/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the adapter's files share. Lock order: proof_lock, lock. Neither is held in a call that hands
 * bytes over or waits for a holder; lock is held while commands are enqueued, which doesn't wait for
 * them; proof_lock is held while a proof's kernel is compiled and runs, on a queue of its own, so only
 * attachments of memory that isn't proven yet wait for it.
 */
#ifndef SHM_OPENCL_INTERNAL_H
#define SHM_OPENCL_INTERNAL_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <shm/device.h>
#include <shm/opencl.h>

#include <CL/cl_ext.h>

struct shm__cl;

/* Bytes that a path imports: a whole memory, or for a copy the range of one view. */
struct shm__cl_bytes {
	int fd;        /* of a DMA-BUF; else -1 */
	void *address; /* where a path maps; else NULL */
	size_t size;
	bool writable;
};

/* What a path's own commands work on. */
struct shm__cl_transfer {
	cl_mem mem;
	void *address;
	size_t size;
	enum metal_shm_dir dir;
};

typedef cl_int (*shm__cl_enqueue_fn)(struct shm__cl *cl, cl_command_queue queue,
				     const struct shm__cl_transfer *transfer, cl_uint num_events,
				     const cl_event *wait_list, cl_event *ret_event);

/* A way from memory to a cl_mem. One file each. */
struct shm__cl_path {
	enum metal_shm_opencl_path id;
	bool maps;   /* through a mapping for the CPU */
	bool shares; /* the bytes themselves: proven first; one import serves all views of a memory */
	/* 0, or why not: of this device and a memory whose DMA-BUF is fd, or -1 */
	int (*usable)(const struct shm__cl *cl, int fd);
	int (*import)(struct shm__cl *cl, const struct shm__cl_bytes *bytes, cl_mem *ret_mem);
	shm__cl_enqueue_fn acquire, release; /* both, or none where nothing is to be enqueued */
};

extern const struct shm__cl_path shm__cl_path_arm, shm__cl_path_khr, shm__cl_path_hostptr,
	shm__cl_path_copy;

/* A mapping that lives until the last cl_mem over it is gone, which can be after detach. */
struct shm__cl_mapping {
	atomic_uint refs;
	void *address; /* of the memory's first byte */
	size_t size;
	bool imported; /* by the core: undone there, unless a cl_mem is left */
	bool plain;    /* munmap() undoes it */
};

/* A memory in OpenCL. */
struct shm__cl_import {
	struct shm__cl_import *next;
	const struct metal_shm_memory *memory; /* NULL: serves one view */
	const struct shm__cl_path *path;
	struct shm__cl_mapping *mapping;
	cl_mem mem;
	size_t offset, size; /* of the memory's bytes that mem is */
	bool writable;
	bool exact; /* kernels see the mapping's own addresses */
	unsigned views;
	unsigned acquired;       /* acquires without their release */
	cl_event acquired_event; /* of the first of them, where the path has commands */
};

struct shm__cl_view {
	struct shm__cl_view *next;
	struct shm__cl *cl;
	const struct metal_shm_attachment *at;
	struct shm__cl_import *import;
	char kind[64];
	cl_mem mem;
	cl_mem planes[METAL_SHM_MAX_PLANES]; /* the buffers that images stand on, where they do */
	cl_mem images[METAL_SHM_MAX_PLANES];
	unsigned acquired;
	enum metal_shm_dir dir; /* of all acquires since the last time that none was open */
	cl_command_queue queue; /* of the last acquire, retained while acquired */
};

/* What runs when a release is done reports here; it may be after everything else was closed. */
struct shm__cl_notifier {
	atomic_uint refs;
	pthread_mutex_t lock;
	int fd; /* -1 when the device was closed */
};

/* What a release's callback has of it. */
struct shm__cl_completion;

/* A release that is enqueued; in the device's list until dispatch() finds it done. */
struct shm__cl_pending {
	struct shm__cl_pending *next;
	struct shm__cl_view *view;
	struct shm__cl_completion *completion;
	cl_event event;
	cl_int status;
};

struct shm__cl_verdict;

enum { SHM__CL_BUFFER_PROGRAM, SHM__CL_IMAGE_PROGRAM, SHM__CL_PROGRAMS };

struct shm__cl {
	struct metal_device *dev;
	cl_context context;
	cl_command_queue queue;
	bool out_of_order; /* the default queue */
	cl_platform_id platform;
	cl_device_id device;
	bool on_cpu;  /* kernels are run by CPUs of this process */
	bool unified; /* the device's memory is the host's */
	bool images;
	bool several; /* devices in the context */
	uint32_t flags, paths;
	size_t base_alignment; /* bytes, of a sub-buffer's start */
	uint32_t pitch_pixels; /* multiple of an image row on a buffer; 0: none such */
	bool layer;            /* libshm's own layer adds what the implementation lacks */
	cl_mem (*import_arm)(cl_context context, cl_mem_flags flags,
			     const cl_import_properties_arm *properties, void *memory, size_t size,
			     cl_int *ret_code);
	clEnqueueAcquireExternalMemObjectsKHR_fn acquire_khr; /* with its twin, or NULL */
	clEnqueueReleaseExternalMemObjectsKHR_fn release_khr;
	struct shm__cl_notifier *notifier;

	pthread_mutex_t lock; /* the lists, and what views and imports count */
	struct shm__cl_view *views;
	struct shm__cl_import *imports;
	struct shm__cl_pending *pending;

	pthread_mutex_t proof_lock; /* all below */
	cl_command_queue proof_queue;
	cl_program programs[SHM__CL_PROGRAMS];
	struct shm__cl_verdict *verdicts;
};

/* runtime.c */
int shm__cl_error(cl_int code, const char *call);
int shm__cl_find_device(const char *name, cl_device_id *ret_device);
int shm__cl_describe(struct shm__cl *cl);
cl_command_queue shm__cl_queue_create(cl_context context, cl_device_id device, cl_int *ret_code);
bool shm__cl_has_extension(cl_device_id device, const char *extension);

/* device.c */
extern const struct metal_shm_device_ops shm__cl_ops;
struct shm__cl *shm__cl_of(const struct metal_device *dev);

/* attach.c */
int shm__cl_attach(struct metal_device *dev, const struct metal_shm_attachment *at,
		   struct metal_shm_view *ret_view);
void shm__cl_detach(struct metal_device *dev, const struct metal_shm_attachment *at,
		    struct metal_shm_view *view);
int shm__cl_view_of(struct metal_device *gpu, struct metal_generic_shm *shm,
		    struct shm__cl_view **ret_view);

/* mapping.c */
int shm__cl_mapping_open(const struct metal_shm_attachment *at, bool *ret_writable,
			 struct shm__cl_mapping **ret_mapping);
int shm__cl_mapping_make(int fd, size_t size, struct shm__cl_mapping **ret_mapping);
int shm__cl_mapping_bind(struct shm__cl_mapping *mapping, cl_mem mem);
void shm__cl_mapping_close(struct shm__cl_mapping *mapping, const struct metal_shm_attachment *at);

/* scratch.c */
struct shm__cl_scratch {
	struct shm__cl_bytes bytes;
	struct shm__cl_mapping *mapping; /* of the bytes */
	struct shm__cl_mapping *second;  /* another, where there can be one */
	void *check; /* the bytes by the second; NULL: they may not be touched */
	bool whole;  /* nobody else has them */
	const struct metal_shm_attachment *at;
	struct metal_device *src;
	struct metal_generic_shm *shm;
	int own_fd;
};

void shm__cl_kind(int fd, char *kind, size_t size);
bool shm__cl_is_dmabuf(const char *kind);
bool shm__cl_fd_writable(int fd);
int shm__cl_scratch_make(const struct shm__cl *cl, const struct shm__cl_path *path,
			 const struct metal_shm_attachment *at, const char *kind,
			 struct shm__cl_scratch *ret);
void shm__cl_scratch_free(struct shm__cl_scratch *scratch);
int shm__cl_scratch_begin(const struct shm__cl *cl, const struct shm__cl_scratch *scratch);
int shm__cl_scratch_end(const struct shm__cl *cl, const struct shm__cl_scratch *scratch);

/* proofs.c */
uint32_t shm__cl_nonce(void);
int shm__cl_proof_queue(struct shm__cl *cl, cl_command_queue *ret_queue);
int shm__cl_proof_kernel(struct shm__cl *cl, unsigned program, const char *source, const char *name,
			 cl_kernel *ret_kernel);
int shm__cl_recall(struct shm__cl *cl, const char *key, bool *ret_found, bool *ret_exact);
void shm__cl_remember(struct shm__cl *cl, const char *key, int error, bool exact);
void shm__cl_forget_proofs(struct shm__cl *cl);

/* prove.c */
int shm__cl_prove_buffer(struct shm__cl *cl, const struct shm__cl_path *path,
			 const struct metal_shm_attachment *at, const char *kind, bool *ret_exact);
int shm__cl_trial(struct metal_device *dev, struct metal_generic_shm *shm);

/* prove_image.c */
struct shm__cl_plane {
	cl_image_format format;
	size_t bytes; /* of a pixel */
	size_t width, height, stride;
	size_t offset; /* in the memory */
};

int shm__cl_prove_image(struct shm__cl_view *view, bool on_buffer,
			const struct shm__cl_plane *plane);

/* image.c; on a buffer object where ret_buffer is given, else over the address */
int shm__cl_image_make(struct shm__cl *cl, cl_mem import, void *address, bool writable,
		       const struct shm__cl_plane *plane, cl_mem *ret_buffer, cl_mem *ret_image);

/* events.c */
int shm__cl_notifier_create(struct shm__cl_notifier **ret_notifier);
void shm__cl_notifier_close(struct shm__cl_notifier *notifier);
void shm__cl_watch(const struct shm__cl *cl);
struct shm__cl_pending *shm__cl_pending_new(struct shm__cl_view *view);
void shm__cl_pending_free(struct shm__cl_pending *pending);
void shm__cl_completion_ref(struct shm__cl_completion *completion);
void shm__cl_completion_arm(struct shm__cl_completion *completion, cl_event event);
int shm__cl_poll_handle(struct metal_device *dev);
int shm__cl_dispatch(struct metal_device *dev);
void shm__cl_shutdown(struct metal_device *dev);

#endif
