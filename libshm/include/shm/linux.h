/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file linux.h
 * What only Linux has: descriptors, and other processes.
 *
 * The conventions of shm.h hold. Every descriptor made here is close-on-exec.
 */
#ifndef METAL_SHM_LINUX_H
#define METAL_SHM_LINUX_H

#include <shm/shm.h>

#ifdef __cplusplus
extern "C" {
#endif

/** metal_shm_export(): refuse unless the descriptor is a true DMA-BUF. */
#define METAL_SHM_EXPORT_DMABUF (1u << 0)

/**
 * Get a descriptor for a buffer's memory: a DMA-BUF, or a sealed memfd for memory of that source.
 *
 * From then on libshm takes it that others may map the memory. Source: the kernel's
 * Documentation/driver-api/dma-buf.rst.
 *
 * @param shm    a handle of a whole buffer
 * @param flags  METAL_SHM_EXPORT_DMABUF or 0
 * @return a descriptor of the caller's, close it with close(); -EINVAL; -ENOTSUP a part (a
 *         descriptor has no offset), memory without a descriptor, or not a true DMA-BUF though asked
 *         for; -EMFILE, -ENFILE
 */
int metal_shm_export(struct metal_generic_shm *shm, uint32_t flags);

/**
 * Make a buffer of memory that another library or process allocated.
 *
 * The same memory imported twice is one buffer: the same handle, one more reference. What a read-only
 * descriptor gave neither the CPU nor a device may write: some kernel drivers write through such a
 * descriptor (vivid does), so the library refuses to hand it over for writing. A memfd sealed with F_SEAL_WRITE or
 * F_SEAL_FUTURE_WRITE is the same.
 *
 * @param borrow_fd  a DMA-BUF or memfd; stays the caller's
 * @param offset     bytes from the memory's start
 * @param size       bytes; 0 for all from @p offset on. A range other than the whole gives a part
 * @return a buffer or part with one reference; NULL with errno EINVAL (not a handle's worth of
 *         memory: a file, a socket, a pipe), EBADF (closed), ERANGE (outside the memory; the reason
 *         gives its size), EACCES (opened for writing only), ENOMEM, EMFILE
 */
struct metal_generic_shm *metal_shm_import(int borrow_fd, uint64_t offset, size_t size);

/**
 * Get a fence that signals when the work that is queued on a buffer's memory is done.
 *
 * For somebody outside the library who waits by fences: EGL, Vulkan, a compositor. It tells of what the
 * kernel knows when it is made: drivers' own fences and those of metal_shm_import_fence(), on all of the
 * memory. It says nothing of caches, so hand the bytes to a device first. Source: the kernel's
 * DMA_BUF_IOCTL_EXPORT_SYNC_FILE.
 *
 * @param shm  any handle of a DMA-BUF
 * @param dir  what the one who waits will do: _DEV_R waits for writers, the others for readers too
 * @return a sync_file of the caller's, close it with close(), signalled at once where there is nothing to
 *         wait for; -EINVAL; -ENOTSUP the memory is not a DMA-BUF, the kernel is older than 6.0, or queued
 *         work of a device that puts no fence there stands against @p dir (V4L2, a frame on a screen,
 *         OpenCL on a CPU: the reason names it; metal_shm_device_poll_fd() tells of its end); -EMFILE,
 *         -ENFILE
 */
int metal_shm_export_fence(struct metal_generic_shm *shm, enum metal_shm_dir dir);

/**
 * Say that a device's work on bytes that it has is done when a fence signals.
 *
 * From then on whoever takes bytes of the memory waits for the fence, in this library, in the kernel and
 * in other processes; readers don't wait for a reader's. If it ends with an error, which the library looks
 * at when it is signalled, the next owner who would read the bytes of a writer gets -EIO or -ENODEV, as
 * metal_shm_unhold() with an error does. The wait for a fence that never signals ends at the timeout of
 * the call that waits, and changes nothing. The memory may be freed meanwhile.
 * Source: the kernel's DMA_BUF_IOCTL_IMPORT_SYNC_FILE.
 *
 * @param shm        any handle of a DMA-BUF attached to @p dev, which has its bytes for @p dir: after
 *                   metal_shm_sync_for_device(), and before anybody else takes them
 * @param dev        the device
 * @param dir        what the work does
 * @param borrow_fd  a sync_file; stays the caller's
 * @return 0; -EBADF it is closed; -EINVAL it is not a sync_file, or @p dev doesn't have the bytes;
 *         -ENOTCONN not attached to @p dev; -ENOTSUP the memory is not a DMA-BUF, the kernel is older than
 *         6.0, or @p dev has a copy of the part; -EBUSY 16 fences of the memory are not signalled yet;
 *         -ENOMEM, -EMFILE
 */
int metal_shm_import_fence(struct metal_generic_shm *shm, struct metal_device *dev,
			   enum metal_shm_dir dir, int borrow_fd);

/**
 * Send a buffer to another process, once and for all.
 *
 * The other process gets it by metal_shm_receive(). Nothing is said of who may touch the bytes, then or
 * later: the two have their own way for that. metal_shm_peer_open() is for hand-overs.
 *
 * @param borrow_socket  a connected SOCK_SEQPACKET socket of AF_UNIX that is not a peer's; stays the
 *                       caller's. Blocks as it is set to
 * @param shm            any handle of a DMA-BUF, or of a memfd sealed against shrinking; of a part its bytes
 *                       alone are named, though all of the memory's can be reached. What may only be read here
 *                       may only be read there
 * @return 0; -EINVAL, -ENOTSOCK, -ENOTCONN not such a socket; -ENOTSUP the memory has no descriptor, or may
 *         shrink; -EPIPE the other side is closed; -EAGAIN; or what the socket says
 */
int metal_shm_send(int borrow_socket, struct metal_generic_shm *shm);

/**
 * Receive a buffer from another process.
 *
 * What the memory is, and how large, is asked of the descriptor itself. Pairs with metal_shm_send().
 *
 * @param borrow_socket  as there
 * @param ret_shm        receives a buffer or part with one reference; the same handle as before where this
 *                       process has the memory already
 * @return 0; -EINVAL, -ENOTSOCK, -ENOTCONN not such a socket; -ENODATA the other side has closed it; -EBADMSG
 *         something else came; -ENOTSUP, -ERANGE a descriptor that is not such memory, or has fewer bytes
 *         than were named; -EAGAIN; -ENOMEM, -EMFILE; or what the socket says
 */
int metal_shm_receive(int borrow_socket, struct metal_generic_shm **ret_shm);

/**
 * Make a device of another process, which has done the same with the other end of a socket.
 *
 * Either side shares its buffers by attaching them: metal_shm_attach() of a buffer or part tells the other
 * process of the memory, once, metal_shm_sync_for_device() gives it the bytes, and metal_shm_sync_for_cpu() waits
 * until they are returned. There they come out of metal_shm_peer_next(). Both may be said before the other process
 * is there. The bytes are never copied. Parts of one memory are given and returned one by one, each as it is
 * attached; no byte twice at a time (-EBUSY). The other process can reach what it isn't given.
 *
 * If the other process dies or closes its end, what it holds is the program's at once, and its next owner
 * gets -ENODEV, likewise whoever attaches or gives; the descriptor of metal_shm_device_poll_fd() is readable,
 * and metal_shm_device_dispatch() answers -ENODEV. Whatever it says is checked, and what it shares is judged
 * by its descriptor alone: memory that may shrink, or that this process has from elsewhere, is refused. It can hang
 * on to bytes that it was given: waiting has timeouts.
 *
 * Memory whose descriptor is open for reading only, or that is sealed against writing, is shared to be read: it is
 * given with METAL_SHM_DIR_DEV_R alone (else -EACCES), and over there it is mapped for reading and handed to nobody
 * for writing. That keeps honest programs from mistakes; others open a memfd anew, which seals alone forbid.
 * The records on the socket: docs/coprocessor-protocol.md.
 *
 * @param take_socket  a connected SOCK_SEQPACKET socket of AF_UNIX; libshm's on success, the caller's
 *                     otherwise. It becomes close-on-exec
 * @param ret_dev      receives the device, "peer:PID" by name; closing it ends all that was shared
 * @return 0; -EINVAL, -ENOTSOCK, -ENOTCONN not such a socket; -ENOMEM
 */
int metal_shm_peer_open(int take_socket, struct metal_device **ret_dev);

/**
 * Say what the other process needs of memory: what its own devices ask for, or a third program's behind it.
 *
 * The records on the socket don't tell, since a program may open its devices at any time. The two programs agree
 * on it by messages or by their options. From then on memory that is chosen for @p dev among others, by
 * metal_shm_allocate_for() or for a pool, is of that kind, and other memory isn't attached to it (-ENOTSUP).
 *
 * @param dev   a device of metal_shm_peer_open()
 * @param type  METAL_SHM_* flags; 0, as at first: any memory that can be shared
 * @return 0; -EINVAL
 */
int metal_shm_peer_needs(struct metal_device *dev, metal_shm_type type);

/** Bytes that a message between processes has at most. */
#define METAL_SHM_PEER_MESSAGE 472u

/** What came from another process. Set struct_size before the call. */
struct metal_shm_peer_event {
	uint32_t struct_size;
	/** given: what this process may do with the bytes until it returns them; a message: 0 */
	uint32_t dir;
	/** the buffer or part that was given, with a reference; NULL: a message came */
	struct metal_generic_shm *shm;
	uint32_t size; /**< bytes of the message */
	uint8_t data[METAL_SHM_PEER_MESSAGE];
};

/**
 * Take what the other process gave or said next, in the order in which it did.
 *
 * What was given is like a frame that was dequeued: the program takes it by metal_shm_sync_for_cpu(), or hands
 * it to another device; it returns it by metal_shm_sync_for_device(shm, dev, METAL_SHM_DIR_DEV_RW), and
 * ends the reference by metal_shm_free(). It is returned as it was given: all of these bytes at once, by this
 * handle. The same buffer or part comes as the same handle again, a part as long as the other process divides the
 * bytes in the same way. Bytes that the other process has not given are its: metal_shm_sync_for_cpu() of them waits,
 * and returning them is -EBUSY (-ENOTCONN where it divides them in another way by now).
 *
 * @param dev         a device of metal_shm_peer_open()
 * @param timeout_ns  nanoseconds; 0 polls; METAL_SHM_FOREVER
 * @param ret_event   struct_size set by the caller, the rest filled
 * @return 0; -ETIMEDOUT; -ENODEV the other process has ended, and all that it gave or said before was taken;
 *         -EPROTONOSUPPORT it speaks another version; -EINVAL; -EMFILE no descriptor left to wait with
 */
int metal_shm_peer_next(struct metal_device *dev, int64_t timeout_ns,
			struct metal_shm_peer_event *ret_event);

/**
 * Say something to the other process.
 *
 * It arrives in order with what is given: what is said of a frame first is there before the frame. Never
 * blocks; what the other process has no room for is sent when it has.
 *
 * @param dev   a device of metal_shm_peer_open()
 * @param data  the program's own
 * @param size  bytes, 1 to METAL_SHM_PEER_MESSAGE
 * @return 0; -EINVAL; -ENODEV the other process has ended; -ENOMEM
 */
int metal_shm_peer_say(struct metal_device *dev, const void *data, size_t size);

/**
 * Return what was given, and say that the work failed.
 *
 * As metal_shm_sync_for_device(shm, dev, METAL_SHM_DIR_DEV_RW), but the next owner over there gets -EIO.
 *
 * @param shm  the buffer or part that was given
 * @param dev  the device that gave it
 * @return as there; -EINVAL @p dev shares no such bytes
 */
int metal_shm_peer_fail(struct metal_generic_shm *shm, struct metal_device *dev);

/**
 * Ask for bytes back that the other process was given, before it is through with them.
 *
 * Its program hears of it by metal_shm_peer_on_recall() and returns them or doesn't: metal_shm_sync_for_cpu()
 * waits as ever. Nothing is asked where the bytes were returned meanwhile.
 *
 * @param shm  the buffer or part that was given
 * @param dev  the device that it was given to
 * @return 0; -EINVAL also for bytes that are the other process's; -ENOTCONN not attached to @p dev; -ENODEV the
 *         other process has ended; -ENOMEM
 */
int metal_shm_peer_recall(struct metal_generic_shm *shm, struct metal_device *dev);

/**
 * Say who hears that the other process wants bytes back.
 *
 * @p recalled is called while somebody dispatches the device, in whatever thread that is, for each buffer or part
 * that was given and not returned; it may return it. It may call nothing that waits for @p dev, nor close it.
 *
 * @param dev       a device of metal_shm_peer_open()
 * @param recalled  the function, which does not end the reference; NULL: nobody, as at first
 * @param user      passed to it
 * @return 0; -EINVAL
 */
int metal_shm_peer_on_recall(struct metal_device *dev,
			     void (*recalled)(void *user, struct metal_generic_shm *shm),
			     void *user);

/**
 * Ask the other process for memory.
 *
 * It decides by what its program said with metal_shm_peer_on_request(). The memory is its, and given to this
 * process at once, as if metal_shm_peer_next() had told: it is returned in the same way, and may be given again.
 * metal_shm_peer_leave() ends its use. An answer that comes after the timeout is told by metal_shm_peer_next().
 *
 * @param dev         a device of metal_shm_peer_open()
 * @param size        bytes, at least 1; the answer may have more
 * @param type        METAL_SHM_* requirements
 * @param timeout_ns  nanoseconds; METAL_SHM_FOREVER
 * @param ret_shm     receives the buffer or part with one reference
 * @return 0; -EINVAL; -ECONNREFUSED it grants none; -ENOMEM it has none; -ENOTSUP what it gave can't be used;
 *         -EBUSY it was asked 8 times and hasn't answered; -ETIMEDOUT; -ENODEV it has ended; -EMFILE
 */
int metal_shm_peer_request(struct metal_device *dev, size_t size, metal_shm_type type,
			   int64_t timeout_ns, struct metal_generic_shm **ret_shm);

/**
 * Say who grants memory that the other process asks for.
 *
 * @p grant is called while somebody dispatches the device, in whatever thread that is; it may call nothing that
 * waits for @p dev, nor close it. The buffer that it answers with is shared and given to the other process at once,
 * for reading and writing. Its reference is the other process's from then on, and ends when that is through with it
 * or ends: a program that wants the bytes keeps a reference of its own (metal_shm_ref()) and takes them with
 * metal_shm_sync_for_cpu().
 *
 * @param dev    a device of metal_shm_peer_open()
 * @param grant  answers 0 with a buffer of at least @p size bytes that meets @p type and was not shared with
 *               @p dev before, or -errno: the other process is told that there is no memory (-ENOMEM) or that it
 *               is refused. NULL: every request is refused, as before the first call
 * @param user   passed to @p grant
 * @return 0; -EINVAL
 */
int metal_shm_peer_on_request(struct metal_device *dev,
			      int (*grant)(void *user, uint64_t size, metal_shm_type type,
					   struct metal_generic_shm **ret),
			      void *user);

/**
 * Say that this process is through with a memory that the other one shared, whatever it has of it.
 *
 * The program may not touch its bytes any more. Handles of it stay valid until they are freed.
 *
 * @param shm  a buffer or part of it that was given, returned or not
 * @param dev  the device that gave it
 * @return 0; -EINVAL @p dev shares no such bytes; -ENOTCONN not attached to @p dev; -ENODEV the other process has
 *         ended it
 */
int metal_shm_peer_leave(struct metal_generic_shm *shm, struct metal_device *dev);

/**
 * The descriptor to poll for a device's events.
 *
 * When it is readable (or reports an error) call metal_shm_device_dispatch(). So the end of any device's
 * queued work can be waited for in a loop of the program's own: after the call, a sync with a timeout of 0
 * says whether the bytes can be had.
 *
 * @param dev  an open device
 * @return a descriptor that stays the device's; -EINVAL; -ENOTSUP it has no events
 */
int metal_shm_device_poll_fd(struct metal_device *dev);

/**
 * Say who may open a device's node, and what helps who may not.
 *
 * For adapters, when the system refused it: the reason names the group to join, or the udev rule that would
 * make one. Any thread may call it, with any locks of its own.
 *
 * @param path       the node that was to be opened
 * @param subsystem  udev's word for its kind, as in "dma_heap"
 * @return -EACCES, with the reason; -EINVAL NULL
 */
int metal_shm_not_permitted(const char *path, const char *subsystem);

struct metal_shm_attachment;

/** Where bytes lie in physical memory, in their order. */
struct metal_shm_physical {
	struct metal_shm_segment *segments; /**< the library's */
	size_t segment_count;               /**< at least 1 */
	int os_handle; /**< keeps them there, for as long as it is open; or -1 */
};

/**
 * Find out where the bytes of an attachment lie in physical memory.
 *
 * For importers whose device sees physical memory and has no driver in the kernel: of the ways to a device's
 * address the last, since behind an IOMMU these are not what it sees. From attach on, and until detach, which
 * ends it. TI's /dev/dma-buf-phys is asked where there is one and the memory is one run; else
 * /proc/self/pagemap, for memory that needs no sync but its own (a udmabuf; a heap that is uncached or that
 * heaps.conf calls coherent), since no other reaches a device that the kernel hasn't attached. Never a guess:
 * what the kernel doesn't say, or may change, is an error. Sources: TI's include/uapi/linux/dma_buf_phys.h,
 * the kernel's Documentation/admin-guide/mm/pagemap.rst.
 *
 * @param at   the attachment
 * @param ret  receives the segments; end it with metal_shm_physical_put()
 * @return 0; -EINVAL; -ENOTSUP the pages may move (no DMA-BUF, or neither a heap's nor a udmabuf's), no
 *         sync would reach the device, or the CPU can't map the memory; -EPERM no CAP_SYS_ADMIN; -ENODATA
 *         nothing is shown of a page, so always of the heap system; -EACCES; -ENOMEM
 */
int metal_shm_physical_get(const struct metal_shm_attachment *at, struct metal_shm_physical *ret);

/**
 * End what metal_shm_physical_get() answered. The device may not use the addresses any more.
 *
 * @param physical  what it filled; ended twice, or NULL: nothing happens
 */
void metal_shm_physical_put(struct metal_shm_physical *physical);

#ifdef __cplusplus
}
#endif
#endif
