/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A channel through shared memory, for a firmware without RPMsg: two rings of the protocol's, and what tells that
 * there is something in them. Where no doorbell reaches the program it looks by itself, at a timer's pace.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "way.h"

#define LOOK_NS   INT64_C(1000000)
#define SECOND_NS INT64_C(1000000000)
#define RW        (METAL_SHM_READ | METAL_SHM_WRITE)

size_t metal_shm_rproc_ring_size(uint32_t slots)
{
	return shm__ring_size(slots);
}

/* The words in it are never synced: both sides see each at once, or not at all. */
static int check_coherent(struct shm__rproc *rproc, const struct metal_generic_shm *shm)
{
	struct metal_shm_properties is = { .struct_size = sizeof(is) };
	int error = metal_shm_properties(shm, &is);

	if (error || is.coherent == METAL_SHM_YES || is.cached == METAL_SHM_NO)
		return error;
	if (shm__rproc_importer(rproc) >= 0 && rproc->coherent)
		return 0;
	return metal_shm_set_error(
		ENOTSUP,
		"%s: rings need memory that is coherent with it or uncached, and "
		"nobody says that this is",
		rproc->id);
}

static bool fits(size_t offset, size_t size, size_t all)
{
	return offset <= all && size <= all - offset;
}

static int check(struct shm__rproc *rproc, const struct metal_shm_rproc_rings *rings)
{
	size_t size = shm__ring_size(rings->slots), all = metal_shm_size(rings->shm);

	if (rings->struct_size < sizeof(*rings) || !size || rings->look_ns < 0 ||
	    rings->borrow_bell_fd < -1)
		return metal_shm_set_error(
			EINVAL,
			"rings need struct_size, a power of two of slots up to %u, "
			"a bell or -1 and no negative time",
			SHM__RING_SLOTS_MAX);
	if (!all)
		return -errno;
	if (!fits(rings->to_core, size, all) || !fits(rings->from_core, size, all))
		return metal_shm_set_error(ERANGE,
					   "a ring of %u slots has %zu bytes, and the memory %zu",
					   rings->slots, size, all);
	if (rings->to_core < rings->from_core + size && rings->from_core < rings->to_core + size)
		return metal_shm_set_error(EINVAL, "the two rings overlap");
	return check_coherent(rproc, rings->shm);
}

/* Those that lie there already go on, since a firmware may be using them, unless none runs. */
static int make(const struct shm__rproc *rproc, const struct shm__rproc_rings *rings)
{
	const uint32_t number = shm__rproc_random();
	struct shm__ring_end in, out;

	if (shm__rproc_state(rproc) != METAL_SHM_RPROC_OFFLINE &&
	    shm__ring_open(&in, SHM__RING_TAKES, rings->from, rings->size) &&
	    shm__ring_open(&out, SHM__RING_PUTS, rings->to, rings->size) &&
	    in.slots == rings->slots && out.slots == rings->slots)
		return 0;
	if (shm__ring_format(rings->from, rings->size, rings->slots, number) &&
	    shm__ring_format(rings->to, rings->size, rings->slots, number))
		return 0;
	return metal_shm_set_error(EINVAL, "a ring's address is a multiple of 64");
}

static int map(const struct metal_shm_rproc_rings *from, struct shm__rproc_rings *ret)
{
	unsigned char *bytes = metal_shm_map(from->shm, RW);

	if (!bytes)
		return -errno;
	*ret = (struct shm__rproc_rings){
		.shm = metal_shm_ref(from->shm),
		.to = bytes + from->to_core,
		.from = bytes + from->from_core,
		.size = shm__ring_size(from->slots),
		.slots = from->slots,
		.bell_fd = from->borrow_bell_fd,
		.look_ns = from->look_ns ? from->look_ns : LOOK_NS,
		.kick = from->kick,
		.user = from->user,
	};
	return 0;
}

void shm__rproc_rings_end(const struct shm__rproc_rings *rings)
{
	if (!rings->shm)
		return;
	metal_shm_unmap(rings->shm, RW);
	metal_shm_free(rings->shm, NULL);
}

static int replace(struct shm__rproc *rproc, struct shm__rproc_rings *rings)
{
	struct shm__rproc_rings before;
	int error = 0;

	pthread_mutex_lock(&rproc->lock);
	before = rproc->rings;
	if (rproc->endpoint.fd >= 0)
		error = metal_shm_set_error(EBUSY, "%s is connected already", rproc->id);
	else if (rings->shm)
		error = make(rproc, rings);
	if (!error)
		rproc->rings = *rings;
	pthread_mutex_unlock(&rproc->lock);
	shm__rproc_rings_end(error ? rings : &before);
	return error;
}

int metal_shm_rproc_set_rings(struct metal_device *dev, const struct metal_shm_rproc_rings *rings)
{
	struct shm__rproc *rproc = shm__rproc_of(dev);
	struct shm__rproc_rings next = { .shm = NULL };
	int error = 0;

	if (!rproc)
		return -errno;
	if (rings) {
		error = check(rproc, rings);
		if (!error)
			error = map(rings, &next);
	}
	return error ? error : replace(rproc, &next);
}

/* Nobody runs that could use them: what was broken, or left, is gone. Under the lock. */
void shm__rproc_rings_begin(struct shm__rproc *rproc)
{
	if (rproc->rings.shm)
		make(rproc, &rproc->rings);
}

static int open_bell(const struct shm__rproc_rings *rings)
{
	const struct timespec time = { rings->look_ns / SECOND_NS, rings->look_ns % SECOND_NS };
	const struct itimerspec pace = { .it_interval = time, .it_value = time };
	int fd;

	if (rings->bell_fd >= 0)
		return fcntl(rings->bell_fd, F_DUPFD_CLOEXEC, 0);
	fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (fd >= 0)
		timerfd_settime(fd, 0, &pace, NULL);
	return fd;
}

/* -EAGAIN without a reason: no core runs that could hear. */
int shm__rproc_rings_open(struct shm__rproc *rproc, struct shm__rproc_endpoint *ret)
{
	struct shm__rproc_rings *rings = &rproc->rings;
	int fd, state = shm__rproc_state(rproc);

	if (state != METAL_SHM_RPROC_RUNNING && state != METAL_SHM_RPROC_ATTACHED)
		return -EAGAIN;
	if (!shm__ring_open(&rings->in, SHM__RING_TAKES, rings->from, rings->size) ||
	    !shm__ring_open(&rings->out, SHM__RING_PUTS, rings->to, rings->size))
		return metal_shm_set_error(
			EPIPE, "%s's rings are broken: stop it, and start it again", rproc->id);
	fd = open_bell(rings);
	if (fd < 0)
		return metal_shm_set_error(errno, "no descriptor for %s's doorbell", rproc->id);
	ret->control_fd = -1;
	ret->fd = fd;
	return 0;
}

/* As write() and read() of the other kind of endpoint. Under the lock. */
ssize_t shm__rproc_rings_send(struct shm__rproc *rproc, const struct shm__out *out)
{
	struct shm__rproc_rings *rings = &rproc->rings;

	if (!shm__ring_put(&rings->out, out->data, out->size)) {
		errno = rings->out.broken ? EPIPE : EAGAIN;
		return -1;
	}
	if (rings->kick)
		rings->kick(rings->user);
	return (ssize_t)out->size;
}

static ssize_t take(struct shm__rproc_rings *rings, uint8_t *data)
{
	size_t size = shm__ring_take(&rings->in, data);

	if (size)
		return (ssize_t)size;
	errno = rings->in.broken ? EPIPE : EAGAIN;
	return -1;
}

/* Whoever rings after the bell was silenced has put its record before: look once more. */
ssize_t shm__rproc_rings_receive(struct shm__rproc *rproc, uint8_t data[static SHM__RECORD_MAX])
{
	ssize_t size = take(&rproc->rings, data);
	struct pollfd bell = { .fd = rproc->endpoint.fd, .events = POLLIN };
	uint64_t times;

	if (size >= 0 || errno != EAGAIN)
		return size;
	/* the program's own may be one that blocks */
	if (poll(&bell, 1, 0) == 1 && read(bell.fd, &times, sizeof(times)) < 0 && errno != EAGAIN &&
	    errno != EINTR)
		return -1;
	return take(&rproc->rings, data);
}
