// SPDX-License-Identifier: GPL-2.0-only
/*
 * A fixture of the board, not for products: /dev/dma-buf-phys, by which TI's kernels tell programs where a
 * DMA-BUF lies that is in one piece. It is held there while the descriptor is open.
 *
 * The interface is that of TI's include/uapi/linux/dma_buf_phys.h. Kernel: Documentation/driver-api/dma-buf.rst.
 */
#include <linux/dma-buf.h>
#include <linux/dma-direct.h>
#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

struct dma_buf_phys_data {
	__u32 fd;
	__u64 phys;
};

#define DMA_BUF_PHYS_IOC_CONVERT _IOWR('D', 0, struct dma_buf_phys_data)

struct opening {
	struct mutex lock;
	struct list_head buffers;
};

struct buffer {
	struct list_head node;
	struct dma_buf *dmabuf;
	struct dma_buf_attachment *attachment;
	struct sg_table *table;
};

static struct platform_device *device;

static void buffer_end(struct buffer *buffer)
{
	if (!IS_ERR_OR_NULL(buffer->table))
		dma_buf_unmap_attachment_unlocked(buffer->attachment, buffer->table,
						  DMA_BIDIRECTIONAL);
	if (!IS_ERR_OR_NULL(buffer->attachment))
		dma_buf_detach(buffer->dmabuf, buffer->attachment);
	dma_buf_put(buffer->dmabuf);
	kfree(buffer);
}

static int convert(struct opening *opening, struct dma_buf_phys_data *data)
{
	struct buffer *buffer = kzalloc(sizeof(*buffer), GFP_KERNEL);
	int error;

	if (!buffer)
		return -ENOMEM;
	buffer->dmabuf = dma_buf_get(data->fd);
	if (IS_ERR(buffer->dmabuf)) {
		error = PTR_ERR(buffer->dmabuf);
		kfree(buffer);
		return error;
	}
	buffer->attachment = dma_buf_attach(buffer->dmabuf, &device->dev);
	error = PTR_ERR_OR_ZERO(buffer->attachment);
	if (!error) {
		buffer->table =
			dma_buf_map_attachment_unlocked(buffer->attachment, DMA_BIDIRECTIONAL);
		error = PTR_ERR_OR_ZERO(buffer->table);
	}
	if (!error && buffer->table->nents != 1)
		error = -EINVAL;
	if (error) {
		buffer_end(buffer);
		return error;
	}
	data->phys = dma_to_phys(&device->dev, sg_dma_address(buffer->table->sgl));
	mutex_lock(&opening->lock);
	list_add(&buffer->node, &opening->buffers);
	mutex_unlock(&opening->lock);
	return 0;
}

static long phys_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	void __user *user = (void __user *)argument;
	struct dma_buf_phys_data data;
	int error;

	if (command != DMA_BUF_PHYS_IOC_CONVERT)
		return -ENOTTY;
	if (copy_from_user(&data, user, sizeof(data)))
		return -EFAULT;
	error = convert(file->private_data, &data);
	if (error)
		return error;
	return copy_to_user(user, &data, sizeof(data)) ? -EFAULT : 0;
}

static int phys_open(struct inode *inode, struct file *file)
{
	struct opening *opening = kzalloc(sizeof(*opening), GFP_KERNEL);

	if (!opening)
		return -ENOMEM;
	mutex_init(&opening->lock);
	INIT_LIST_HEAD(&opening->buffers);
	file->private_data = opening;
	return 0;
}

static int phys_release(struct inode *inode, struct file *file)
{
	struct opening *opening = file->private_data;
	struct buffer *buffer, *next;

	list_for_each_entry_safe(buffer, next, &opening->buffers, node)
		buffer_end(buffer);
	kfree(opening);
	return 0;
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.open = phys_open,
	.release = phys_release,
	.unlocked_ioctl = phys_ioctl,
};

static struct miscdevice node = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "dma-buf-phys",
	.fops = &operations,
	.mode = 0600,
};

static int __init phys_init(void)
{
	int error;

	device =
		platform_device_register_simple("board-dma-buf-phys", PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(device))
		return PTR_ERR(device);
	error = dma_set_mask_and_coherent(&device->dev, DMA_BIT_MASK(64));
	if (!error)
		error = dma_set_max_seg_size(&device->dev, UINT_MAX);
	if (!error)
		error = misc_register(&node);
	if (error)
		platform_device_unregister(device);
	return error;
}

static void __exit phys_exit(void)
{
	misc_deregister(&node);
	platform_device_unregister(device);
}

module_init(phys_init);
module_exit(phys_exit);
MODULE_DESCRIPTION("Fixture: where a DMA-BUF lies, as TI's kernels tell it");
MODULE_IMPORT_NS(DMA_BUF);
MODULE_LICENSE("GPL");
