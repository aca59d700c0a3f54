/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file vfio.h
 * PCI devices that the program drives itself, behind an IOMMU.
 *
 * metal_shm_device_open("vfio:0000:00:03.0,address_bits=28", &dev) opens one that vfio-pci has;
 * address_bits is how many bits the addresses of its DMA have, which only its maker knows. It answers
 * -ENOENT no such device; -ENOTSUP no IOMMU; -ENODEV no driver, so not vfio-pci; -EBUSY another driver has
 * it, or a device of its IOMMU group, or another process has the group; -EACCES no rights. The device's
 * memory and its bus mastering are on then: until something is attached the IOMMU lets nothing through.
 *
 * metal_shm_attach() maps a buffer or part, in whole pages, at addresses that the device reaches, and
 * metal_shm_device_address() tells them; metal_shm_detach() unmaps it. What is mapped is in reach of all
 * devices that the process has in the same VFIO container, which are as many as the kernel lets share one.
 * Memory of anon, memfd and udmabuf, and of metal_shm_wrap(), can be mapped; of others -ENOTSUP. Beside
 * what metal_shm_attach() says, -ENOSPC: no addresses left, or no mappings (dma_entry_limit); -ENOMEM: the
 * reason says if it was RLIMIT_MEMLOCK. docs/vfio.md shows a program.
 *
 * The conventions of shm.h hold.
 */
#ifndef METAL_SHM_VFIO_H
#define METAL_SHM_VFIO_H

#include <shm/shm.h>

#ifdef __cplusplus
extern "C" {
#endif

/** metal_shm_vfio_interrupts(): the numbers that linux/vfio.h has for them. */
enum metal_shm_vfio_interrupt {
	METAL_SHM_VFIO_INTX = 0,
	METAL_SHM_VFIO_MSI = 1,
	METAL_SHM_VFIO_MSIX = 2,
};

/**
 * The device's VFIO descriptor, for whatever libshm has no call for.
 *
 * Its configuration, port regions and reset are reached by it. Source: the kernel's linux/vfio.h.
 *
 * @param dev  an open vfio device
 * @return a descriptor that stays the device's; -EINVAL another kind of device
 */
int metal_shm_vfio_fd(struct metal_device *dev);

/**
 * Map a region of the device: its registers, or memory of its own.
 *
 * Mapped once, and from then on until the device's end, which comes with its last view.
 *
 * @param dev          an open vfio device
 * @param index        0 to 5 for BARs 0 to 5
 * @param ret_address  receives the address of its first byte
 * @param ret_size     receives how many bytes it has
 * @return 0; -EINVAL; -ENOTSUP there is no such region, or it can't be mapped (ports: use the
 *         descriptor); -ENOMEM; or the error of the system call
 */
int metal_shm_vfio_region(struct metal_device *dev, unsigned index, volatile void **ret_address,
			  size_t *ret_size);

/**
 * Have a function called for each interrupt.
 *
 * metal_shm_device_dispatch() calls it, and so does every call of the library that waits for the device,
 * in the thread that does: there it asks the device what is done, and says so by metal_shm_unhold(). It
 * must not wait. Threads that dispatch at once may run it at once. A line interrupt (INTx) is let through
 * again when it returns, so it must have made the device lower the line.
 *
 * @param dev       an open vfio device
 * @param kind      an enum metal_shm_vfio_interrupt that it has
 * @param count     vectors from 0 on, which replace those there were; 0: no more interrupts, and
 *                  @p happened isn't called for those that dispatch hasn't seen yet
 * @param happened  the function: the vector, and how often since it was called last; NULL if count is 0
 * @param user      passed to it
 * @return 0; -EINVAL also for @p happened NULL with a count; -ERANGE it has fewer vectors of that kind (the
 *         reason says how many); -ENOMEM; -EMFILE; or the error of the system call. There are no
 *         interrupts any more then
 */
int metal_shm_vfio_interrupts(struct metal_device *dev, unsigned kind, unsigned count,
			      void (*happened)(struct metal_device *dev, unsigned vector,
					       uint64_t times, void *user),
			      void *user);

#ifdef __cplusplus
}
#endif
#endif
