/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file shm.h
 * Shared memory for programs: take it once, hand it to every device without a copy.
 *
 * A struct metal_device gives memory, uses it, or does both. metal_shm_allocate() asks one that
 * gives; metal_shm_attach() makes a buffer usable by one that uses. Three kinds of handle share the
 * type struct metal_generic_shm: a buffer (memory), a part (a range of it) and a view (what one
 * device sees of either). Each call takes any of them unless it says otherwise.
 *
 * References keep memory alive; ownership says who may touch its bytes; no call changes both.
 *
 * Conventions, valid for every function unless its own text says otherwise:
 * - Pointers are NULL and ints are -errno on failure; results named ret_* are then untouched. Both
 *   leave a one-line reason in metal_shm_last_error().
 * - Any function may be called from any thread. Calls on one buffer are serialised inside; no lock
 *   is held while waiting.
 * - A handle or device that is not libshm's, or was freed, is refused with -EINVAL.
 * - After fork() the child may only free: every other call is -EPERM there.
 * - No thread is started and, but for guard mode, nothing is printed. See metal_shm_set_log() in
 *   observe.h.
 */
#ifndef METAL_SHM_SHM_H
#define METAL_SHM_SHM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct metal_device;
struct metal_generic_shm;

/** What memory must be: a set of METAL_SHM_* flags. Each is a requirement, met or refused. */
typedef uint32_t metal_shm_type;

/** The CPU reaches it through its cache. */
#define METAL_SHM_CACHED (1u << 0)
/** The CPU reaches it without a cache (write-combining counts). With METAL_SHM_CACHED: -EINVAL. */
#define METAL_SHM_NOTCACHED (1u << 1)
/** One run of physical addresses. */
#define METAL_SHM_CONTIGUOUS (1u << 2)
/** Every byte is 0 when the allocation returns. */
#define METAL_SHM_ZEROED (1u << 3)
/** The CPU can't map it. */
#define METAL_SHM_SECURE (1u << 4)
/** Exportable as a true DMA-BUF, which kernel drivers import (a memfd is not one). */
#define METAL_SHM_DMABUF (1u << 5)

/** What a device does with bytes. */
enum metal_shm_dir {
	METAL_SHM_DIR_DEV_R = 1,  /**< the device reads */
	METAL_SHM_DIR_DEV_W = 2,  /**< the device writes */
	METAL_SHM_DIR_DEV_RW = 3, /**< both */
};

/** What the CPU does through a mapping: bits of metal_shm_map()'s prot. */
enum {
	METAL_SHM_READ = 1,
	METAL_SHM_WRITE = 2,
};

/** An answer that may be missing. Unknown satisfies no requirement. */
enum metal_shm_tri {
	METAL_SHM_UNKNOWN = 0,
	METAL_SHM_NO,
	METAL_SHM_YES,
};

/** A timeout that never ends. */
#define METAL_SHM_FOREVER INT64_C(-1)

/** The version this header belongs to. */
#define METAL_SHM_VERSION_MAJOR 0
#define METAL_SHM_VERSION_MINOR 1
#define METAL_SHM_VERSION_PATCH 0

/**
 * The version of the library that runs, as "major.minor.patch".
 *
 * @return a constant string, never NULL
 */
const char *metal_shm_version(void);

/**
 * Why this thread's last failing call failed, in one line without a newline.
 *
 * Successful calls leave it alone.
 *
 * @return a string that stays valid until this thread's next failing call; "" when none failed.
 *         Never NULL. Works in a forked child too.
 */
const char *metal_shm_last_error(void);

/**
 * Open a device by name.
 *
 * "memfd", "udmabuf", "anon" (the program's own pages), "heap:NAME" (a name under /dev/dma_heap, or a
 * role: "heap:system", "heap:contiguous"), "vfio:BDF,address_bits=N" (see vfio.h); an adapter library
 * that is linked adds its own scheme: "v4l2:PATH", "drm:PATH".
 *
 * @param name     SCHEME or SCHEME:REST
 * @param ret_dev  receives the device; end it with metal_shm_device_close()
 * @return 0; -EINVAL NULL or a malformed name; -EPROTONOSUPPORT no driver for the scheme (the
 *         reason names the library to link); -ENOENT no such device; -EACCES not permitted (the
 *         reason says which group or udev rule helps); -ENOMEM; or what the driver's open answers
 */
int metal_shm_device_open(const char *name, struct metal_device **ret_dev);

/**
 * Close a device.
 *
 * Never blocks. Buffers that came from it and views on it stay usable and keep what they need of
 * the device until they are ended; new allocations and attachments through @p dev are over.
 *
 * @param dev  from an open call, or NULL (nothing happens)
 */
void metal_shm_device_close(struct metal_device *dev);

/**
 * The name a device was opened by, for messages.
 *
 * @param dev  an open device
 * @return a string that lives as long as @p dev; NULL with errno EINVAL if it is not a device
 */
const char *metal_shm_device_name(const struct metal_device *dev);

/**
 * Handle whatever a device has to report (frames done, flips, finished kernels), without blocking.
 *
 * Call it when the descriptor of metal_shm_device_poll_fd() (linux.h) is readable. Calls that wait
 * do it by themselves.
 *
 * @param dev  an open device
 * @return 0, also when nothing was there or the device never reports; -EINVAL; -ENODEV the device is
 *         gone; or the device's own error
 */
int metal_shm_device_dispatch(struct metal_device *dev);

/**
 * Allocate a buffer from one device that gives memory.
 *
 * The CPU owns all of it. Source: libmetal's shared memory proposal.
 *
 * @param size      bytes, 1 up to what the source has; rounded up to its granularity, which
 *                  metal_shm_size() doesn't show
 * @param src_dev   a device that gives memory
 * @param shm_type  METAL_SHM_* requirements; 0 for none
 * @return a buffer with one reference, ended with metal_shm_free(). NULL with errno EINVAL (size 0,
 *         contradicting or unknown flags, not a device), EOVERFLOW (rounding exceeds the address
 *         space), ENOTSUP (the device gives no memory, or can't promise a required property), ENOMEM,
 *         ENODEV (closed), or the source's own error
 */
struct metal_generic_shm *metal_shm_allocate(size_t size, struct metal_device *src_dev,
					     metal_shm_type shm_type);

/**
 * Allocate a buffer that works with all the devices given, from the cheapest source that does.
 *
 * Each source is tried for real (a V4L2 queue streams, a DRM card commits) once for each device and
 * remembered. Where a device states which addresses or how many segments it takes, sources that promise it
 * come first, and the buffer itself is looked at. A device in @p devs that only gives memory restricts the choice
 * to itself (several: to these). Attaches the buffer to none of them. metal_shm_explain() tells what was chosen and why.
 *
 * @param size      bytes, at least 1
 * @param devs      @p n devices; may be NULL when @p n is 0
 * @param n         how many, 0 to 64
 * @param shm_type  METAL_SHM_* requirements beside the devices' own
 * @return as metal_shm_allocate(); ENOTSUP when no source serves all: the reason lists each source
 *         with what it failed; ENOMEM, EMFILE or ENFILE if one of them failed just that
 */
struct metal_generic_shm *metal_shm_allocate_for(size_t size, struct metal_device *const devs[],
						 size_t n, metal_shm_type shm_type);

/**
 * Open a buffer by name, allocating it if this process has none of that name.
 *
 * Names live in this process. A name ends with its buffer. Source: seed 002's metal_shm_open.
 *
 * @param name      1 to 63 bytes without '/'
 * @param size      bytes; 0 opens only what exists
 * @param shm_type  METAL_SHM_* requirements; an existing buffer must meet them
 * @param ret_shm   receives a buffer with one reference for the caller
 * @return 0; -EINVAL bad name, or size differs from the existing buffer's; -ENOENT size 0 and no
 *         such name; -ENOTSUP requirements not met; -ENOMEM; as metal_shm_allocate_for()
 */
int metal_shm_open(const char *name, size_t size, metal_shm_type shm_type,
		   struct metal_generic_shm **ret_shm);

/**
 * Make a buffer of memory that the program already has.
 *
 * libshm doesn't own the bytes: they must stay valid until @p release is called. Devices that work
 * on host memory (OpenCL on CPUs) take it, and so does VFIO where the program may write it; those that
 * need a DMA-BUF refuse it.
 *
 * @param address  the memory, not NULL
 * @param size     bytes, at least 1; address + size must not wrap
 * @param release  called once when the last reference, view and holder are gone; may be NULL. Runs
 *                 in the thread that ended the last of them and must not call libshm on this buffer
 * @param user     passed to @p release
 * @return a buffer with one reference; NULL with errno EINVAL, EOVERFLOW or ENOMEM
 */
struct metal_generic_shm *metal_shm_wrap(void *address, size_t size,
					 void (*release)(void *user, void *address, size_t size),
					 void *user);

/**
 * Make a part: a handle for a range of a buffer or part.
 *
 * The part keeps its parent's memory alive, and has its own ownership: it is handed over and taken back
 * without the bytes beside it, and parts may overlap. A device that can't work on just the part (its
 * alignment, or caches that can only be synced for the whole buffer) gets a copy of it at each hand-over,
 * unless METAL_SHM_SUB_NO_COPY forbids that: see metal_shm_view_mode().
 *
 * @param shm     any handle
 * @param offset  bytes from the start of @p shm's range; any alignment
 * @param size    bytes, at least 1; offset + size at most metal_shm_size(shm)
 * @param flags   METAL_SHM_SUB_NO_COPY or 0
 * @return a part with one reference, ended with metal_shm_free(); NULL with errno EINVAL (unknown
 *         flags, size 0), ERANGE (outside the parent), ENOMEM
 */
struct metal_generic_shm *metal_shm_sub(struct metal_generic_shm *shm, size_t offset, size_t size,
					uint32_t flags);

/** metal_shm_sub(): attaching the part fails (ENOTSUP) where the device could only be served by a copy. */
#define METAL_SHM_SUB_NO_COPY (1u << 0)

/**
 * Take one more reference.
 *
 * @param shm  a buffer or part; or a view, which stands for the buffer or part it was attached from
 * @return the buffer or part; NULL with errno EINVAL. Each reference is ended with metal_shm_free()
 */
struct metal_generic_shm *metal_shm_ref(struct metal_generic_shm *shm);

/**
 * End a reference to a buffer or part.
 *
 * Never blocks and never fails. With the last reference the handle is gone and so are the mappings
 * made through it; the memory goes back when no part, view or holder of it remains (counted as
 * deferred until then). A frame of a pool goes back to its pool. Misuse (a foreign pointer, a second
 * free, a view) changes nothing, is logged and counted, and leaves errno and a reason.
 *
 * @param src_shm  a buffer or part, or NULL (nothing happens)
 * @param src_dev  the device it was allocated from, or NULL; another one is misuse
 */
void metal_shm_free(struct metal_generic_shm *src_shm, struct metal_device *src_dev);

/**
 * Make a buffer or part usable by a device.
 *
 * Makes no hand-over. Attaching the same range to the same device again gives the same view, counted,
 * without a system call. Source: libmetal's shared memory proposal.
 *
 * @param src_shm  any handle
 * @param dst_dev  a device that uses memory
 * @return the view, ended by metal_shm_detach() as often as attached; NULL with errno EINVAL, ENODEV
 *         (closed), ENOTSUP (the device uses no memory, or not this memory: the reason says what it
 *         wants; or it, or one that is attached, works on copies of its own), ENOSPC (no room in the
 *         device), ENOMEM, or the device's own error
 */
struct metal_generic_shm *metal_shm_attach(struct metal_generic_shm *src_shm,
					   struct metal_device *dst_dev);

/**
 * End one attachment.
 *
 * Never blocks and never fails. What the CPU wrote is written back before the device's mapping goes.
 * While queued work of the device still has the bytes the view ends later, when that completes; while
 * another attachment of the memory begins or ends, when that is through.
 * Misuse (not a view, the wrong device, a second detach) changes nothing, is logged and counted, and
 * leaves errno and a reason.
 *
 * @param dst_shm  a view, or NULL (nothing happens)
 * @param dst_dev  its device
 */
void metal_shm_detach(struct metal_generic_shm *dst_shm, struct metal_device *dst_dev);

/**
 * Bytes that a handle stands for.
 *
 * @param shm  any handle
 * @return bytes; 0 with errno EINVAL for what is not a handle
 */
size_t metal_shm_size(const struct metal_generic_shm *shm);

/**
 * Map a handle's bytes for the CPU.
 *
 * Mapping conveys no ownership: take it with metal_shm_sync_for_cpu(). Mappings are cached: a second
 * one costs no system call, and the address stays the same until the buffer's memory goes.
 *
 * @param shm   any handle
 * @param prot  METAL_SHM_READ, METAL_SHM_WRITE or both
 * @return the address of the range's first byte, valid until the matching metal_shm_unmap() or the
 *         handle's end; NULL with errno EINVAL, EACCES (the memory may not be written, or is secure),
 *         ENOTSUP (the source can't map), ENOMEM
 */
void *metal_shm_map(struct metal_generic_shm *shm, int prot);

/**
 * End one mapping.
 *
 * @param shm   the handle that was mapped
 * @param prot  as given to metal_shm_map()
 * @return 0; -EINVAL it was not mapped so
 */
int metal_shm_unmap(struct metal_generic_shm *shm, int prot);

/**
 * Say what the program wrote.
 *
 * Without it everything counts as written that the program owned and had mapped for writing. From the
 * first report on, until bytes of the handle change hands or are written back, only what was reported
 * counts in them: copies and cache operations are made for no more. A write that is not reported then
 * may be lost. Any thread may call it.
 *
 * @param shm     any handle whose bytes the program owns
 * @param offset  bytes from the start of @p shm's range
 * @param length  bytes, from 0 (nothing was written) to metal_shm_size(shm) - offset
 * @return 0; -EINVAL not a handle; -ERANGE outside the handle; -EBUSY a device has some of the bytes (the
 *         reason names it), nothing changed; -ENOMEM
 */
int metal_shm_wrote(struct metal_generic_shm *shm, size_t offset, size_t length);

/**
 * Hand bytes to a device.
 *
 * After it the CPU may read (@p dir _DEV_R) or may not touch them at all. Writes back what the CPU
 * wrote, if that is needed. Waits for another device's queued work that conflicts, dispatching its
 * events. For V4L2, DRM and OpenCL devices this is what their own verbs (queue, present, acquire) do
 * first; calling it before is allowed and costs nothing twice.
 * Whatever it elides, it is a release in C11's memory model, for stores that the CPU combines too.
 * Source: seed 002, metal_shm_sync_for_device().
 *
 * @param shm  any handle attached to @p dev
 * @param dev  a device that @p shm is attached to
 * @param dir  what the device will do
 * @return 0; -EINVAL; -ENOTCONN not attached; -EACCES @p dir writes memory that was imported
 *         read-only; -EIO a holder failed and its bytes are undefined; -ENODEV the device is gone;
 *         -EBUSY the source can only sync all of the memory, or a line of the cache, and another owner's
 *         bytes in it would be destroyed (the reason says whose), or 7 devices have work on the bytes;
 *         -ENOMEM; or the error of the cache operation, or of @p dev, which may refuse. Nothing changed then,
 *         but that bytes which a third device had idle may be nobody's if @p dev refused
 */
int metal_shm_sync_for_device(struct metal_generic_shm *shm, struct metal_device *dev,
			      enum metal_shm_dir dir);

/**
 * metal_shm_sync_for_device() with a limit.
 *
 * @param shm         as there
 * @param dev         as there
 * @param dir         as there
 * @param timeout_ns  nanoseconds; 0 polls; METAL_SHM_FOREVER
 * @return as there; -ETIMEDOUT a conflicting holder was not done in time (the reason names it),
 *         nothing changed
 */
int metal_shm_sync_for_device_timeout(struct metal_generic_shm *shm, struct metal_device *dev,
				      enum metal_shm_dir dir, int64_t timeout_ns);

/**
 * Take bytes back from the devices that hold them.
 *
 * Waits until they are done, dispatching their events. With no holder left the CPU may read and
 * write; with readers left it may read. Costs no system call where nobody held them. Whatever it
 * elides, it is an acquire. Pairs with metal_shm_sync_for_device(). Source: seed 002,
 * metal_shm_sync_for_cpu().
 *
 * @param shm  any handle
 * @param dir  the device accesses that end: _DEV_W leaves readers in place
 * @return 0; -EINVAL not a handle, not a direction, or a holder keeps a write not named in @p dir;
 *         -EIO the holder failed, its bytes are undefined (reported once); -ENODEV it is gone,
 *         likewise; -EBUSY as in metal_shm_sync_for_device(); -ENOMEM; or the error of the cache
 *         operation
 */
int metal_shm_sync_for_cpu(struct metal_generic_shm *shm, enum metal_shm_dir dir);

/**
 * metal_shm_sync_for_cpu() with a limit.
 *
 * @param shm         as there
 * @param dir         as there
 * @param timeout_ns  nanoseconds; 0 polls; METAL_SHM_FOREVER
 * @return as there; -ETIMEDOUT a holder was not done in time (the reason names it), nothing
 *         changed
 */
int metal_shm_sync_for_cpu_timeout(struct metal_generic_shm *shm, enum metal_shm_dir dir,
				   int64_t timeout_ns);

/** What a view stands for, fixed from attach to detach. */
enum metal_shm_view_mode {
	METAL_SHM_VIEW_IN_PLACE = 1, /**< the bytes themselves */
	METAL_SHM_VIEW_WINDOW, /**< the bytes, their pages being exported once more by themselves */
	METAL_SHM_VIEW_SHADOW, /**< another memory that the range is copied to and from */
};

/**
 * How a view reaches the bytes.
 *
 * @param dst_shm  a view
 * @return an enum metal_shm_view_mode; -EINVAL not a view
 */
int metal_shm_view_mode(const struct metal_generic_shm *dst_shm);

/**
 * Find the view of a handle's range on a device.
 *
 * @param shm  any handle
 * @param dev  a device
 * @return the view, borrowed (no count taken); NULL with errno EINVAL or ENOTCONN
 */
struct metal_generic_shm *metal_shm_view(struct metal_generic_shm *shm,
					 const struct metal_device *dev);

/** A run of addresses as a device sees it; bytes. */
struct metal_shm_segment {
	uint64_t device_address;
	uint64_t length;
};

/**
 * The device addresses of a view.
 *
 * @param dst_shm       a view
 * @param ret_segments  receives an array that lives as long as the view
 * @param ret_n         receives its length, at least 1
 * @return 0; -EINVAL not a view; -ENOTSUP the device names no addresses
 */
int metal_shm_segments(struct metal_generic_shm *dst_shm,
		       const struct metal_shm_segment **ret_segments, size_t *ret_n);

/**
 * The device address of a view that is one run of addresses.
 *
 * @param dst_shm      a view
 * @param ret_address  receives the address of its first byte
 * @return 0; -EINVAL not a view; -ENOTSUP the device names no addresses; -ERANGE it has several
 *         segments
 */
int metal_shm_device_address(struct metal_generic_shm *dst_shm, uint64_t *ret_address);

/** What memory is. Set struct_size before the call. */
struct metal_shm_properties {
	uint32_t struct_size;
	enum metal_shm_tri cached;     /**< the CPU reaches it through its cache */
	enum metal_shm_tri contiguous; /**< one run of physical addresses */
	enum metal_shm_tri secure;     /**< the CPU can't map it */
	enum metal_shm_tri coherent; /**< devices see the CPU's writes without cache maintenance */
	enum metal_shm_tri zeroed;   /**< every byte was 0 when it was allocated */
	enum metal_shm_tri dmabuf;   /**< exportable as a true DMA-BUF */
	uint64_t size;               /**< bytes, as the source gave them; 0 for a device */
	uint64_t granularity;        /**< bytes that sizes are rounded up to; 0 unknown */
	uint64_t alignment;          /**< bytes that its start is aligned to; 0 unknown */
	uint64_t free_space;         /**< bytes left in the source; 0 unknown */
	uint64_t sync_granule; /**< bytes in whose multiples caches can be synced; 0: only all */
};

/**
 * What a buffer's memory is.
 *
 * @param shm  any handle; a view's memory is that on which its device works, which may be a copy's
 * @param ret  struct_size set by the caller, the rest filled; fields beyond its size are left out
 * @return 0; -EINVAL
 */
int metal_shm_properties(const struct metal_generic_shm *shm, struct metal_shm_properties *ret);

/**
 * What a device promises of every buffer it gives.
 *
 * @param dev  a device that gives memory
 * @param ret  as for metal_shm_properties()
 * @return 0; -EINVAL; -ENOTSUP it gives none
 */
int metal_shm_device_properties(const struct metal_device *dev, struct metal_shm_properties *ret);

#ifdef __cplusplus
}
#endif
#endif
