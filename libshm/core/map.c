/* SPDX-License-Identifier: BSD-3-Clause */
/* The program's mappings: one for each memory, kept until the memory goes. */
#include "core.h"

#define READ_WRITE (METAL_SHM_READ | METAL_SHM_WRITE)

/*
 * Mapped for writing where that is allowed, so that readers and writers share one address. What the
 * program asked for is counted apart: it is the evidence of what the CPU may have written.
 */
static int map_memory(struct shm__root *root, int prot)
{
	const struct metal_shm_device_ops *ops = root->src->ops;
	const struct metal_shm_range all = { 0, root->memory.size };
	void *address;
	int error, have = READ_WRITE;

	if (!ops->map)
		return shm__error(ENOTSUP, "%s can't be mapped by the CPU", root->src->name);
	error = ops->map(root->src, &root->memory, have, &address);
	if (error == -EACCES && !(prot & METAL_SHM_WRITE)) {
		have = METAL_SHM_READ;
		error = ops->map(root->src, &root->memory, have, &address);
	}
	if (error)
		return error;
	/* an END before any START is refused by udmabuf; this one moves nothing */
	if (ops->sync_for_cpu && !root->coherence.started && !root->coherence.device_dirty) {
		error = ops->sync_for_cpu(root->src, &root->memory, &all, METAL_SHM_DIR_DEV_R);
		if (error) {
			ops->unmap(root->src, &root->memory, address, root->memory.size);
			return error;
		}
		root->coherence.started = true;
		shm__count(root, root->src, SHM__STARTS, 1);
	}
	root->address = address;
	root->prot = have;
	shm__count(root, root->src, SHM__MAPPINGS, 1);
	return 0;
}

void *metal_shm_map(struct metal_generic_shm *shm, int prot)
{
	struct shm__root *root;
	void *address = NULL;
	int error = shm__handle_check(shm);

	if (error)
		return NULL;
	if (!prot || prot & ~READ_WRITE) {
		shm__error(EINVAL, "metal_shm_map: prot is METAL_SHM_READ, _WRITE or both");
		return NULL;
	}
	root = shm->root;
	shm__mutex_lock(&root->lock);
	if (!root->address)
		error = map_memory(root, prot);
	if (!error && (root->prot & prot) != prot)
		error = shm__error(EACCES, "%s: the memory is read-only", root->src->name);
	if (!error) {
		for (int i = 0; i < 2; i++) {
			if (!(prot & (1 << i)))
				continue;
			shm->map_users[i]++;
			root->map_users[i]++;
		}
		if (prot & METAL_SHM_WRITE)
			root->written = true;
		address = (char *)root->address + shm->offset;
	}
	shm__mutex_unlock(&root->lock);
	if (error)
		shm__os_set_errno(-error);
	return address;
}

int metal_shm_unmap(struct metal_generic_shm *shm, int prot)
{
	struct shm__root *root;
	int error = shm__handle_check(shm);

	if (error)
		return error;
	root = shm->root;
	shm__mutex_lock(&root->lock);
	if (!prot || prot & ~READ_WRITE || ((prot & METAL_SHM_READ) && !shm->map_users[0]) ||
	    ((prot & METAL_SHM_WRITE) && !shm->map_users[1]))
		error = shm__error(EINVAL, "metal_shm_unmap: it was not mapped so");
	for (int i = 0; !error && i < 2; i++) {
		if (!(prot & (1 << i)))
			continue;
		shm->map_users[i]--;
		root->map_users[i]--;
	}
	shm__mutex_unlock(&root->lock);
	return error;
}

int metal_shm_importer_map(const struct metal_shm_attachment *at, int prot, void **ret_address)
{
	struct shm__root *root;
	void *address;
	int error;

	if (!at || !ret_address || !prot || prot & ~READ_WRITE)
		return shm__error(EINVAL, "metal_shm_importer_map: NULL or a wrong prot");
	error = shm__handle_alive(at->shm);
	if (error)
		return error;
	root = at->shm->root;
	if (!root->src->ops->map)
		return shm__error(ENOTSUP, "%s can't be mapped by the CPU", root->src->name);
	error = root->src->ops->map(root->src, &root->memory, prot, &address);
	if (error)
		return error;
	shm__count(root, root->src, SHM__MAPPINGS, 1);
	*ret_address = (char *)address + at->range.offset;
	return 0;
}

void metal_shm_importer_unmap(const struct metal_shm_attachment *at, void *address)
{
	struct shm__root *root;

	if (!at || !address || shm__handle_alive(at->shm)) {
		shm__misuse("metal_shm_importer_unmap", "not an attachment");
		return;
	}
	root = at->shm->root;
	root->src->ops->unmap(root->src, &root->memory, (char *)address - at->range.offset,
			      root->memory.size);
}
