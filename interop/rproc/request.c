/* SPDX-License-Identifier: BSD-3-Clause */
/* The core asks for memory: the program grants it or not. */
#include <errno.h>

#include "internal.h"

int metal_shm_rproc_on_request(struct metal_device *dev,
			       int (*grant)(void *user, uint64_t size, metal_shm_type type,
					    struct metal_generic_shm **ret),
			       void *user)
{
	struct shm__rproc *rproc = shm__rproc_of(dev);

	if (!rproc)
		return -errno;
	pthread_mutex_lock(&rproc->lock);
	rproc->grant = grant;
	rproc->grant_user = user;
	pthread_mutex_unlock(&rproc->lock);
	return 0;
}

/* Not more than there can be requests, so that there is room. */
static void refuse(struct shm__rproc *rproc, uint32_t tag, int error)
{
	pthread_mutex_lock(&rproc->lock);
	if (rproc->refusal_count < SHM__SESSION_REQUESTS) {
		rproc->refusals[rproc->refusal_count++] = (struct shm__wire_refuse){
			.tag = tag,
			.code = error == -ENOMEM ? SHM__CODE_NO_MEMORY : SHM__CODE_REFUSED,
		};
		rproc->queued++;
		shm__rproc_flush(rproc);
	}
	pthread_mutex_unlock(&rproc->lock);
}

static void set_grant(struct shm__rproc *rproc, struct shm__rproc_map *map,
		      struct metal_generic_shm *shm)
{
	pthread_mutex_lock(&rproc->lock);
	map->grant = shm;
	pthread_mutex_unlock(&rproc->lock);
}

/* The reference is the core's from here on, until it says that it uses it no more. */
static int hand_out(struct shm__rproc *rproc, struct metal_generic_shm *shm, uint32_t tag)
{
	struct metal_generic_shm *view = metal_shm_attach(shm, rproc->dev);
	struct shm__rproc_map *map;
	int error;

	if (!view)
		return -errno;
	map = metal_shm_view_data(view, rproc->dev);
	set_grant(rproc, map, shm);
	error = shm__rproc_share(rproc, shm, METAL_SHM_DIR_DEV_RW, tag, NULL);
	if (error) {
		set_grant(rproc, map, NULL);
		metal_shm_detach(view, rproc->dev);
		return error;
	}
	/* what this can't do the firmware sees: it isn't given the bytes */
	metal_shm_sync_for_device_timeout(shm, rproc->dev, METAL_SHM_DIR_DEV_RW, 0);
	return 0;
}

void shm__rproc_answer(struct shm__rproc *rproc, const struct shm__wire_request *request)
{
	int (*grant)(void *user, uint64_t size, metal_shm_type type,
		     struct metal_generic_shm **ret);
	struct metal_generic_shm *shm = NULL;
	void *user;
	int error;

	pthread_mutex_lock(&rproc->lock);
	grant = rproc->closed ? NULL : rproc->grant;
	user = rproc->grant_user;
	pthread_mutex_unlock(&rproc->lock);
	error = grant ? grant(user, request->size, request->type, &shm) : -ECONNREFUSED;
	if (!error && (!shm || metal_shm_size(shm) < request->size))
		error = -ENOMEM;
	if (!error)
		error = hand_out(rproc, shm, request->tag);
	if (!error)
		return;
	if (shm)
		metal_shm_free(shm, NULL);
	refuse(rproc, request->tag, error);
}
