/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file device.h
 * For writers of sources (devices that give memory) and importers (devices that use it).
 *
 * A device is one file that fills one table of operations and calls metal_shm_device_create().
 * docs/writing-a-device.md walks through one. Operations are called with none of libshm's locks
 * held, except where a text says otherwise, and from any thread: a device guards its own state.
 * Operations answer 0 or -errno and say why through metal_shm_set_error(). The conventions of shm.h
 * hold for the functions.
 */
#ifndef METAL_SHM_DEVICE_H
#define METAL_SHM_DEVICE_H

#include <shm/frame.h>
#include <shm/shm.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Bytes of a memory. */
struct metal_shm_range {
	uint64_t offset;
	uint64_t length;
};

/** A memory, as its source made it. */
struct metal_shm_memory {
	void *data;    /**< the source's own */
	size_t size;   /**< bytes, at least what was asked for */
	int os_handle; /**< the source's descriptor for it, or -1 */
};

/** Who moves the bytes of an attachment: it decides about caches. Unknown means no elision. */
enum metal_shm_access {
	METAL_SHM_ACCESS_UNKNOWN = 0,
	METAL_SHM_ACCESS_DMA,        /**< hardware, past the CPU's cache */
	METAL_SHM_ACCESS_CPU_KERNEL, /**< a driver that maps the buffer and uses the CPU (vivid, vkms) */
	METAL_SHM_ACCESS_CPU_USER, /**< the CPU in user space (PoCL, a software camera) */
	/** hardware that sees what the CPU's caches hold, on evidence (dma_need_sync() said no) */
	METAL_SHM_ACCESS_DMA_COHERENT,
};

/** metal_shm_constraints: a memory from its first byte; a part that begins elsewhere it can't use. */
#define METAL_SHM_NEEDS_WHOLE (1u << 0)

/**
 * What a device needs of memory. A field left 0 needs nothing. Those of addresses and segments are as the
 * device sees them, and a view that isn't so is refused. metal_shm_allocate_for() looks first at sources that
 * promise so few segments, and at each buffer itself.
 */
struct metal_shm_constraints {
	uint32_t struct_size;
	metal_shm_type required;     /**< METAL_SHM_* flags */
	uint64_t address_mask;       /**< device addresses it can reach */
	uint64_t max_segment_length; /**< bytes */
	uint64_t segment_boundary;   /**< bytes, a power of two that no segment crosses */
	uint64_t address_alignment;  /**< bytes, a power of two */
	uint64_t size_alignment;     /**< bytes */
	uint64_t trial_size;         /**< bytes that its trial operation needs at least */
	uint32_t max_segments;       /**< 1: contiguous as the device sees it */
	uint32_t flags;              /**< METAL_SHM_NEEDS_* */
	/** What its views will answer: where it isn't known before, a part may be copied in vain. */
	enum metal_shm_access access;
};

/** metal_shm_layout: planes follow one another without a gap, as in V4L2's single-planar formats. */
#define METAL_SHM_LAYOUT_PACKED (1u << 0)
/** metal_shm_layout: the stride is stride_min and nothing else. */
#define METAL_SHM_LAYOUT_STRIDE_FIXED (1u << 1)

/** What a device asks of a frame's layout. A field left 0 asks nothing. */
struct metal_shm_layout {
	uint32_t struct_size;
	uint32_t flags;            /**< METAL_SHM_LAYOUT_* */
	uint32_t stride_alignment; /**< bytes that each plane's stride is a multiple of */
	uint32_t stride_min;       /**< bytes, of plane 0 */
	uint32_t stride_max;       /**< bytes, of plane 0 */
	uint32_t reserved;
	uint64_t offset_alignment; /**< bytes that each plane's offset is a multiple of */
	uint64_t size_min;         /**< bytes of the whole frame */
	const uint64_t
		*modifiers; /**< that it takes, the device's for its life; NULL: linear only */
	size_t modifier_count;
};

/**
 * What is attached. Valid from attach to the end of detach. Memory and range are what the device works
 * on: for a part that it can't use where it is, another memory, which the core copies to and from.
 */
struct metal_shm_attachment {
	struct metal_generic_shm *shm;         /**< the view itself */
	const struct metal_shm_memory *memory; /**< the whole memory */
	struct metal_shm_range range;          /**< the part of it that the view stands for */
	const struct metal_shm_frame *frame;   /**< or NULL */
};

/** metal_shm_view: the device puts fences on the DMA-BUF, so hand-overs poll it. */
#define METAL_SHM_VIEW_FENCES (1u << 0)
/**
 * metal_shm_view: the device works on copies of the bytes that are its alone (its addresses are not the
 * memory's, and no IOMMU stands between). No other device then shares them, but for those that move bytes
 * with the CPU: the second attach fails.
 */
#define METAL_SHM_VIEW_BOUNCES (1u << 1)

/** What an importer answers to attach. */
struct metal_shm_view {
	void *data; /**< the importer's own; see metal_shm_view_data() */
	const struct metal_shm_segment *segments; /**< the importer's, until detach; or NULL */
	size_t segment_count;
	enum metal_shm_access access;
	enum metal_shm_view_mode mode; /**< preset to METAL_SHM_VIEW_IN_PLACE */
	uint32_t flags;                /**< METAL_SHM_VIEW_* */
	uint32_t reserved;
};

/** The operations of a device. Use named initialisers; registration refuses a half-filled table. */
struct metal_shm_device_ops {
	size_t struct_size;

	/* Gives memory: allocate, release and properties, or none of them. */

	/** Take @p size bytes that meet @p type, or refuse; never less than asked. */
	int (*allocate)(struct metal_device *dev, size_t size, metal_shm_type type,
			struct metal_shm_memory *ret_memory);
	/** Give it back. Called without a mapping or attachment left. */
	void (*release)(struct metal_device *dev, struct metal_shm_memory *memory);
	/** What the memory is; what every memory of the device is where @p memory is NULL. */
	int (*properties)(struct metal_device *dev, const struct metal_shm_memory *memory,
			  struct metal_shm_properties *ret);
	/** Map all of it for the CPU; with unmap. Absent: the CPU can't map it. */
	int (*map)(struct metal_device *dev, struct metal_shm_memory *memory, int prot,
		   void **ret_address);
	void (*unmap)(struct metal_device *dev, struct metal_shm_memory *memory, void *address,
		      size_t length);
	/**
	 * Cache maintenance of @p range, or of all of the memory where properties.sync_granule is 0
	 * (then @p range is all of it); else what is synced may exceed it by less than a granule.
	 * Before the CPU touches it (@p dir _DEV_W: devices wrote it; _DEV_R: the CPU will write) and
	 * after (_DEV_R: the CPU wrote). Both or neither; absent: none is ever needed. Called with
	 * the buffer locked.
	 */
	int (*sync_for_cpu)(struct metal_device *dev, struct metal_shm_memory *memory,
			    const struct metal_shm_range *range, enum metal_shm_dir dir);
	int (*sync_for_device)(struct metal_device *dev, struct metal_shm_memory *memory,
			       const struct metal_shm_range *range, enum metal_shm_dir dir);

	/**
	 * Export @p range of @p memory once more, by itself: another memory over the same bytes, whose syncs
	 * act on them alone. @p range begins at a multiple of properties.granularity and ends at one or with
	 * the memory. Ended by release, before the memory is. Optional, with both syncs. Called with the
	 * buffer locked, or not.
	 */
	int (*window)(struct metal_device *dev, struct metal_shm_memory *memory,
		      const struct metal_shm_range *range, struct metal_shm_memory *ret_window);

	/* Uses memory: constraints, attach and detach, or none of them. */

	/** What it needs of memory (@p frame may be NULL). *ret is zeroed but for its struct_size. */
	int (*constraints)(struct metal_device *dev, const struct metal_shm_frame *frame,
			   struct metal_shm_constraints *ret);
	/**
	 * Make the range usable. Attachments and detachments of one memory come one at a time: a view
	 * that ends meanwhile, by work that this operation dispatches too, is detached after it.
	 */
	int (*attach)(struct metal_device *dev, const struct metal_shm_attachment *at,
		      struct metal_shm_view *ret_view);
	/** Undo it. What the CPU wrote was written back before. No queued work has the bytes. */
	void (*detach)(struct metal_device *dev, const struct metal_shm_attachment *at,
		       struct metal_shm_view *view);

	/* Optional. */

	/**
	 * What it asks of a frame of @p frame's fourcc, width and height, the other fields being the
	 * proposal so far (plane[0].stride 0 in the first round). Absent: no opinion.
	 */
	int (*layout)(struct metal_device *dev, const struct metal_shm_frame *frame,
		      struct metal_shm_layout *ret);
	/** Really use @p shm, which is attached, once: stream, commit, run a kernel. 0: it works. */
	int (*trial)(struct metal_device *dev, struct metal_generic_shm *shm);
	/**
	 * Tell the device that a range is its; it ends with metal_shm_unhold(). An error: the device touches
	 * nothing of it, and the program has what it had before.
	 */
	int (*give)(struct metal_device *dev, struct metal_shm_view *view,
		    const struct metal_shm_range *range, enum metal_shm_dir dir);
	/**
	 * Somebody waits for @p range of a memory that queued work or a give keeps: ask for it back, without
	 * waiting; metal_shm_unhold() says that it came. Called again each time that the waiter looks and it
	 * isn't there; an error ends its wait. Absent: the work ends by itself.
	 */
	int (*recall)(struct metal_device *dev, const struct metal_shm_memory *memory,
		      const struct metal_shm_range *range);
	/** The descriptor that is readable when dispatch has something to do. Constant. */
	int (*poll_handle)(struct metal_device *dev);
	/** Handle events without blocking; calls metal_shm_unhold() for what is done. */
	int (*dispatch)(struct metal_device *dev);
	/** The program closed it: stop working, so that nothing of it stays held. */
	void (*shutdown)(struct metal_device *dev);
	/** The last buffer and view are gone: free what metal_shm_device_create() was given. */
	void (*close)(struct metal_device *dev);
};

/** A way to open devices by name. */
struct metal_shm_driver {
	size_t struct_size;
	const char *scheme; /**< what stands before ':' */
	/** Open SCHEME:rest; @p rest is "" for a bare scheme. */
	int (*open)(const char *rest, struct metal_device **ret_dev);
	/** Name each source it could open, cheapest first, until @p found answers non-zero, which it
	 *  then answers itself. Absent: metal_shm_allocate_for() never chooses it unasked. */
	int (*enumerate)(int (*found)(void *user, const char *name), void *user);
	unsigned
		rank; /**< cost of its memory; lower is tried first; 10 memfd, 20 udmabuf, 30 heaps */
};

/**
 * Register a driver for a scheme.
 *
 * Adapter libraries do it from a constructor. The second driver of a scheme is refused.
 *
 * @param driver  lives as long as the process
 * @return 0; -EINVAL half-filled; -EEXIST; -ENOSPC more than 32
 */
int metal_shm_driver_register(const struct metal_shm_driver *driver);

/**
 * Make a device.
 *
 * @param ops      lives as long as the device
 * @param name     for messages, as it would be opened; copied, at most 127 bytes
 * @param data     the device's own
 * @param ret_dev  receives it; ended with metal_shm_device_close(), which leads to ops->close
 * @return 0; -EINVAL NULL, or a half-filled table (the reason names what is missing); -ENOMEM
 */
int metal_shm_device_create(const struct metal_shm_device_ops *ops, const char *name, void *data,
			    struct metal_device **ret_dev);

/**
 * What a device was made with.
 *
 * @param dev  a device, also one that is closing
 * @param ops  the table it must have been made with
 * @return data; NULL with errno EINVAL for another kind of device
 */
void *metal_shm_device_data(const struct metal_device *dev, const struct metal_shm_device_ops *ops);

/**
 * An importer's data for a handle's range.
 *
 * @param shm  any handle
 * @param dev  the importer
 * @return struct metal_shm_view's data; NULL with errno ENOTCONN (the range was never attached) or
 *         EINVAL
 */
void *metal_shm_view_data(struct metal_generic_shm *shm, const struct metal_device *dev);

/**
 * Hand bytes to a device whose work is being queued: they are its until metal_shm_unhold().
 *
 * What an adapter's verb calls first, without locks of its own held: while it waits for others'
 * conflicting work it dispatches devices, its own too. Holds of one device on one buffer are counted
 * and never conflict.
 *
 * @param shm         any handle attached to @p dev
 * @param dev         the importer
 * @param dir         what the queued work does
 * @param timeout_ns  nanoseconds; 0 polls; METAL_SHM_FOREVER
 * @return as metal_shm_sync_for_device_timeout()
 */
int metal_shm_hold(struct metal_generic_shm *shm, struct metal_device *dev, enum metal_shm_dir dir,
		   int64_t timeout_ns);

/**
 * Say that queued work is done.
 *
 * The bytes stay the device's, without work, until the next hand-over. Call it without locks of your
 * own: it may lead to the idle callback of the buffer's pool, and to a detach that waited for it.
 *
 * @param shm    the handle that was held, or any of the same buffer
 * @param dev    the importer
 * @param error  0; or the -errno that the next owner shall get (the bytes are undefined)
 * @return 0; -EINVAL @p dev doesn't hold it
 */
int metal_shm_unhold(struct metal_generic_shm *shm, struct metal_device *dev, int error);

/**
 * Write back what the CPU may have written, before a driver drops its mapping of the buffer.
 *
 * Unmapping reads the device's side back over the CPU's (measured on bounced memory), so an adapter
 * calls this for each buffer before an operation that unmaps (REQBUFS(0), closing a GEM handle). For
 * detach the core has done it.
 *
 * @param shm  any handle
 * @return 0; -EINVAL; or the error of the cache operation
 */
int metal_shm_settle(struct metal_generic_shm *shm);

/**
 * Map a view's bytes for an importer that works on the CPU in user space.
 *
 * A mapping of its own, apart from metal_shm_map()'s. It is always one of the whole memory, so that an
 * importer which needs a page's or a buffer's start may go back to it: the memory's first byte lies
 * at->range.offset bytes before the address that is answered, and at->memory->size bytes from there on
 * are mapped. Only from attach on and undone in detach.
 *
 * @param at           the attachment
 * @param prot         METAL_SHM_READ, METAL_SHM_WRITE or both
 * @param ret_address  receives the address of the range's first byte
 * @return 0; -ENOTSUP the memory can't be mapped; -EACCES; -ENOMEM
 */
int metal_shm_importer_map(const struct metal_shm_attachment *at, int prot, void **ret_address);

/**
 * Undo metal_shm_importer_map().
 *
 * @param at       the same attachment
 * @param address  what it answered
 */
void metal_shm_importer_unmap(const struct metal_shm_attachment *at, void *address);

/**
 * Give a pool's idle frames to a device by themselves (a camera that refills its queue).
 *
 * From then on each frame that nobody references and no work has goes to @p idle with one reference,
 * which it ends by metal_shm_free(); those idle now at once. @p idle runs in whatever thread made the
 * frame idle, metal_shm_free() included, in several at once if need be, never inside itself: it must
 * not block, and must tolerate the pool's destruction having begun. A frame that it gives back itself,
 * unused, is offered again with the next that comes back. A pool that was destroyed may still be named to end it, and must: its record stays
 * until then.
 *
 * @param pool  a pool that @p dev is a device of
 * @param dev   the device
 * @param idle  the callback; NULL ends it for @p dev
 * @return 0; -EINVAL also for another pool's device, or to begin on a destroyed pool; -EBUSY another
 *         device feeds from the pool
 */
int metal_shm_pool_feed(struct metal_shm_pool *pool, struct metal_device *dev,
			void (*idle)(struct metal_device *dev, struct metal_generic_shm *shm));

/**
 * Wait until a buffer comes back to a pool, dispatching the pool's devices meanwhile.
 *
 * For a device that can do nothing until another gives it a frame. It counts what comes back during the
 * call, and whoever feeds from the pool may have it by then: what the caller waits for it must look at
 * after each call, and its idle callback must make @p borrow_fd readable for a call that is on its way.
 * A call sleeps until then; it neither polls nor reads the clock in between. Several threads may wait,
 * each wakes. Call it without locks of your own.
 *
 * @param pool        a pool, which must stay meanwhile: it does as long as the device feeds from it
 * @param borrow_fd   a descriptor that ends the wait when it is readable or fails, stays the caller's and
 *                    is not read; -1: none
 * @param timeout_ns  nanoseconds; 0 dispatches once; METAL_SHM_FOREVER
 * @return 0; -ETIMEDOUT; -EINVAL not a pool; -EMFILE no descriptor left to wait with; or the error of the
 *         system call
 */
int metal_shm_pool_wait(struct metal_shm_pool *pool, int borrow_fd, int64_t timeout_ns);

/**
 * The pool that a buffer is of.
 *
 * For a device that is given a pool and asks whether what is attached to it comes from there. Takes the
 * buffer's lock; any thread may call it.
 *
 * @param shm  any handle
 * @return the pool, while the buffer is of it; NULL with errno ENODATA (none, or it was destroyed) or
 *         EINVAL
 */
struct metal_shm_pool *metal_shm_pool_of(const struct metal_generic_shm *shm);

/**
 * The frame that a pool's buffers are.
 *
 * @param pool  a pool
 * @return as negotiated, valid as long as the pool; NULL with errno EINVAL or ENODATA (none)
 */
const struct metal_shm_frame *metal_shm_pool_frame(const struct metal_shm_pool *pool);

/**
 * Count bytes that an adapter moved with the CPU, so that a claim of zero copies stays true.
 *
 * @param shm    any handle
 * @param dev    the adapter's device
 * @param bytes  how many
 */
void metal_shm_count_copied(struct metal_generic_shm *shm, struct metal_device *dev,
			    uint64_t bytes);

/**
 * Leave a reason for this thread's metal_shm_last_error() and set errno.
 *
 * @param error   an errno value, positive
 * @param format  printf's, one line without a newline
 * @return -error, so that a caller can return it
 */
int metal_shm_set_error(int error, const char *format, ...)
#if defined(__GNUC__)
	__attribute__((format(printf, 2, 3)))
#endif
	;

#ifdef __cplusplus
}
#endif
#endif
