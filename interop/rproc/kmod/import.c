// SPDX-License-Identifier: GPL-2.0-only
/* Attachments: whose they are, how many bytes there may be, and when their memory may go. */
#include <linux/atomic.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "importer.h"

static atomic_long_t last_id;

static int may_access(const struct dma_buf *buffer, u32 access)
{
	fmode_t mode = buffer->file->f_mode;

	if (!access || (access & ~(u32)(SHM_IMPORT_READ | SHM_IMPORT_WRITE)))
		return -EINVAL;
	if ((access & SHM_IMPORT_READ) && !(mode & FMODE_READ))
		return -EACCES;
	if ((access & SHM_IMPORT_WRITE) && !(mode & FMODE_WRITE))
		return -EACCES;
	return 0;
}

struct shm_import *import_new(struct coprocessor *coprocessor, struct dma_buf *buffer, u32 access,
			      const void *owner)
{
	u64 limit = coprocessor_limit(), used = coprocessor->attached + coprocessor->held;
	struct shm_import *import;
	int error;

	error = may_access(buffer, access);
	if (error)
		return ERR_PTR(error);
	if (coprocessor->gone)
		return ERR_PTR(-ENODEV);
	if (!coprocessor->running)
		return ERR_PTR(-EHOSTDOWN);
	if (used > limit || buffer->size > limit - used)
		return ERR_PTR(-EDQUOT);

	import = kzalloc(sizeof(*import), GFP_KERNEL);
	if (!import)
		return ERR_PTR(-ENOMEM);
	import->coprocessor = coprocessor;
	import->owner = owner;
	import->id = atomic_long_inc_return(&last_id);
	import->run = coprocessor->run;
	import->access = access;
	import->uid = current_euid();
	import->pid = task_tgid_nr(current);
	get_task_comm(import->program, current);
	error = mapping_make(import, buffer);
	if (error)
		goto free_import;
	error = xa_insert(&coprocessor->imports, import->id, import, GFP_KERNEL);
	if (error)
		goto end_mapping;
	coprocessor->attached += buffer->size;
	return import;

end_mapping:
	mapping_end(import);
free_import:
	kfree(import);
	return ERR_PTR(error);
}

static void import_free(struct shm_import *import)
{
	xa_erase(&import->coprocessor->imports, import->id);
	mapping_end(import);
	kfree(import);
}

/* What is counted for it stays the same when the device goes before its owner. */
static u64 size_of(const struct shm_import *import)
{
	return import->table ? import->buffer->size : 0;
}

void import_release(struct shm_import *import, bool unshared)
{
	struct coprocessor *coprocessor = import->coprocessor;
	u64 size = size_of(import);
	bool held = !import->owner;

	if (import->owner)
		coprocessor->attached -= size;
	else
		coprocessor->held -= size;
	if ((unshared && !coprocessor->gone) || !import->table ||
	    import->run <= coprocessor->stopped) {
		import_free(import);
		if (held)
			module_put(THIS_MODULE);
		return;
	}
	/* It outlives all descriptors, and the module must outlive it. */
	if (!held)
		__module_get(THIS_MODULE);
	import->owner = NULL;
	coprocessor->held += size;
	xa_set_mark(&coprocessor->imports, import->id, IMPORT_HELD);
}

void import_drop_stopped(struct coprocessor *coprocessor)
{
	struct shm_import *import;
	unsigned long id;

	xa_for_each_marked(&coprocessor->imports, id, import, IMPORT_HELD) {
		if (import->run <= coprocessor->stopped)
			import_release(import, true);
	}
}

void import_leave_domain(struct coprocessor *coprocessor)
{
	struct shm_import *import;
	unsigned long id;

	xa_for_each(&coprocessor->imports, id, import)
		mapping_leave_domain(import);
}

bool import_unmap_all(struct coprocessor *coprocessor)
{
	struct shm_import *import;
	unsigned long id;
	bool all = true;

	xa_for_each(&coprocessor->imports, id, import) {
		if (import->run > coprocessor->stopped) {
			all = false;
		} else if (!import->owner) {
			import_release(import, true);
		} else {
			coprocessor->attached -= size_of(import);
			mapping_end(import);
		}
	}
	return all;
}
