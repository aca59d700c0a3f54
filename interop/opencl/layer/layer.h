/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the layer's files share.
 *
 * An OpenCL layer stands between a program and the loader. Ours makes a cl_mem of a DMA-BUF by mapping
 * it and giving the mapping to the runtime as host memory, and puts the cache maintenance that CPU
 * access to a DMA-BUF needs around each command that touches one.
 *
 * layer_objects_lock guards the tables of objects.c and the counts of imports; no OpenCL call is made
 * under it. It is never held together with another lock.
 */
#ifndef SHM_OPENCL_LAYER_H
#define SHM_OPENCL_LAYER_H

#define CL_TARGET_OPENCL_VERSION 300
#define CL_USE_DEPRECATED_OPENCL_1_1_APIS
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#define CL_USE_DEPRECATED_OPENCL_2_0_APIS
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <CL/cl_layer.h>

#include <CL/cl_ext.h>

/* ---- what is called next ---- */

extern struct _cl_icd_dispatch layer_next;

/*
 * Imports, brackets and events that the layer has to look after. While there are none a call passes
 * straight on: what a program imported nothing pays is this load.
 */
extern atomic_uint layer_cares;

static inline bool layer_idle(void)
{
	return !atomic_load_explicit(&layer_cares, memory_order_relaxed);
}

/* ---- memory.c: DMA-BUFs and mappings ---- */

enum layer_kind {
	LAYER_HOST,   /* the program's own pages */
	LAYER_MEMFD,  /* shared memory that no device reads behind the CPU's back */
	LAYER_DMABUF, /* wants DMA_BUF_IOCTL_SYNC around access by the CPU */
};

/* One allocation, however often it is imported: two brackets over the same bytes are one. */
struct layer_buffer {
	struct layer_buffer *next;
	unsigned refs; /* under layer_objects_lock */
	dev_t dev;
	ino_t ino;
	int fd; /* ours, for sync and poll */
	bool dmabuf;
	/* the engine's alone */
	unsigned users;
	uint64_t open; /* the DMA_BUF_SYNC_ flags of the START that waits for its END */
};

/* A mapping, shared by the cl_mem that was imported and all sub-buffers and images of it. */
struct layer_import {
	struct layer_import *next; /* the engine's list of those given up */
	unsigned refs;             /* under layer_objects_lock: cl_mems and commands */
	enum layer_kind kind;
	struct layer_buffer *buffer; /* NULL for the host's own pages */
	void *address;
	size_t size;
	bool writable;
	bool shrinks;   /* nothing seals its size */
	bool bracketed; /* by the layer, command by command */
	bool external;  /* cl_khr_external_memory: from acquire to release */
	unsigned held;  /* maps and acquires that have had their START; the engine's alone */
};

/* A CL error; *ret_import has one reference. */
cl_int layer_import_fd(int fd, size_t size, struct layer_import **ret_import);
cl_int layer_import_host(void *address, size_t size, struct layer_import **ret_import);
void layer_import_get(struct layer_import *import);
void layer_import_put(struct layer_import *import);
/*
 * False once the memory became smaller than what was imported, as touching it would be a SIGBUS, and
 * in a child after fork, where no command ever ends.
 */
bool layer_import_is_whole(const struct layer_import *import);

/* The engine's thread only. An errno value, not negative; 0 when done. */
int layer_buffer_start(struct layer_buffer *buffer, bool write);
int layer_buffer_end(struct layer_buffer *buffer);

/* ---- objects.c: what we know of the program's handles ---- */

/*
 * For tables of tsearch() whose records begin with their handle: the order, and the record of a handle,
 * or NULL.
 */
int layer_by_handle(const void *left, const void *right);
void *layer_find(void *const *table, const void *handle);

struct layer_map {
	struct layer_map *next;
	void *address;
	bool write;
	cl_command_queue queue; /* retained */
};

struct layer_mem {
	cl_mem mem;
	struct layer_import *import;
	cl_mem_flags flags; /* as the program gave them */
	cl_mem parent;      /* retained: the buffer of an image; NULL where the runtime knows */
	unsigned users;     /* the program's references */
	bool silent; /* goes with the last of them: the runtime doesn't tell when it destroys it */
	struct layer_map *maps;
	size_t property_count; /* the ending 0 included */
	cl_mem_properties *properties;
};

extern pthread_mutex_t layer_objects_lock;

/*
 * Remember that mem stands for the import. Its reference and the parent's are taken over, also when
 * this fails. The record goes when the runtime destroys mem. CL error.
 */
cl_int layer_mem_add(const struct layer_mem *record);
/* The program's last reference of a silent one goes. */
void layer_mem_forget(cl_mem mem);
/* Under layer_objects_lock, and valid as long as it is held. NULL if it isn't ours. */
struct layer_mem *layer_mem_find(cl_mem mem);
/* The import of a cl_mem with a reference, or NULL. Takes the lock. */
struct layer_import *layer_mem_import(cl_mem mem);

/* ---- kernel.c ---- */

struct layer_bracket;
/* Touch what the kernel's arguments are. */
void layer_kernel_touch(struct layer_bracket *bracket, cl_kernel kernel);
bool layer_kernel_has_import(cl_kernel kernel);

/* ---- engine.c: syncs at the right moment ---- */

struct layer_use {
	struct layer_import *import; /* holds a reference */
	bool write;
};

enum layer_mode {
	LAYER_AROUND, /* START, the command, END */
	LAYER_BEGIN,  /* START, the command: a map, an acquire */
	LAYER_FINISH, /* the command, END: an unmap, a release */
};

enum layer_phase { LAYER_WAITS, LAYER_FENCES, LAYER_RUNS, LAYER_OVER };

struct layer_callback {
	struct layer_callback *next;
	void(CL_CALLBACK *notify)(cl_event, cl_int, void *);
	void *user_data;
	cl_int type; /* what it was registered for */
};

/*
 * A command on its way. Its place in the program's queue is held by two markers, deps and tail, which
 * waits for after. The command itself (inner) waits for gate, in a queue beside the program's, so that
 * what fails takes nothing along that the program enqueued behind it. The engine opens the gate after
 * START and completes done, which the program is given as the command's event, and after, after END.
 */
struct layer_command {
	struct layer_command *next, **link; /* one of the engine's lists */
	struct layer_command *next_ready;   /* under the engine's lock */
	bool ready;                         /* under the engine's lock */
	uintptr_t id;                       /* what the runtime's callbacks are given */
	atomic_uint refs;
	enum layer_mode mode;
	cl_command_queue queue; /* kept by its events: to release it can wait for clFinish() */
	cl_command_type type;
	cl_event deps, gate, inner, after, tail, done; /* all but inner and after may be NULL */
	cl_event *waits;                               /* the program's list, retained */
	size_t wait_count, waited;                     /* waited: the engine's alone */
	enum layer_phase phase;                        /* the engine's alone */
	int64_t buried_ms;                             /* the engine's alone */
	atomic_int status;                             /* of done: CL_QUEUED until it is over */
	struct layer_callback *callbacks;              /* under the engine's lock */
	size_t use_count;
	struct layer_use uses[];
};

void layer_command_get(struct layer_command *command);
void layer_command_put(struct layer_command *command);
void layer_command_put_uses(struct layer_command *command);
/* Hand a command over: the engine takes a reference. CL error when there is no thread to do it. */
cl_int layer_engine_ready(void);
void layer_engine_add(struct layer_command *command);
/* Give the engine the last reference of an import that still holds brackets; false: it can't take it. */
bool layer_engine_abandon(struct layer_import *import);
/* Have notify called when the command has got as far as type, or failed. CL error. */
cl_int layer_engine_notify(struct layer_command *command, cl_int type,
			   void(CL_CALLBACK *notify)(cl_event, cl_int, void *), void *user_data);
void layer_engine_stop(void);

/* ---- command.c: a command's syncs; the engine's thread only ---- */

/* CL_COMPLETE, or an error with all given back. */
cl_int layer_command_start(struct layer_command *command);
/* The command is over with the status; that of the command and its syncs. */
cl_int layer_command_end(struct layer_command *command, cl_int status);
/*
 * Whether fences of devices are still to be waited for. Their descriptors are added to fds while there
 * is room.
 */
struct pollfd;
bool layer_command_is_fenced(const struct layer_command *command, struct pollfd *fds, size_t room,
			     size_t *count);

/* ---- bracket.c: from a call to a command ---- */

/*
 * Use: layer_begin, layer_touch for each object, layer_open; if that succeeds the call itself with
 * queue, blocking, wait_count, wait_list and event of the bracket, then layer_close with its result, whose
 * value is the call's. Where nothing that is touched wants a bracket, all is as the program gave it.
 */
struct layer_bracket {
	cl_command_queue queue; /* for the call; between open and close it may be another */
	cl_bool blocking;
	cl_uint wait_count;
	const cl_event *wait_list;
	cl_event *event;
	/* bracket.c's own */
	cl_command_type type;
	enum layer_mode mode;
	cl_int code;
	cl_event *ret_event;
	cl_bool ret_blocking;
	struct layer_command *command;
	size_t use_count, use_room;
	struct layer_use *uses, few[8];
};

void layer_begin(struct layer_bracket *bracket, cl_command_queue queue, cl_command_type type,
		 cl_bool blocking, cl_uint wait_count, const cl_event *wait_list, cl_event *event);
/* Errors are kept for layer_open, so that the runtime's own checks of the call come first. */
void layer_touch(struct layer_bracket *bracket, cl_mem mem, bool write);
/* For reading, and for writing where the import can be written. */
void layer_touch_all(struct layer_bracket *bracket, cl_mem mem);
/* An import, if commands on it are bracketed. Takes over a reference, as does the next. */
void layer_touch_bracketed(struct layer_bracket *bracket, struct layer_import *import, bool write);
/* An import in any case: external memory at its acquire and release. */
void layer_touch_import(struct layer_bracket *bracket, struct layer_import *import, bool write);
void layer_refuse(struct layer_bracket *bracket, cl_int code);
cl_int layer_open(struct layer_bracket *bracket, enum layer_mode mode);
cl_int layer_close(struct layer_bracket *bracket, cl_int code);

/* ---- queue.c ---- */

bool layer_queue_is_unordered(cl_command_queue queue);
/* The event of the last barrier in an out-of-order queue while it isn't complete, for the caller to release. */
cl_event layer_queue_barrier(cl_command_queue queue);
/* The queue that commands run in which have their place in this one; for the caller to release. */
cl_command_queue layer_queue_beside(cl_command_queue queue);

/* ---- event.c ---- */

/* Have done answer as the command's own event. The program holds one reference. CL error. */
cl_int layer_event_add(struct layer_command *command);
/* The command is over and its callbacks have been called. */
void layer_event_over(struct layer_command *command);

/* ---- stats.c ---- */

enum layer_count {
	LAYER_IMPORTS,
	LAYER_FORCED,
	LAYER_BRACKETS,
	LAYER_STARTS,
	LAYER_ENDS,
	LAYER_FAILED_SYNCS,
	LAYER_COUNTS,
};

void layer_stats_add(enum layer_count which);

/* ---- probe.c ---- */

/* Whether the device works on host memory in place: buffers, and images. Asked once, then known. */
bool layer_device_shares(cl_device_id device);
bool layer_device_shares_images(cl_device_id device);
/* In a list of extensions. None of the names asked for is the end of another extension's. */
bool layer_has_word(const char *text, const char *word);
/* Whether the implementation has an extension itself. */
bool layer_device_has(cl_device_id device, const char *extension);
bool layer_device_imports_dmabuf(cl_device_id device);
/* The version of an extension that the implementation has; 0 where it doesn't tell. */
cl_version layer_device_version(cl_device_id device, const char *extension);

/* ---- command_buffer.c ---- */

/* What stands for a function of the implementation's cl_khr_command_buffer; NULL: the function itself. */
void *layer_command_buffer_function(cl_platform_id platform, const char *name);

/* ---- fork.c ---- */

/* The child has the objects and none of the threads: neither the runtime's nor the engine's. */
extern atomic_bool layer_forked;

/* Locks of the files, for fork(): the first two are held while a runtime is called. */
extern pthread_mutex_t *const layer_probe_guard, *const layer_barriers_guard;
extern pthread_mutex_t *const layer_queues_guard,
	*const layer_engine_guard, *const layer_events_guard, *const layer_kernels_guard;
void layer_guard_forks(void);

/* ---- layer.c ---- */

/* LIBSHM_CL_FORCE=1: every buffer is an import, to try the layer with programs that import nothing. */
bool layer_forced(void);

/* ---- import.c, create.c: making cl_mems ---- */

#define LAYER_ACCESS_FLAGS (CL_MEM_READ_WRITE | CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY)
#define LAYER_HOST_FLAGS   (CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_WRITE_ONLY | CL_MEM_HOST_NO_ACCESS)

/* These and no more than one of each. */
bool layer_flags_are_valid(cl_mem_flags flags);
/* Both take over the reference and the properties of the record, whose mem isn't set yet. */
cl_mem layer_make_buffer(cl_context context, const struct layer_mem *wanted, size_t size,
			 cl_int *ret_code);
cl_mem layer_make_image(cl_context context, const struct layer_mem *wanted,
			const cl_image_format *format, const cl_image_desc *desc, cl_int *ret_code);
/* Bytes of a pixel; 0 for a format that OpenCL doesn't have. */
size_t layer_pixel_size(const cl_image_format *format);
/* Of a 2D image, with the pitch filled in that the program left out; 0 where that can't be. */
size_t layer_image_size(const cl_image_format *format, cl_image_desc *desc);
/* For the caller to free(). CL error. */
cl_int layer_context_devices(cl_context context, cl_device_id **ret_devices, size_t *ret_count);
/* Whether all of a context's devices work on host memory in place. */
bool layer_context_shares(cl_context context);
bool layer_context_shares_images(cl_context context);

/* An answer as OpenCL's queries give it. CL error. */
cl_int layer_answer(const void *value, size_t value_size, size_t size, void *ret_value,
		    size_t *ret_size);

#endif
