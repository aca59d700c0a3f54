/* SPDX-License-Identifier: BSD-3-Clause */
/* A PCI device that the program drives itself, behind an IOMMU: vfio:0000:00:03.0,address_bits=28. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "drivers.h"
#include "pages.h"
#include "vfio.h"

#define SCHEME  "vfio"
#define BITS    "address_bits="
#define EXAMPLE "as in vfio:0000:00:03.0,address_bits=32"

static int vfio_constraints(struct metal_device *dev, const struct metal_shm_frame *frame,
			    struct metal_shm_constraints *ret)
{
	const struct shm__vfio_device *vfio = metal_shm_device_data(dev, &shm__vfio_ops);

	(void)frame;
	ret->address_mask = vfio->last;
	ret->access = METAL_SHM_ACCESS_DMA;
	return 0;
}

/* Where the program may not write, the device may not either. */
static int map_for_device(const struct metal_shm_attachment *at, void **ret_address,
			  bool *ret_writable)
{
	int error = metal_shm_importer_map(at, METAL_SHM_READ | METAL_SHM_WRITE, ret_address);

	*ret_writable = error != -EACCES;
	if (error == -EACCES)
		error = metal_shm_importer_map(at, METAL_SHM_READ, ret_address);
	return error;
}

/* An IOMMU knows whole pages: those that the bytes lie in. */
static int map_pages(struct shm__vfio_device *vfio, const struct metal_shm_attachment *at,
		     bool writable, struct shm__vfio_mapping *mapping)
{
	uintptr_t mask = shm__page_size() - 1, start = (uintptr_t)mapping->address & ~mask;
	uint64_t ahead = (uintptr_t)mapping->address - start, length = at->range.length;
	struct shm__vfio_bytes bytes = {
		.address = (char *)mapping->address - ahead,
		.size = (ahead + length + mask) & ~(uint64_t)mask,
		.writable = writable,
		.last = vfio->last,
	};
	uint64_t cursor = atomic_load(&vfio->cursor);
	int error = 0;

	/* what has no descriptor may be any mapping of the program's */
	if (at->memory->os_handle < 0)
		error = shm__vfio_check_addresses(vfio->name, bytes.address, bytes.size);
	if (error)
		return error;
	error = shm__vfio_map(vfio->container, vfio->name, &bytes, &cursor, mapping);
	if (error)
		return error;
	atomic_store(&vfio->cursor, cursor);
	mapping->segment = (struct metal_shm_segment){ mapping->iova.start + ahead, length };
	return 0;
}

static int vfio_attach(struct metal_device *dev, const struct metal_shm_attachment *at,
		       struct metal_shm_view *ret_view)
{
	struct shm__vfio_device *vfio = metal_shm_device_data(dev, &shm__vfio_ops);
	struct shm__vfio_mapping *mapping;
	bool writable;
	int error;

	error = shm__vfio_check_descriptor(vfio->name, at->memory);
	if (error)
		return error;
	mapping = calloc(1, sizeof(*mapping));
	if (!mapping)
		return metal_shm_set_error(ENOMEM, "%s: no memory", vfio->name);
	error = map_for_device(at, &mapping->address, &writable);
	if (error)
		goto free_mapping;
	error = map_pages(vfio, at, writable, mapping);
	if (error)
		goto unmap;
	ret_view->data = mapping;
	ret_view->segments = &mapping->segment;
	ret_view->segment_count = 1;
	ret_view->access = METAL_SHM_ACCESS_DMA;
	return 0;
unmap:
	metal_shm_importer_unmap(at, mapping->address);
free_mapping:
	free(mapping);
	return error;
}

static void vfio_detach(struct metal_device *dev, const struct metal_shm_attachment *at,
			struct metal_shm_view *view)
{
	struct shm__vfio_device *vfio = metal_shm_device_data(dev, &shm__vfio_ops);
	struct shm__vfio_mapping *mapping = view->data;
	void *address = mapping->address;

	shm__vfio_unmap(vfio->container, vfio->name, mapping);
	metal_shm_importer_unmap(at, address);
}

static int vfio_poll_handle(struct metal_device *dev)
{
	const struct shm__vfio_device *vfio = metal_shm_device_data(dev, &shm__vfio_ops);

	return vfio->irqs.epoll;
}

/* Its memory may be attached still, but nobody is there any more to hear of it. */
static void vfio_shutdown(struct metal_device *dev)
{
	shm__vfio_silence(metal_shm_device_data(dev, &shm__vfio_ops));
}

/* The kernel stops the device, and resets it if it can, when the last descriptor of it is closed. */
static void vfio_close(struct metal_device *dev)
{
	struct shm__vfio_device *vfio = metal_shm_device_data(dev, &shm__vfio_ops);

	shm__vfio_silence(vfio);
	shm__vfio_unmap_regions(vfio);
	close(vfio->irqs.epoll);
	close(vfio->fd);
	shm__vfio_group_put(vfio->group);
	pthread_mutex_destroy(&vfio->lock);
	free(vfio);
}

const struct metal_shm_device_ops shm__vfio_ops = {
	.struct_size = sizeof(shm__vfio_ops),
	.constraints = vfio_constraints,
	.attach = vfio_attach,
	.detach = vfio_detach,
	.poll_handle = vfio_poll_handle,
	.dispatch = shm__vfio_dispatch,
	.shutdown = vfio_shutdown,
	.close = vfio_close,
};

/* "0000:00:03.0", as sysfs spells it. */
static bool is_pci_name(const char *text)
{
	static const char form[] = ":xx:xx.7";
	size_t domain = strspn(text, "0123456789abcdef");

	if (domain < 4 || domain > 8 || strlen(text) != domain + sizeof(form) - 1)
		return false;
	text += domain;
	for (size_t i = 0; form[i]; i++) {
		const char *may = form[i] == 'x'   ? "0123456789abcdef"
				  : form[i] == '7' ? "01234567"
						   : NULL;

		if (may ? !strchr(may, text[i]) : text[i] != form[i])
			return false;
	}
	return true;
}

/* What the device reaches only its maker knows: no default would be right. */
static int parse(const char *rest, char pci[static SHM__PCI_NAME], uint64_t *ret_last)
{
	size_t length = strcspn(rest, ",");
	const char *option, *digits;
	unsigned bits;

	if (length < SHM__PCI_NAME)
		snprintf(pci, SHM__PCI_NAME, "%.*s", (int)length, rest);
	if (length >= SHM__PCI_NAME || !is_pci_name(pci))
		return metal_shm_set_error(EINVAL, "vfio:%.40s: not a PCI address, " EXAMPLE, rest);
	option = rest + length;
	if (!option[0])
		return metal_shm_set_error(
			EINVAL, "vfio:%s: how many bits have its DMA's addresses? " EXAMPLE, pci);
	digits = option + 1 + strlen(BITS);
	if (strncmp(option + 1, BITS, strlen(BITS)) != 0 || !digits[0] || strlen(digits) > 2 ||
	    digits[strspn(digits, "0123456789")])
		return metal_shm_set_error(EINVAL, "vfio:%s%.40s: it takes " BITS "N, " EXAMPLE,
					   pci, option);
	bits = (unsigned)strtoul(digits, NULL, 10);
	if (bits < 16 || bits > 64)
		return metal_shm_set_error(EINVAL, "vfio:%s: " BITS "%u, not 16 to 64", pci, bits);
	*ret_last = UINT64_MAX >> (64 - bits);
	return 0;
}

static int open_device(struct shm__vfio_device *vfio, const char *pci)
{
	int error = shm__vfio_group_get(pci, &vfio->group);

	if (error)
		return error;
	vfio->container = shm__vfio_container_of(vfio->group);
	vfio->fd = shm__vfio_group_device(vfio->group, pci);
	if (vfio->fd < 0) {
		error = vfio->fd;
		goto put_group;
	}
	vfio->irqs.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (vfio->irqs.epoll < 0) {
		error = metal_shm_set_error(errno, "%s: epoll_create1: %s", pci, strerror(errno));
		goto close_fd;
	}
	error = shm__vfio_switch_on(vfio);
	if (error)
		goto close_epoll;
	return 0;
close_epoll:
	close(vfio->irqs.epoll);
close_fd:
	close(vfio->fd);
put_group:
	shm__vfio_group_put(vfio->group);
	return error;
}

static int vfio_open(const char *rest, struct metal_device **ret_dev)
{
	char pci[SHM__PCI_NAME], name[64];
	struct shm__vfio_device *vfio;
	uint64_t last = 0;
	int error = parse(rest, pci, &last);

	if (error)
		return error;
	vfio = calloc(1, sizeof(*vfio));
	if (!vfio)
		return metal_shm_set_error(ENOMEM, SCHEME ":%s: no memory for its record", pci);
	snprintf(vfio->name, sizeof(vfio->name), SCHEME ":%s", pci);
	vfio->last = last;
	pthread_mutex_init(&vfio->lock, NULL);
	error = open_device(vfio, pci);
	if (error)
		goto free_vfio;
	snprintf(name, sizeof(name), SCHEME ":%.50s", rest);
	error = metal_shm_device_create(&shm__vfio_ops, name, vfio, ret_dev);
	if (!error)
		return 0;
	close(vfio->irqs.epoll);
	close(vfio->fd);
	shm__vfio_group_put(vfio->group);
free_vfio:
	pthread_mutex_destroy(&vfio->lock);
	free(vfio);
	return error;
}

const struct metal_shm_driver shm__vfio_driver = {
	.struct_size = sizeof(shm__vfio_driver),
	.scheme = SCHEME,
	.open = vfio_open,
};
