/* SPDX-License-Identifier: BSD-3-Clause */
/* Telling the firmware of memory, giving it the bytes and asking for them back. */
#include <errno.h>
#include <string.h>

#include "internal.h"

#define RECOVERY_MS 2000 /* that the kernel may take to start a crashed core again */

int shm__rproc_not_connected(const struct shm__rproc *rproc)
{
	int state = shm__rproc_state(rproc);

	if (state < 0)
		return state;
	if (state == METAL_SHM_RPROC_RUNNING || state == METAL_SHM_RPROC_ATTACHED)
		return metal_shm_set_error(ENOTCONN, "%s runs, and its firmware doesn't answer",
					   rproc->id);
	return metal_shm_set_error(ENOTCONN, "%s is %s: start it", rproc->id,
				   shm__rproc_state_name(state));
}

/* Under the lock: whether there is a session, or what is done to get one. */
static int look_for_session(struct shm__rproc *rproc, void *user)
{
	int *why = user;

	if (rproc->session.up)
		return 0;
	if (rproc->no_version)
		return metal_shm_set_error(EPROTONOSUPPORT,
					   "%s's firmware speaks no version of the protocol that "
					   "this library does",
					   rproc->id);
	if (rproc->endpoint.fd >= 0)
		return -EAGAIN;
	*why = shm__rproc_link_open(rproc);
	return *why ? *why : -EAGAIN;
}

/* The kernel starts a core that has crashed again by itself, and reports it off in between. */
static bool is_recovered(struct shm__rproc *rproc)
{
	bool soon;

	pthread_mutex_lock(&rproc->lock);
	soon = rproc->stops && !rproc->off && shm__rproc_now_ms() - rproc->stopped_ms < RECOVERY_MS;
	pthread_mutex_unlock(&rproc->lock);
	return soon;
}

/*
 * What isn't there yet may come: a core that was started has to announce its service, and nothing tells of
 * that but looking.
 */
int shm__rproc_connect_until(struct shm__rproc *rproc, int64_t deadline_ns)
{
	const int64_t step_ns = 10000000;
	int error, why = 0, state;
	bool up;

	pthread_mutex_lock(&rproc->lock);
	up = rproc->session.up;
	pthread_mutex_unlock(&rproc->lock);
	if (up)
		return 0;
	for (;;) {
		int64_t now = shm__rproc_now_ns();
		int64_t until = now + step_ns;

		if (deadline_ns >= 0 && deadline_ns < until)
			until = deadline_ns;
		error = shm__rproc_wait(rproc, until, look_for_session, &why);
		if (error != -ETIMEDOUT)
			return error;
		state = shm__rproc_state(rproc);
		if (state < 0)
			return state;
		if (state != METAL_SHM_RPROC_RUNNING && state != METAL_SHM_RPROC_ATTACHED &&
		    state != METAL_SHM_RPROC_CRASHED && !is_recovered(rproc))
			return shm__rproc_not_connected(rproc);
		if (deadline_ns >= 0 && shm__rproc_now_ns() >= deadline_ns)
			break;
	}
	if (why == -EAGAIN)
		return metal_shm_set_error(ETIMEDOUT, "%s's firmware announced no service '%s'",
					   rproc->id, METAL_SHM_RPROC_SERVICE);
	return metal_shm_set_error(ETIMEDOUT, "%s's firmware doesn't answer", rproc->id);
}

int64_t shm__rproc_deadline(int64_t timeout_ns)
{
	int64_t now;

	if (timeout_ns < 0)
		return -1;
	now = shm__rproc_now_ns();
	return timeout_ns < INT64_MAX - now ? now + timeout_ns : INT64_MAX;
}

int64_t shm__rproc_patience(struct shm__rproc *rproc)
{
	int64_t patience_ns;

	pthread_mutex_lock(&rproc->lock);
	patience_ns = rproc->patience_ns;
	pthread_mutex_unlock(&rproc->lock);
	return shm__rproc_deadline(patience_ns);
}

int metal_shm_rproc_connect(struct metal_device *dev, int64_t timeout_ns)
{
	struct shm__rproc *rproc = shm__rproc_of(dev);

	return rproc ? shm__rproc_connect_until(rproc, shm__rproc_deadline(timeout_ns)) : -errno;
}

struct sharing {
	struct shm__rproc_map *map;
	struct shm__wire_share what;
	uint32_t id; /* that it got */
};

static void describe(const struct shm__rproc_map *map, enum metal_shm_dir dir, uint32_t tag,
		     const struct metal_shm_segment *table, struct shm__wire_share *ret)
{
	const struct metal_shm_segment *segments = table ? table : map->segments;
	size_t n = table ? 1 : map->segment_count;

	*ret = (struct shm__wire_share){
		.size = map->range.length,
		.tag = tag,
		.dir = (uint16_t)dir,
		.flags = table ? SHM__SHARE_TABLE : 0,
		.segments = (uint32_t)map->segment_count,
	};
	for (size_t i = 0; i < n; i++)
		ret->segment[i] = (struct shm__wire_segment){ segments[i].device_address,
							      segments[i].length };
}

/* What stands against it, that isn't the firmware's. */
static int check_map(const struct shm__rproc *rproc, const struct shm__rproc_map *map,
		     enum metal_shm_dir dir)
{
	if (map->gone)
		return metal_shm_set_error(ENODEV,
					   "%s was stopped since the buffer was attached: detach "
					   "it and attach it again",
					   rproc->id);
	if (map->give == SHM__RPROC_LOST)
		return metal_shm_set_error(EBUSY,
					   "the buffer is lost: %s has it since a session that is "
					   "over, and was not stopped",
					   rproc->id);
	if (map->id && map->dir != dir)
		return metal_shm_set_error(
			EBUSY, "the buffer is shared with %s for another direction", rproc->id);
	if ((dir & METAL_SHM_DIR_DEV_W) && map->read_only)
		return metal_shm_set_error(
			EACCES,
			"the memory's descriptor is for reading only: %s may not "
			"write it",
			rproc->id);
	return 0;
}

/* Under the lock. */
static int look_to_share(struct shm__rproc *rproc, void *user)
{
	struct sharing *sharing = user;
	struct shm__rproc_map *map = sharing->map;
	enum metal_shm_dir dir = (enum metal_shm_dir)sharing->what.dir;
	enum shm__code code;
	struct shm__out out;
	int error = check_map(rproc, map, dir);

	sharing->id = map->id;
	if (error || map->id)
		return error;
	if (!rproc->session.up)
		return shm__rproc_not_connected(rproc);
	if (!shm__rproc_may_post(rproc))
		return -EAGAIN;
	code = shm__session_share(&rproc->session, &sharing->what, map, &map->id, &out);
	if (code == SHM__CODE_AGAIN)
		return -EAGAIN;
	if (code == SHM__CODE_FULL)
		return metal_shm_set_error(ENOSPC, "%s has no room for one more shared buffer",
					   rproc->id);
	if (code)
		return metal_shm_set_error(shm__rproc_code_error(code), "%s: %s", rproc->id,
					   shm__rproc_code_name(code));
	sharing->id = map->id;
	map->dir = dir;
	map->over = 0;
	map->told = true;
	shm__rproc_post(rproc, &out);
	return 0;
}

/* The table that it has; that it gets, if it has none. Another thread may have been faster. */
static struct metal_generic_shm *set_table(struct shm__rproc *rproc, struct shm__rproc_map *map,
					   struct metal_generic_shm *table)
{
	pthread_mutex_lock(&rproc->lock);
	if (!map->table)
		map->table = table;
	table = map->table;
	pthread_mutex_unlock(&rproc->lock);
	return table;
}

static int make_table(struct shm__rproc *rproc, struct shm__rproc_map *map,
		      const struct metal_shm_segment **ret_segment)
{
	struct metal_generic_shm *table, *mine = NULL;
	size_t n;
	int error;

	*ret_segment = NULL;
	if (map->segment_count <= SHM__SEGMENTS_MAX)
		return 0;
	table = set_table(rproc, map, NULL);
	if (!table) {
		error = shm__rproc_table(rproc, map, &mine);
		if (error)
			return error;
		table = set_table(rproc, map, mine);
		if (table != mine)
			shm__rproc_table_end(rproc, mine);
	}
	return metal_shm_segments(table, ret_segment, &n);
}

int shm__rproc_share(struct shm__rproc *rproc, struct metal_generic_shm *shm,
		     enum metal_shm_dir dir, uint32_t tag, uint32_t *ret_id)
{
	struct sharing sharing = { .map = metal_shm_view_data(shm, rproc->dev) };
	const struct metal_shm_segment *table;
	/* who answers a request does so while it dispatches, which must not wait */
	int64_t deadline_ns = tag ? shm__rproc_deadline(0) : shm__rproc_patience(rproc);
	int error;

	if (!sharing.map)
		return -errno;
	pthread_mutex_lock(&rproc->lock);
	error = check_map(rproc, sharing.map, dir);
	pthread_mutex_unlock(&rproc->lock);
	if (!error)
		error = shm__rproc_connect_until(rproc, deadline_ns);
	if (!error)
		error = make_table(rproc, sharing.map, &table);
	if (error)
		return error;
	describe(sharing.map, dir, tag, table, &sharing.what);
	error = shm__rproc_wait(rproc, deadline_ns, look_to_share, &sharing);
	if (error == -ETIMEDOUT)
		return metal_shm_set_error(ETIMEDOUT, "%s takes no records", rproc->id);
	if (!error && ret_id)
		*ret_id = sharing.id;
	return error;
}

int metal_shm_rproc_share(struct metal_device *dev, struct metal_generic_shm *shm,
			  enum metal_shm_dir dir, uint32_t *ret_id)
{
	struct shm__rproc *rproc = shm__rproc_of(dev);

	if (!rproc)
		return -errno;
	if (dir < METAL_SHM_DIR_DEV_R || dir > METAL_SHM_DIR_DEV_RW)
		return metal_shm_set_error(EINVAL, "%d is not an enum metal_shm_dir", (int)dir);
	return shm__rproc_share(rproc, shm, dir, 0, ret_id);
}

static int not_shared(const struct shm__rproc *rproc, const struct shm__rproc_map *map)
{
	if (map->gone)
		return metal_shm_set_error(ENODEV,
					   "%s was stopped since the buffer was attached: detach "
					   "it and attach it again",
					   rproc->id);
	if (map->over == -ECONNRESET)
		return metal_shm_set_error(ENODEV,
					   "%s's firmware began anew and knows nothing of the "
					   "buffer: share it again",
					   rproc->id);
	if (map->over)
		return metal_shm_set_error(-map->over, "%s's firmware refused the buffer: %s",
					   rproc->id, strerror(-map->over));
	return metal_shm_set_error(ENOTCONN,
				   "%s's firmware doesn't know the buffer: metal_shm_rproc_share() "
				   "it first",
				   rproc->id);
}

/* Under the lock. */
static int give(struct shm__rproc *rproc, struct shm__rproc_map *map, enum metal_shm_dir dir)
{
	if (!map->id)
		return not_shared(rproc, map);
	if (map->give != SHM__RPROC_NOTHING)
		return metal_shm_set_error(EBUSY, "%s has the buffer already: take it back first",
					   rproc->id);
	if ((unsigned)dir & ~(unsigned)map->dir)
		return metal_shm_set_error(
			EACCES, "the buffer is shared with %s for less than is to be done",
			rproc->id);
	map->give = SHM__RPROC_QUEUED;
	map->give_dir = dir;
	map->wanted = map->recalled = map->late = false;
	rproc->queued++;
	shm__rproc_flush(rproc);
	shm__rproc_arm(rproc);
	return 0;
}

int shm__rproc_give(struct metal_device *dev, struct metal_shm_view *view,
		    const struct metal_shm_range *range, enum metal_shm_dir dir)
{
	struct shm__rproc *rproc = shm__rproc_of(dev);
	int error;

	(void)range; /* a view is given whole, as it was shared */
	pthread_mutex_lock(&rproc->lock);
	error = give(rproc, view->data, dir);
	pthread_mutex_unlock(&rproc->lock);
	return error;
}

static bool meets(const struct shm__rproc_map *map, const struct metal_shm_memory *memory,
		  const struct metal_shm_range *range)
{
	if (map->give == SHM__RPROC_NOTHING || map->give == SHM__RPROC_BACK || !map->view)
		return false;
	/* what stands for a copy or a window of its bytes knows only where it is itself */
	if (map->elsewhere)
		return true;
	return map->memory == memory && map->range.offset < range->offset + range->length &&
	       range->offset < map->range.offset + map->range.length;
}

/* Under the lock: whether somebody waits for bytes in vain. */
static bool want(struct shm__rproc *rproc, const struct metal_shm_memory *memory,
		 const struct metal_shm_range *range)
{
	bool lost = false;

	for (struct shm__rproc_map *map = rproc->maps; map; map = map->next) {
		if (!meets(map, memory, range))
			continue;
		if (!map->wanted)
			map->asked = shm__rproc_now_ms();
		map->wanted = true;
		lost |= map->late;
	}
	return lost;
}

/* Not asked of the firmware at once: mostly it gives the bytes back by itself a moment later. */
int shm__rproc_recall(struct metal_device *dev, const struct metal_shm_memory *memory,
		      const struct metal_shm_range *range)
{
	struct shm__rproc *rproc = shm__rproc_of(dev);
	bool lost;

	pthread_mutex_lock(&rproc->lock);
	lost = want(rproc, memory, range);
	if (lost) {
		shm__rproc_tick(rproc); /* unless the core was stopped meanwhile */
		lost = want(rproc, memory, range);
	}
	pthread_mutex_unlock(&rproc->lock);
	if (!lost)
		return 0;
	return metal_shm_set_error(ETIMEDOUT,
				   "%s doesn't give the buffer back: it is lost until the firmware "
				   "answers or the core is stopped",
				   rproc->id);
}
