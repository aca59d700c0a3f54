// SPDX-License-Identifier: GPL-2.0-only
/* /dev/shm_importer, and the same for other modules. The headers tell what it does. */
#include <linux/capability.h>
#include <linux/compat.h>
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/user_namespace.h>

#include "importer.h"
#include "versions.h"

/* One opening of the node. */
struct opening {
	struct mutex lock;
	struct coprocessor *coprocessor; /* once it was chosen; never another */
	u64 seen;                        /* so many of its ends */
};

static struct dentry *listing;

static long bind_to(struct opening *opening, void __user *user)
{
	struct coprocessor *coprocessor;
	struct shm_import_bind bind;
	long error = 0;

	if (copy_from_user(&bind, user, sizeof(bind)))
		return -EFAULT;
	if (!bind.name[0] || strnlen(bind.name, sizeof(bind.name)) == sizeof(bind.name) ||
	    bind.reserved)
		return -EINVAL;
	if (opening->coprocessor)
		return -EBUSY;
	coprocessor = coprocessor_find(bind.name);
	if (IS_ERR(coprocessor))
		return PTR_ERR(coprocessor);

	bind.version = SHM_IMPORTER_VERSION;
	bind.limit = coprocessor_limit();
	mutex_lock(&coprocessor->lock);
	opening->seen = coprocessor->ends;
	if (coprocessor->gone) {
		error = -ENODEV;
	} else {
		bind.flags = mapping_flags(coprocessor);
		bind.highest = mapping_highest(coprocessor);
	}
	mutex_unlock(&coprocessor->lock);
	if (!error && copy_to_user(user, &bind, sizeof(bind)))
		error = -EFAULT;
	if (error)
		coprocessor_put(coprocessor);
	else
		smp_store_release(&opening->coprocessor, coprocessor);
	return error;
}

static long attach(struct opening *opening, void __user *user)
{
	struct coprocessor *coprocessor = opening->coprocessor;
	struct shm_import_attach attach;
	struct shm_import *import;
	struct dma_buf *buffer;
	long error = 0;

	if (copy_from_user(&attach, user, sizeof(attach)))
		return -EFAULT;
	if (attach.reserved)
		return -EINVAL;
	buffer = dma_buf_get(attach.fd);
	if (IS_ERR(buffer))
		return PTR_ERR(buffer);
	mutex_lock(&coprocessor->lock);
	import = import_new(coprocessor, buffer, attach.access, opening);
	if (IS_ERR(import)) {
		error = PTR_ERR(import);
		goto unlock;
	}
	attach.id = import->id;
	attach.size = buffer->size;
	attach.segments = import->count;
	attach.flags = import->flags;
	if (copy_to_user(user, &attach, sizeof(attach))) {
		error = -EFAULT;
		/* nobody was told its addresses */
		import_release(import, true);
	}
unlock:
	mutex_unlock(&coprocessor->lock);
	dma_buf_put(buffer);
	return error;
}

/* With the coprocessor's lock. */
static struct shm_import *own(const struct opening *opening, u64 id)
{
	struct shm_import *import;

	if (id != (unsigned long)id)
		return NULL;
	import = xa_load(&opening->coprocessor->imports, id);
	return import && import->owner == opening ? import : NULL;
}

static bool is_over(const struct shm_import *import)
{
	return !import->table || !import->coprocessor->running ||
	       import->run != import->coprocessor->run;
}

/* Up to so many segments from the first on, with the lock for as long as it takes to copy them. */
static int some_segments(const struct opening *opening, u64 id, u32 first,
			 struct shm_import_segment *to, u32 room)
{
	struct coprocessor *coprocessor = opening->coprocessor;
	struct shm_import *import;
	int count = -ENOENT;

	mutex_lock(&coprocessor->lock);
	import = own(opening, id);
	if (import && is_over(import)) {
		count = -ESTALE;
	} else if (import) {
		count = first < import->count ? min(room, import->count - first) : 0;
		memcpy(to, import->segments + first, count * sizeof(*to));
	}
	mutex_unlock(&coprocessor->lock);
	return count;
}

static long segments(struct opening *opening, void __user *user)
{
	struct shm_import_segments wanted;
	struct shm_import_segment some[16];
	struct shm_import_segment __user *to;
	u32 done = 0;
	int count;

	if (copy_from_user(&wanted, user, sizeof(wanted)))
		return -EFAULT;
	to = u64_to_user_ptr(wanted.segments);
	do {
		count = some_segments(opening, wanted.id, wanted.first + done, some,
				      min_t(u32, ARRAY_SIZE(some), wanted.count - done));
		if (count < 0)
			return count;
		if (copy_to_user(to + done, some, count * sizeof(*some)))
			return -EFAULT;
		done += count;
	} while (count && done < wanted.count);
	wanted.count = done;
	return copy_to_user(user, &wanted, sizeof(wanted)) ? -EFAULT : 0;
}

static bool may_say_unshared(const struct shm_import *import)
{
	return uid_eq(import->uid, current_euid()) || capable(CAP_SYS_ADMIN);
}

static long release(struct opening *opening, void __user *user)
{
	struct coprocessor *coprocessor = opening->coprocessor;
	struct shm_import_release release;
	struct shm_import *import;
	bool unshared;
	long error = 0;

	if (copy_from_user(&release, user, sizeof(release)))
		return -EFAULT;
	if ((release.flags & ~(u32)SHM_IMPORT_UNSHARED) || release.reserved)
		return -EINVAL;
	unshared = release.flags & SHM_IMPORT_UNSHARED;
	mutex_lock(&coprocessor->lock);
	import = own(opening, release.id);
	if (!import && unshared && release.id == (unsigned long)release.id) {
		import = xa_load(&coprocessor->imports, release.id);
		if (import && import->owner)
			import = NULL; /* another's, who lives */
		if (import && !may_say_unshared(import))
			error = -EPERM;
		else if (import && coprocessor->gone)
			error = -ENODEV;
	}
	if (!import)
		error = -ENOENT;
	if (!error)
		import_release(import, unshared);
	mutex_unlock(&coprocessor->lock);
	return error;
}

static long status(struct opening *opening, void __user *user)
{
	struct coprocessor *coprocessor = opening->coprocessor;
	struct shm_import_status status = { .limit = coprocessor_limit() };

	mutex_lock(&coprocessor->lock);
	status.running = coprocessor->running;
	status.crashed = coprocessor->crashed;
	status.runs = coprocessor->run;
	status.attached = coprocessor->attached;
	status.held = coprocessor->held;
	opening->seen = coprocessor->ends;
	mutex_unlock(&coprocessor->lock);
	return copy_to_user(user, &status, sizeof(status)) ? -EFAULT : 0;
}

static long held(struct opening *opening, void __user *user)
{
	struct coprocessor *coprocessor = opening->coprocessor;
	struct shm_import_held held;
	struct shm_import *import;
	unsigned long id;

	if (copy_from_user(&held, user, sizeof(held)))
		return -EFAULT;
	id = held.id;
	if (id != held.id)
		return -ENOENT;
	memset(&held, 0, sizeof(held));
	mutex_lock(&coprocessor->lock);
	import = xa_find_after(&coprocessor->imports, &id, ULONG_MAX, IMPORT_HELD);
	if (import) {
		held.id = import->id;
		held.size = import->buffer->size;
		held.address = import->segments[0].address;
		held.segments = import->count;
		held.access = import->access;
		held.uid = from_kuid_munged(current_user_ns(), import->uid);
		held.pid = import->pid;
		held.run = import->run;
		strscpy(held.program, import->program, sizeof(held.program));
	}
	mutex_unlock(&coprocessor->lock);
	if (!import)
		return -ENOENT;
	return copy_to_user(user, &held, sizeof(held)) ? -EFAULT : 0;
}

static long importer_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	void __user *user = (void __user *)argument;
	struct opening *opening = file->private_data;
	long answer;

	if (command == SHM_IMPORT_BIND) {
		mutex_lock(&opening->lock);
		answer = bind_to(opening, user);
		mutex_unlock(&opening->lock);
		return answer;
	}
	if (!smp_load_acquire(&opening->coprocessor))
		return -ENOTCONN;
	switch (command) {
	case SHM_IMPORT_ATTACH:
		return attach(opening, user);
	case SHM_IMPORT_SEGMENTS:
		return segments(opening, user);
	case SHM_IMPORT_RELEASE:
		return release(opening, user);
	case SHM_IMPORT_STATUS:
		return status(opening, user);
	case SHM_IMPORT_HELD:
		return held(opening, user);
	default:
		return -ENOTTY;
	}
}

static __poll_t importer_poll(struct file *file, poll_table *table)
{
	struct opening *opening = file->private_data;
	struct coprocessor *coprocessor = smp_load_acquire(&opening->coprocessor);
	__poll_t events = 0;

	if (!coprocessor)
		return EPOLLERR;
	poll_wait(file, &coprocessor->ended, table);
	mutex_lock(&coprocessor->lock);
	if (opening->seen != coprocessor->ends)
		events |= EPOLLPRI;
	if (coprocessor->gone)
		events |= EPOLLHUP;
	mutex_unlock(&coprocessor->lock);
	return events;
}

static int importer_open(struct inode *inode, struct file *file)
{
	struct opening *opening = kzalloc(sizeof(*opening), GFP_KERNEL);

	if (!opening)
		return -ENOMEM;
	mutex_init(&opening->lock);
	file->private_data = opening;
	return 0;
}

static int importer_release(struct inode *inode, struct file *file)
{
	struct opening *opening = file->private_data;
	struct coprocessor *coprocessor = opening->coprocessor;
	struct shm_import *import;
	unsigned long id;

	if (coprocessor) {
		mutex_lock(&coprocessor->lock);
		xa_for_each(&coprocessor->imports, id, import) {
			if (import->owner == opening)
				import_release(import, false);
		}
		mutex_unlock(&coprocessor->lock);
		coprocessor_put(coprocessor);
	}
	kfree(opening);
	return 0;
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.open = importer_open,
	.release = importer_release,
	.unlocked_ioctl = importer_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.poll = importer_poll,
};

static struct miscdevice node = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "shm_importer",
	.fops = &operations,
	.mode = 0600,
};

/* ---- for other modules ------------------------------------------------------------------------------------- */

/* What owns their attachments: nothing but not NULL, which is nobody. */
static const char kernel_client;

struct shm_import *shm_import_attach(struct rproc *rproc, struct dma_buf *buffer, u32 access)
{
	struct coprocessor *coprocessor = coprocessor_get(rproc);
	struct shm_import *import;

	if (IS_ERR(coprocessor))
		return ERR_CAST(coprocessor);
	mutex_lock(&coprocessor->lock);
	import = import_new(coprocessor, buffer, access, &kernel_client);
	mutex_unlock(&coprocessor->lock);
	if (IS_ERR(import))
		coprocessor_put(coprocessor);
	return import;
}
EXPORT_SYMBOL_GPL(shm_import_attach);

int shm_import_segment(struct shm_import *import, u32 index, struct shm_import_segment *ret_segment)
{
	struct coprocessor *coprocessor = import->coprocessor;
	int error = 0;

	mutex_lock(&coprocessor->lock);
	if (is_over(import))
		error = -ESTALE;
	else if (index >= import->count)
		error = -ENOENT;
	else
		*ret_segment = import->segments[index];
	mutex_unlock(&coprocessor->lock);
	return error;
}
EXPORT_SYMBOL_GPL(shm_import_segment);

void shm_import_release(struct shm_import *import, bool unshared)
{
	struct coprocessor *coprocessor = import->coprocessor;

	mutex_lock(&coprocessor->lock);
	import_release(import, unshared);
	mutex_unlock(&coprocessor->lock);
	coprocessor_put(coprocessor);
}
EXPORT_SYMBOL_GPL(shm_import_release);

/* ---- the module -------------------------------------------------------------------------------------------- */

static void tell(struct coprocessor *coprocessor, void *data)
{
	struct seq_file *to = data;
	struct shm_import *import;
	unsigned long id;

	seq_printf(to, "%s: %s, run %llu, %llu bytes attached, %llu held\n",
		   dev_name(&coprocessor->rproc->dev),
		   coprocessor->gone      ? "lost"
		   : coprocessor->running ? "running"
					  : "not running",
		   coprocessor->run, coprocessor->attached, coprocessor->held);
	xa_for_each(&coprocessor->imports, id, import) {
		if (!import->table)
			continue;
		seq_printf(to, "  %lu: %zu bytes in %u at %#llx, %s, run %llu, by %s (%d)\n", id,
			   import->buffer->size, import->count, import->segments[0].address,
			   import->owner ? "attached" : "held", import->run, import->program,
			   import->pid);
	}
}

static int listing_show(struct seq_file *to, void *data)
{
	coprocessor_each(tell, to);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(listing);

static int __init importer_init(void)
{
	int error = mapping_init();

	if (error)
		return error;
	error = misc_register(&node);
	if (error) {
		mapping_exit();
		return error;
	}
	listing = debugfs_create_file("shm_importer", 0400, NULL, NULL, &listing_fops);
	return 0;
}

static void __exit importer_exit(void)
{
	debugfs_remove(listing);
	misc_deregister(&node);
	coprocessor_forget_all();
	mapping_exit();
}

module_init(importer_init);
module_exit(importer_exit);
MODULE_DESCRIPTION("What a coprocessor calls the memory of a DMA-BUF");
MODULE_VERSION("0.1.0");
IMPORT_DMA_BUF;
MODULE_LICENSE("GPL");
