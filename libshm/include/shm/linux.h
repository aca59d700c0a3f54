/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file linux.h
 * What only Linux has: descriptors.
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
 * descriptor (vivid does), so the library refuses to hand it over for writing.
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
 * The descriptor to poll for a device's events.
 *
 * When it is readable (or reports an error) call metal_shm_device_dispatch().
 *
 * @param dev  an open device
 * @return a descriptor that stays the device's; -EINVAL; -ENOTSUP it has no events
 */
int metal_shm_device_poll_fd(struct metal_device *dev);

#ifdef __cplusplus
}
#endif
#endif
