/* SPDX-License-Identifier: BSD-3-Clause */
/* What a program needs to drive the device: its regions and its interrupts. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include <shm/vfio.h>

#include "vfio.h"

static struct shm__vfio_device *vfio_of(struct metal_device *dev)
{
	struct shm__vfio_device *vfio = metal_shm_device_data(dev, &shm__vfio_ops);

	if (!vfio)
		metal_shm_set_error(EINVAL, "not a vfio device");
	return vfio;
}

static int failed(const struct shm__vfio_device *vfio, const char *call)
{
	return metal_shm_set_error(errno, "%s: %s: %s", vfio->name, call, strerror(errno));
}

int metal_shm_vfio_fd(struct metal_device *dev)
{
	const struct shm__vfio_device *vfio = vfio_of(dev);

	return vfio ? vfio->fd : -EINVAL;
}

/* Without these two nothing of the device can be reached, and it reaches nothing. */
int shm__vfio_switch_on(const struct shm__vfio_device *vfio)
{
	struct vfio_region_info config = { .argsz = sizeof(config),
					   .index = VFIO_PCI_CONFIG_REGION_INDEX };
	uint16_t command;
	off_t at;

	if (ioctl(vfio->fd, VFIO_DEVICE_GET_REGION_INFO, &config))
		return failed(vfio, "VFIO_DEVICE_GET_REGION_INFO of the configuration");
	at = (off_t)config.offset + PCI_COMMAND;
	if (pread(vfio->fd, &command, sizeof(command), at) != sizeof(command))
		return failed(vfio, "reading the configuration");
	command |= htole16(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	if (pwrite(vfio->fd, &command, sizeof(command), at) != sizeof(command))
		return failed(vfio, "writing the configuration");
	return 0;
}

static int map_region(struct shm__vfio_device *vfio, unsigned index)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };
	int prot = 0;
	void *address;

	if (ioctl(vfio->fd, VFIO_DEVICE_GET_REGION_INFO, &info))
		return failed(vfio, "VFIO_DEVICE_GET_REGION_INFO");
	if (!info.size)
		return metal_shm_set_error(ENOTSUP, "%s has no region %u", vfio->name, index);
	if (!(info.flags & VFIO_REGION_INFO_FLAG_MMAP))
		return metal_shm_set_error(ENOTSUP,
					   "%s: region %u can't be mapped: use pread() and "
					   "pwrite() of its descriptor",
					   vfio->name, index);
	prot |= info.flags & VFIO_REGION_INFO_FLAG_READ ? PROT_READ : 0;
	prot |= info.flags & VFIO_REGION_INFO_FLAG_WRITE ? PROT_WRITE : 0;
	address = mmap(NULL, info.size, prot, MAP_SHARED, vfio->fd, (off_t)info.offset);
	if (address == MAP_FAILED)
		return failed(vfio, "mmap of a region");
	vfio->region[index].address = address;
	vfio->region[index].size = info.size;
	return 0;
}

int metal_shm_vfio_region(struct metal_device *dev, unsigned index, volatile void **ret_address,
			  size_t *ret_size)
{
	struct shm__vfio_device *vfio = vfio_of(dev);
	int error = 0;

	if (!vfio)
		return -EINVAL;
	if (!ret_address || !ret_size || index >= SHM__VFIO_REGIONS)
		return metal_shm_set_error(EINVAL,
					   "metal_shm_vfio_region: NULL, or no region's index");
	pthread_mutex_lock(&vfio->lock);
	if (!vfio->region[index].address)
		error = map_region(vfio, index);
	if (!error) {
		*ret_address = vfio->region[index].address;
		*ret_size = vfio->region[index].size;
	}
	pthread_mutex_unlock(&vfio->lock);
	return error;
}

void shm__vfio_unmap_regions(struct shm__vfio_device *vfio)
{
	for (size_t i = 0; i < SHM__VFIO_REGIONS; i++)
		if (vfio->region[i].address)
			munmap(vfio->region[i].address, vfio->region[i].size);
}

static int set_irqs(const struct shm__vfio_device *vfio, uint32_t flags, unsigned count,
		    const int *events)
{
	size_t size = sizeof(struct vfio_irq_set) + (events ? count * sizeof(int32_t) : 0);
	struct vfio_irq_set *set = calloc(1, size);
	int error;

	if (!set)
		return metal_shm_set_error(ENOMEM, "%s: no memory", vfio->name);
	set->argsz = (uint32_t)size;
	set->flags = flags;
	set->index = vfio->irqs.kind;
	set->count = count;
	for (unsigned i = 0; events && i < count; i++)
		memcpy(set->data + i * sizeof(int32_t), &events[i], sizeof(int32_t));
	error = ioctl(vfio->fd, VFIO_DEVICE_SET_IRQS, set) ? failed(vfio, "VFIO_DEVICE_SET_IRQS")
							   : 0;
	free(set);
	return error;
}

/* A descriptor that is closed leaves the epoll by itself. */
static void close_events(struct shm__vfio_irqs *irqs)
{
	for (unsigned i = 0; i < irqs->count; i++)
		close(irqs->event[i]);
	free(irqs->event);
	irqs->event = NULL;
	irqs->count = 0;
}

static void silence(struct shm__vfio_device *vfio)
{
	if (!vfio->irqs.count)
		return;
	set_irqs(vfio, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0, NULL);
	close_events(&vfio->irqs);
}

void shm__vfio_silence(struct shm__vfio_device *vfio)
{
	pthread_mutex_lock(&vfio->lock);
	silence(vfio);
	pthread_mutex_unlock(&vfio->lock);
}

static int add_event(struct shm__vfio_device *vfio)
{
	struct shm__vfio_irqs *irqs = &vfio->irqs;
	struct epoll_event what = { .events = EPOLLIN, .data = { .u32 = irqs->count } };
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		return failed(vfio, "eventfd");
	irqs->event[irqs->count++] = fd;
	return epoll_ctl(irqs->epoll, EPOLL_CTL_ADD, fd, &what) ? failed(vfio, "epoll_ctl") : 0;
}

static int listen_to(struct shm__vfio_device *vfio, unsigned kind, unsigned count)
{
	struct shm__vfio_irqs *irqs = &vfio->irqs;
	int error = 0;

	irqs->event = calloc(count, sizeof(*irqs->event));
	if (!irqs->event)
		return metal_shm_set_error(ENOMEM, "%s: no memory", vfio->name);
	irqs->kind = kind;
	while (!error && irqs->count < count)
		error = add_event(vfio);
	if (!error)
		error = set_irqs(vfio, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
				 count, irqs->event);
	if (error)
		close_events(irqs);
	return error;
}

static int check_vectors(const struct shm__vfio_device *vfio, unsigned kind, unsigned count)
{
	static const char *const names[] = { "INTx", "MSI", "MSI-X" };
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = kind };

	if (kind > METAL_SHM_VFIO_MSIX)
		return metal_shm_set_error(EINVAL, "%s: %u is no kind of interrupt", vfio->name,
					   kind);
	if (ioctl(vfio->fd, VFIO_DEVICE_GET_IRQ_INFO, &info))
		return failed(vfio, "VFIO_DEVICE_GET_IRQ_INFO");
	if (count <= info.count)
		return 0;
	return metal_shm_set_error(ERANGE, "%s has %u vectors of %s, not %u", vfio->name,
				   info.count, names[kind], count);
}

int metal_shm_vfio_interrupts(struct metal_device *dev, unsigned kind, unsigned count,
			      void (*happened)(struct metal_device *dev, unsigned vector,
					       uint64_t times, void *user),
			      void *user)
{
	struct shm__vfio_device *vfio = vfio_of(dev);
	int error;

	if (!vfio)
		return -EINVAL;
	if (count && !happened)
		return metal_shm_set_error(EINVAL, "%s: interrupts without a function", vfio->name);
	error = check_vectors(vfio, kind, count);
	if (error)
		return error;
	pthread_mutex_lock(&vfio->lock);
	silence(vfio);
	vfio->irqs.happened = happened;
	vfio->irqs.user = user;
	if (count)
		error = listen_to(vfio, kind, count);
	pthread_mutex_unlock(&vfio->lock);
	return error;
}

/* Called with the lock, and without it while the program's function runs. */
static void deliver(struct metal_device *dev, struct shm__vfio_device *vfio, unsigned vector)
{
	struct shm__vfio_irqs is = vfio->irqs;
	uint64_t times;

	/* others may have been faster, or ended it */
	if (vector >= is.count || read(is.event[vector], &times, sizeof(times)) != sizeof(times))
		return;
	pthread_mutex_unlock(&vfio->lock);
	is.happened(dev, vector, times, is.user);
	pthread_mutex_lock(&vfio->lock);
	/* the kernel masks a line when it rises */
	if (is.kind == METAL_SHM_VFIO_INTX && vfio->irqs.count && vfio->irqs.kind == is.kind)
		set_irqs(vfio, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, 1, NULL);
}

int shm__vfio_dispatch(struct metal_device *dev)
{
	struct shm__vfio_device *vfio = metal_shm_device_data(dev, &shm__vfio_ops);
	struct epoll_event happened[16];
	int n = epoll_wait(vfio->irqs.epoll, happened, 16, 0);

	if (n < 0 && errno != EINTR)
		return failed(vfio, "epoll_wait");
	pthread_mutex_lock(&vfio->lock);
	for (int i = 0; i < n; i++)
		deliver(dev, vfio, happened[i].data.u32);
	pthread_mutex_unlock(&vfio->lock);
	return 0;
}
