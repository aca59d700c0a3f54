// SPDX-License-Identifier: GPL-2.0-only
/*
 * A fixture of the board, not for products: a platform device whose one ability is to have a DMA-BUF
 * mapped for DMA, and its registers, so to say, by which a test reads and writes what it sees there.
 * With swiotlb=force that is another copy than the CPU's until somebody syncs, as it is with caches that
 * aren't coherent.
 *
 * Kernel: Documentation/driver-api/dma-buf.rst, Documentation/core-api/dma-api.rst.
 */
#include <linux/dma-buf.h>
#include <linux/dma-direct.h>
#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "attachment.h"

struct holder {
	struct mutex lock;
	struct dma_buf *buf; /* NULL: nothing is attached, and the rest isn't valid */
	struct dma_buf_attachment *attachment;
	struct sg_table *table;
};

static struct platform_device *device;

static void detach(struct holder *holder)
{
	if (!holder->buf)
		return;
	dma_buf_unmap_attachment_unlocked(holder->attachment, holder->table, DMA_BIDIRECTIONAL);
	dma_buf_detach(holder->buf, holder->attachment);
	dma_buf_put(holder->buf);
	holder->buf = NULL;
}

static int attach(struct holder *holder, int fd)
{
	struct dma_buf_attachment *attachment;
	struct sg_table *table;
	struct dma_buf *buf;
	int error;

	if (holder->buf)
		return -EBUSY;
	buf = dma_buf_get(fd);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	attachment = dma_buf_attach(buf, &device->dev);
	if (IS_ERR(attachment)) {
		error = PTR_ERR(attachment);
		goto put_buf;
	}
	table = dma_buf_map_attachment_unlocked(attachment, DMA_BIDIRECTIONAL);
	if (IS_ERR(table)) {
		error = PTR_ERR(table);
		goto detach_buf;
	}
	holder->attachment = attachment;
	holder->table = table;
	holder->buf = buf;
	return 0;

detach_buf:
	dma_buf_detach(buf, attachment);
put_buf:
	dma_buf_put(buf);
	return error;
}

static void describe(const struct holder *holder, struct board_attachment *to)
{
	struct scatterlist *piece;
	int i;

	to->pieces = 0;
	to->bounced = 0;
	to->size = 0;
	to->address = sg_dma_address(holder->table->sgl);
	for_each_sgtable_dma_sg(holder->table, piece, i) {
		to->pieces++;
		to->size += sg_dma_len(piece);
		/* Without an IOMMU pieces correspond; the device has no other. */
		if (dma_to_phys(&device->dev, sg_dma_address(piece)) != sg_phys(piece))
			to->bounced++;
	}
}

/* The bytes that stand in one piece from the place on. NULL: it lies beyond the end. */
static void *bytes_at(const struct holder *holder, loff_t place, size_t *ret_size)
{
	struct scatterlist *piece;
	int i;

	for_each_sgtable_dma_sg(holder->table, piece, i) {
		if (place < sg_dma_len(piece)) {
			*ret_size = sg_dma_len(piece) - place;
			return phys_to_virt(dma_to_phys(&device->dev, sg_dma_address(piece))) +
			       place;
		}
		place -= sg_dma_len(piece);
	}
	return NULL;
}

static ssize_t transfer(struct file *file, char __user *to, const char __user *from, size_t size,
			loff_t *place)
{
	struct holder *holder = file->private_data;
	size_t done = 0, part;
	ssize_t error = 0;
	void *bytes;

	if (*place < 0)
		return -EINVAL;
	mutex_lock(&holder->lock);
	if (!holder->buf)
		error = -ENXIO;
	while (!error && done < size) {
		bytes = bytes_at(holder, *place, &part);
		if (!bytes)
			break;
		part = min(part, size - done);
		if (to ? copy_to_user(to + done, bytes, part)
		       : copy_from_user(bytes, from + done, part))
			error = -EFAULT;
		done += part;
		*place += part;
	}
	mutex_unlock(&holder->lock);
	return error ? error : done;
}

static ssize_t holder_read(struct file *file, char __user *to, size_t size, loff_t *place)
{
	return transfer(file, to, NULL, size, place);
}

static ssize_t holder_write(struct file *file, const char __user *from, size_t size, loff_t *place)
{
	return transfer(file, NULL, from, size, place);
}

static long holder_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	void __user *user = (void __user *)argument;
	struct holder *holder = file->private_data;
	struct board_attachment wanted;
	long error = 0;

	switch (command) {
	case BOARD_ATTACH:
		if (copy_from_user(&wanted, user, sizeof(wanted)))
			return -EFAULT;
		mutex_lock(&holder->lock);
		error = attach(holder, wanted.fd);
		if (!error) {
			describe(holder, &wanted);
			if (copy_to_user(user, &wanted, sizeof(wanted))) {
				detach(holder);
				error = -EFAULT;
			}
		}
		mutex_unlock(&holder->lock);
		return error;
	case BOARD_DETACH:
		mutex_lock(&holder->lock);
		detach(holder);
		mutex_unlock(&holder->lock);
		return 0;
	default:
		return -ENOTTY;
	}
}

static int holder_open(struct inode *inode, struct file *file)
{
	struct holder *holder = kzalloc(sizeof(*holder), GFP_KERNEL);

	if (!holder)
		return -ENOMEM;
	mutex_init(&holder->lock);
	file->private_data = holder;
	return 0;
}

static int holder_release(struct inode *inode, struct file *file)
{
	detach(file->private_data);
	kfree(file->private_data);
	return 0;
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.open = holder_open,
	.release = holder_release,
	.read = holder_read,
	.write = holder_write,
	.unlocked_ioctl = holder_ioctl,
	.llseek = default_llseek,
};

static struct miscdevice node = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = BOARD_IMPORTER,
	.fops = &operations,
};

static int __init importer_init(void)
{
	int error;

	device = platform_device_register_simple(BOARD_IMPORTER, PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(device))
		return PTR_ERR(device);
	error = dma_set_mask_and_coherent(&device->dev, DMA_BIT_MASK(32));
	if (!error)
		error = dma_set_max_seg_size(&device->dev, UINT_MAX);
	if (!error)
		error = misc_register(&node);
	if (error)
		platform_device_unregister(device);
	return error;
}

static void __exit importer_exit(void)
{
	misc_deregister(&node);
	platform_device_unregister(device);
}

module_init(importer_init);
module_exit(importer_exit);
MODULE_DESCRIPTION("Test fixture: holds a DMA-BUF as a device does");
MODULE_IMPORT_NS(DMA_BUF);
MODULE_LICENSE("GPL");
