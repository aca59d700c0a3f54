// SPDX-License-Identifier: GPL-2.0-only
/*
 * The regions: what the parameter region says, and their nodes.
 *
 *	region=NAME,START+SIZE[,cached|,secure,DEVICE...]      physical memory that the kernel doesn't use
 *	region=NAME,remoteproc=REMOTEPROC/CARVEOUT[,...]       a carveout that its driver set aside
 *
 * More than one on modprobe's line, or written one by one to /sys/module/shm_carveout/parameters/region.
 */
#include <linux/bitmap.h>
#include <linux/dma-buf.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <uapi/linux/dma-heap.h>

#include "carveout.h"
#include "remoteproc_find.h"
#include "uapi/shm_carveout.h"
#include "versions.h"

static LIST_HEAD(regions);
static DEFINE_MUTEX(regions_lock);

/* ---- the node ---------------------------------------------------------------------------------------------- */

static struct region *region_of(struct file *file)
{
	return container_of(file->private_data, struct region, misc);
}

static long allocate(struct region *region, void __user *user)
{
	struct dma_heap_allocation_data data;
	struct dma_buf *buffer;
	int fd;

	if (copy_from_user(&data, user, sizeof(data)))
		return -EFAULT;
	if (data.fd || (data.fd_flags & ~(u32)DMA_HEAP_VALID_FD_FLAGS) ||
	    (data.heap_flags & ~(u64)DMA_HEAP_VALID_HEAP_FLAGS))
		return -EINVAL;
	if (data.len != (size_t)data.len)
		return -ENOMEM;
	buffer = buffer_new(region, data.len, data.fd_flags);
	if (IS_ERR(buffer))
		return PTR_ERR(buffer);
	fd = get_unused_fd_flags(data.fd_flags & O_CLOEXEC);
	if (fd < 0) {
		dma_buf_put(buffer);
		return fd;
	}
	data.fd = fd;
	if (copy_to_user(user, &data, sizeof(data))) {
		put_unused_fd(fd);
		dma_buf_put(buffer);
		return -EFAULT;
	}
	fd_install(fd, buffer->file);
	return 0;
}

static long tell(struct region *region, void __user *user)
{
	struct shm_carveout_info info = { .size = (u64)region->pages << PAGE_SHIFT,
					  .flags = region->flags };
	size_t start = 0, end, largest = 0, unused = 0;

	mutex_lock(&region->lock);
	while ((start = find_next_zero_bit(region->used, region->pages, start)) < region->pages) {
		end = find_next_bit(region->used, region->pages, start);
		unused += end - start;
		largest = max(largest, end - start);
		start = end;
	}
	mutex_unlock(&region->lock);
	info.free = (u64)unused << PAGE_SHIFT;
	info.largest = (u64)largest << PAGE_SHIFT;
	return copy_to_user(user, &info, sizeof(info)) ? -EFAULT : 0;
}

static long carveout_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	void __user *user = (void __user *)argument;

	switch (command) {
	case DMA_HEAP_IOCTL_ALLOC:
		return allocate(region_of(file), user);
	case SHM_CARVEOUT_INFO:
		return tell(region_of(file), user);
	default:
		return -ENOTTY;
	}
}

/* misc_open() leaves the miscdevice in private_data where there is an open(). */
static int carveout_open(struct inode *inode, struct file *file)
{
	return 0;
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.open = carveout_open,
	.unlocked_ioctl = carveout_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

/* ---- regions ----------------------------------------------------------------------------------------------- */

/* Of what a driver has mapped. As rproc_va_to_pa() does, which some kernels export and others don't. */
static int physical_of(void *address, phys_addr_t *ret_physical)
{
	if (is_vmalloc_addr(address))
		*ret_physical = PFN_PHYS(vmalloc_to_pfn(address)) + offset_in_page(address);
	else if (virt_addr_valid(address))
		*ret_physical = virt_to_phys(address);
	else
		return -EOPNOTSUPP;
	return 0;
}

/* Where the driver has it, by its own mapping of it. */
static int carveout_of(const char *remote, const char *name, phys_addr_t *ret_start,
		       size_t *ret_size)
{
	struct rproc *rproc = remoteproc_find(remote);
	struct rproc_mem_entry *entry;
	int error = -ENOENT;

	if (IS_ERR(rproc))
		return PTR_ERR(rproc);
	mutex_lock(&rproc->lock);
	if (rproc->state != RPROC_RUNNING && rproc->state != RPROC_ATTACHED)
		error = -EHOSTDOWN; /* until then there is no list */
	else
		list_for_each_entry(entry, &rproc->carveouts, node) {
			if (strcmp(entry->name, name) || !entry->va)
				continue;
			*ret_size = entry->len;
			error = physical_of(entry->va, ret_start);
		}
	mutex_unlock(&rproc->lock);
	put_device(&rproc->dev);
	return error;
}

/* The bytes of "START+SIZE" or "remoteproc=REMOTEPROC/CARVEOUT". */
static int read_place(char *word, struct region *region)
{
	const char *prefix = "remoteproc=";
	size_t size;
	u64 start, length;
	char *name;
	int error;

	if (!strncmp(word, prefix, strlen(prefix))) {
		name = word + strlen(prefix);
		word = strsep(&name, "/");
		if (!name)
			return -EINVAL;
		error = carveout_of(word, name, &region->start, &size);
		if (error)
			return error;
	} else {
		if (sscanf(word, "%lli+%lli", &start, &length) != 2)
			return -EINVAL;
		region->start = start;
		size = length;
		if (region->start != start || size != length)
			return -EINVAL;
		region->requested = true;
	}
	if (!size || region->start + size < region->start || !PAGE_ALIGNED(region->start | size))
		return -EINVAL;
	region->pages = size >> PAGE_SHIFT;
	return 0;
}

static int read_words(char *words, struct region *region)
{
	char *word = strsep(&words, ",");
	int error;

	if (!*word || strscpy(region->name, word, sizeof(region->name)) < 0 || strchr(word, '/') ||
	    !words)
		return -EINVAL;
	error = read_place(strsep(&words, ","), region);
	if (error)
		return error;
	while ((word = strsep(&words, ","))) {
		if (region->flags & SHM_CARVEOUT_SECURE) {
			if (!*word || region->device_count == ARRAY_SIZE(region->devices))
				return -EINVAL;
			region->devices[region->device_count] = kstrdup(word, GFP_KERNEL);
			if (!region->devices[region->device_count])
				return -ENOMEM;
			region->device_count++;
		} else if (!strcmp(word, "cached")) {
			region->flags |= SHM_CARVEOUT_CACHED;
		} else if (!strcmp(word, "secure") && !region->flags) {
			region->flags |= SHM_CARVEOUT_SECURE;
		} else {
			return -EINVAL;
		}
	}
	return 0;
}

static bool overlaps(const struct region *a, const struct region *b)
{
	return a->start < b->start + ((phys_addr_t)b->pages << PAGE_SHIFT) &&
	       b->start < a->start + ((phys_addr_t)a->pages << PAGE_SHIFT);
}

/* Takes the memory: nobody else may have it, the kernel least of all. */
static int take(struct region *region)
{
	size_t size = region->pages << PAGE_SHIFT;
	struct region *other;

	list_for_each_entry(other, &regions, node) {
		if (overlaps(region, other) || !strcmp(region->name, other->name))
			return -EEXIST;
	}
	/* as where remoteproc has allocated it, and frees it with the core */
	if (region_intersects(region->start, size, IORESOURCE_SYSTEM_RAM, IORES_DESC_NONE) !=
	    REGION_DISJOINT)
		return -EBUSY;
	if (region->requested && !request_mem_region(region->start, size, "shm_carveout")) {
		region->requested = false;
		return -EBUSY;
	}
	if (region->flags & SHM_CARVEOUT_SECURE)
		return 0;
	region->memory = memremap(region->start, size,
				  region->flags & SHM_CARVEOUT_CACHED ? MEMREMAP_WB : MEMREMAP_WC);
	return region->memory ? 0 : -ENXIO;
}

static void region_free(struct region *region)
{
	if (region->memory)
		memunmap(region->memory);
	if (region->requested)
		release_mem_region(region->start, region->pages << PAGE_SHIFT);
	while (region->device_count)
		kfree(region->devices[--region->device_count]);
	bitmap_free(region->used);
	kfree(region);
}

/* With the lock of regions. */
static int region_add(char *words)
{
	struct region *region = kzalloc(sizeof(*region), GFP_KERNEL);
	int error;

	if (!region)
		return -ENOMEM;
	mutex_init(&region->lock);
	error = read_words(words, region);
	if (error) {
		region->requested = false;
		goto free_region;
	}
	error = take(region);
	if (error)
		goto free_region;
	region->used = bitmap_zalloc(region->pages, GFP_KERNEL);
	if (!region->used) {
		error = -ENOMEM;
		goto free_region;
	}
	snprintf(region->path, sizeof(region->path), "shm_carveout/%s", region->name);
	snprintf(region->label, sizeof(region->label), "shm_carveout-%s", region->name);
	region->misc.minor = MISC_DYNAMIC_MINOR;
	region->misc.name = region->label;
	region->misc.nodename = region->path;
	region->misc.fops = &operations;
	region->misc.mode = 0600;
	error = misc_register(&region->misc);
	if (error)
		goto free_region;
	list_add_tail(&region->node, &regions);
	return 0;

free_region:
	region_free(region);
	return error;
}

/* ---- the module -------------------------------------------------------------------------------------------- */

static bool ready;
static char *early[16]; /* what modprobe's line says, before the module is there */
static int early_count;

static int region_set(const char *value, const struct kernel_param *parameter)
{
	char *words = kstrdup(value, GFP_KERNEL);
	int error;

	if (!words)
		return -ENOMEM;
	strim(words);
	mutex_lock(&regions_lock);
	if (ready) {
		error = region_add(words);
		kfree(words);
	} else if (early_count < ARRAY_SIZE(early)) {
		early[early_count++] = words;
		error = 0;
	} else {
		kfree(words);
		error = -ENOSPC;
	}
	mutex_unlock(&regions_lock);
	return error;
}

static int region_get(char *page, const struct kernel_param *parameter)
{
	struct region *region;
	int length = 0;

	mutex_lock(&regions_lock);
	list_for_each_entry(region, &regions, node)
		length += scnprintf(page + length, PAGE_SIZE - length, "%s,%pa+%#zx%s%s\n",
				    region->name, &region->start, region->pages << PAGE_SHIFT,
				    region->flags & SHM_CARVEOUT_CACHED ? ",cached" : "",
				    region->flags & SHM_CARVEOUT_SECURE ? ",secure" : "");
	mutex_unlock(&regions_lock);
	return length;
}

/* Where the module wasn't loaded after all. */
static void region_forget(void *unused)
{
	while (early_count)
		kfree(early[--early_count]);
}

static const struct kernel_param_ops region_operations = {
	.set = region_set,
	.get = region_get,
	.free = region_forget,
};
module_param_cb(region, &region_operations, NULL, 0600);
MODULE_PARM_DESC(
	region,
	"NAME,START+SIZE[,cached|,secure,DEVICE...] or NAME,remoteproc=REMOTEPROC/CARVEOUT[,...]");

static void forget_all(void)
{
	struct region *region, *next;

	list_for_each_entry_safe(region, next, &regions, node) {
		misc_deregister(&region->misc);
		list_del(&region->node);
		region_free(region);
	}
}

static int __init carveout_init(void)
{
	int error = 0, i;

	mutex_lock(&regions_lock);
	for (i = 0; i < early_count && !error; i++) {
		error = region_add(early[i]);
		if (error)
			pr_err("shm_carveout: region %d of modprobe's line: %d\n", i + 1, error);
	}
	region_forget(NULL);
	if (error)
		forget_all();
	ready = !error;
	mutex_unlock(&regions_lock);
	return error;
}

static void __exit carveout_exit(void)
{
	mutex_lock(&regions_lock);
	forget_all();
	ready = false; /* the parameter goes later than the rest; it may be written until then */
	mutex_unlock(&regions_lock);
}

module_init(carveout_init);
module_exit(carveout_exit);
MODULE_DESCRIPTION("Memory that was set aside, as DMA-BUFs");
MODULE_VERSION("0.1.0");
IMPORT_DMA_BUF;
MODULE_LICENSE("GPL");
