// SPDX-License-Identifier: GPL-2.0-only
/*
 * A fixture of the board, not for products: a driver that shares memory with a coprocessor by itself, through
 * what shm_importer exports. A test writes the number of a DMA-BUF's descriptor to its node and reads one
 * struct shm_import_segment after the other; closing it says that the coprocessor has unshared it.
 */
#include <linux/dma-buf.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/remoteproc.h>
#include <linux/uaccess.h>

#include "shm_importer.h"

static int is_below(struct device *device, void *data)
{
	struct rproc **found = data, *rproc = rproc_get_by_child(device);

	if (!rproc)
		return 0;
	get_device(&rproc->dev);
	*found = rproc;
	return 1;
}

static ssize_t client_write(struct file *file, const char __user *user, size_t size, loff_t *place)
{
	struct rproc *rproc = NULL;
	struct shm_import *import;
	struct dma_buf *buffer;
	int fd;

	if (size != sizeof(fd) || file->private_data)
		return -EINVAL;
	if (copy_from_user(&fd, user, size))
		return -EFAULT;
	/* such as its virtio device */
	bus_for_each_dev(&platform_bus_type, NULL, &rproc, is_below);
	if (!rproc)
		return -ENODEV;
	buffer = dma_buf_get(fd);
	if (IS_ERR(buffer)) {
		put_device(&rproc->dev);
		return PTR_ERR(buffer);
	}
	import = shm_import_attach(rproc, buffer, SHM_IMPORT_READ | SHM_IMPORT_WRITE);
	dma_buf_put(buffer);
	put_device(&rproc->dev);
	if (IS_ERR(import))
		return PTR_ERR(import);
	file->private_data = import;
	*place = 0;
	return size;
}

static ssize_t client_read(struct file *file, char __user *user, size_t size, loff_t *place)
{
	struct shm_import_segment segment;
	int error;

	if (!file->private_data || size != sizeof(segment))
		return -EINVAL;
	error = shm_import_segment(file->private_data, *place, &segment);
	if (error)
		return error == -ENOENT ? 0 : error;
	if (copy_to_user(user, &segment, size))
		return -EFAULT;
	++*place;
	return size;
}

static int client_release(struct inode *inode, struct file *file)
{
	if (file->private_data)
		shm_import_release(file->private_data, true);
	return 0;
}

/* The miscdevice leaves a pointer to itself there. */
static int client_open(struct inode *inode, struct file *file)
{
	file->private_data = NULL;
	return 0;
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.open = client_open,
	.release = client_release,
	.read = client_read,
	.write = client_write,
};

static struct miscdevice node = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "board-import-client",
	.fops = &operations,
};

module_misc_device(node);
MODULE_DESCRIPTION("Test fixture: a kernel client of shm_importer");
MODULE_IMPORT_NS(DMA_BUF);
MODULE_LICENSE("GPL");
