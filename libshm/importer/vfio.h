/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the importer vfio share. */
#ifndef SHM_VFIO_H
#define SHM_VFIO_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <shm/device.h>

#include "iova.h"

#define SHM__PCI_NAME 24 /* bytes of "0000:00:03.0" in its longest form, with the NUL */

struct shm__vfio_container;
struct shm__vfio_group;

/* Memory in an IOMMU, and so in reach of every device of its container. */
struct shm__vfio_mapping {
	struct shm__iova iova;
	uint64_t size;
	struct metal_shm_segment segment;
	void *address;                  /* of the attachment's first byte */
	struct shm__vfio_mapping *next; /* among those that the kernel didn't undo */
};

/* What there is to map; whole pages. */
struct shm__vfio_bytes {
	void *address;
	uint64_t size;
	bool writable; /* by devices */
	uint64_t last; /* address that the device reaches */
};

/* vfio_group.c: a PCI device's group, opened once in the process, in a container. 0 or -errno. */
int shm__vfio_group_get(const char *pci, struct shm__vfio_group **ret_group);
void shm__vfio_group_put(struct shm__vfio_group *group);
int shm__vfio_group_device(const struct shm__vfio_group *group, const char *pci);
struct shm__vfio_container *shm__vfio_container_of(const struct shm__vfio_group *group);

/* vfio_container.c: the addresses of the devices that share an IOMMU's tables. */
int shm__vfio_container_new(int group_fd, const char *pci,
			    struct shm__vfio_container **ret_container);
/* Let a group in. False: the kernel doesn't let it, and nothing changed. */
bool shm__vfio_container_join(struct shm__vfio_container *container, int group_fd);
void shm__vfio_container_free(struct shm__vfio_container *container);
int shm__vfio_map(struct shm__vfio_container *container, const char *name,
		  const struct shm__vfio_bytes *bytes, uint64_t *cursor,
		  struct shm__vfio_mapping *mapping);
/* Ends the mapping and its record; where the kernel doesn't undo it, its addresses stay taken. */
void shm__vfio_unmap(struct shm__vfio_container *container, const char *name,
		     struct shm__vfio_mapping *mapping);

/* vfio_memory.c: 0 where the kernel can pin such memory; -ENOTSUP or -EACCES with the reason. */
int shm__vfio_check_descriptor(const char *name, const struct metal_shm_memory *memory);
int shm__vfio_check_addresses(const char *name, const void *address, size_t size);
/* Why the kernel refused to map @size bytes, in words. */
int shm__vfio_map_failed(const char *name, uint64_t size, int error);

/* vfio_registers.c: what a program needs to drive the device. */
struct shm__vfio_irqs {
	int epoll; /* the device's poll handle */
	unsigned kind, count;
	int *event; /* a descriptor for each vector */
	void (*happened)(struct metal_device *dev, unsigned vector, uint64_t times, void *user);
	void *user;
};

#define SHM__VFIO_REGIONS 9 /* of a PCI device: BARs, ROM, configuration, VGA */

struct shm__vfio_device {
	char name[128];
	int fd;
	struct shm__vfio_group *group;
	struct shm__vfio_container *container;
	uint64_t last;           /* address that it reaches */
	_Atomic uint64_t cursor; /* where the search for free addresses goes on */
	pthread_mutex_t lock;    /* all below */
	struct {
		void *address;
		size_t size;
	} region[SHM__VFIO_REGIONS];
	struct shm__vfio_irqs irqs;
};

extern const struct metal_shm_device_ops shm__vfio_ops;
int shm__vfio_switch_on(const struct shm__vfio_device *vfio);
int shm__vfio_dispatch(struct metal_device *dev);
void shm__vfio_silence(struct shm__vfio_device *vfio);
void shm__vfio_unmap_regions(struct shm__vfio_device *vfio);

#endif
