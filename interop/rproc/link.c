/* SPDX-License-Identifier: BSD-3-Clause */
/* Records to and from the firmware, and whoever waits for them. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "internal.h"

/* Records taken in by one dispatch: a firmware that floods keeps nobody for ever. */
#define BURST 64
/* Dispatches that may find records alone, before the timer and the module are looked at too. */
#define LOOK_EACH 16

enum { FROM_ENDPOINT = 1, FROM_TIMER, FROM_IMPORTER };

int shm__rproc_code_error(enum shm__code code)
{
	switch (code) {
	case SHM__CODE_OK:
		return 0;
	case SHM__CODE_AGAIN:
		return EAGAIN;
	case SHM__CODE_DOWN:
		return ENOTCONN;
	case SHM__CODE_FULL:
		return ENOSPC;
	case SHM__CODE_HELD:
		return EBUSY;
	case SHM__CODE_DIRECTION:
		return EACCES;
	case SHM__CODE_REFUSED:
		return ECONNREFUSED;
	case SHM__CODE_NO_MEMORY:
		return ENOMEM;
	case SHM__CODE_VERSION:
	case SHM__CODE_TYPE:
	case SHM__CODE_FIELD:
		return EPROTONOSUPPORT;
	case SHM__CODE_CANCELLED:
		return ECANCELED;
	case SHM__CODE_INVALID:
		return EINVAL;
	default:
		return EIO;
	}
}

const char *shm__rproc_code_name(enum shm__code code)
{
	static const char *const names[] = {
		[SHM__CODE_OK] = "no error",
		[SHM__CODE_MALFORMED] = "a malformed record",
		[SHM__CODE_VERSION] = "no version of the protocol in common",
		[SHM__CODE_TYPE] = "a type of record it doesn't know",
		[SHM__CODE_FIELD] = "a field it doesn't know",
		[SHM__CODE_ORDER] = "a record out of order",
		[SHM__CODE_UNKNOWN] = "an unknown id",
		[SHM__CODE_STALE] = "an id of the past",
		[SHM__CODE_RANGE] = "bytes outside what is shared",
		[SHM__CODE_DIRECTION] = "more than was shared for",
		[SHM__CODE_HELD] = "it has the bytes already",
		[SHM__CODE_NOT_HELD] = "it doesn't have the bytes",
		[SHM__CODE_FULL] = "no room",
		[SHM__CODE_MEMORY] = "memory that it can't reach",
		[SHM__CODE_REFUSED] = "it doesn't want to",
		[SHM__CODE_FAILED] = "its work failed",
		[SHM__CODE_CANCELLED] = "it didn't do it",
		[SHM__CODE_NO_MEMORY] = "no memory",
	};

	return (size_t)code < sizeof(names) / sizeof(names[0]) ? names[code] : "an unknown error";
}

void shm__rproc_wake(struct shm__rproc *rproc)
{
	for (struct shm__rproc_waiter *waiter = rproc->waiters; waiter; waiter = waiter->next)
		eventfd_write(waiter->fd, 1);
}

/* With too much unsent nothing is taken in that might want an answer. */
static uint32_t wanted_events(const struct shm__rproc *rproc)
{
	return (shm__rproc_may_post(rproc) ? (uint32_t)EPOLLIN : 0) |
	       (rproc->unsent_count && !rproc->rings.shm ? (uint32_t)EPOLLOUT : 0);
}

static void watch_endpoint(struct shm__rproc *rproc)
{
	struct epoll_event event = { .events = wanted_events(rproc), .data.u32 = FROM_ENDPOINT };

	if (rproc->endpoint.fd < 0 || event.events == rproc->watched)
		return;
	epoll_ctl(rproc->epoll_fd, rproc->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD,
		  rproc->endpoint.fd, &event);
	rproc->watched = event.events;
}

/* It tells when a run of the core is over. */
void shm__rproc_watch_importer(struct shm__rproc *rproc)
{
	struct epoll_event event = { .events = EPOLLPRI, .data.u32 = FROM_IMPORTER };

	epoll_ctl(rproc->epoll_fd, EPOLL_CTL_ADD, rproc->importer_fd, &event);
}

int shm__rproc_events_open(struct shm__rproc *rproc)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = FROM_TIMER };

	rproc->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	rproc->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (rproc->epoll_fd < 0 || rproc->timer_fd < 0 ||
	    epoll_ctl(rproc->epoll_fd, EPOLL_CTL_ADD, rproc->timer_fd, &event))
		return metal_shm_set_error(errno, "no descriptor for %s's events: %s", rproc->id,
					   strerror(errno));
	return 0;
}

/* The endpoint is gone; what the core does with what it was given nobody knows then. */
void shm__rproc_link_lose(struct shm__rproc *rproc)
{
	if (rproc->endpoint.fd < 0)
		return;
	epoll_ctl(rproc->epoll_fd, EPOLL_CTL_DEL, rproc->endpoint.fd, NULL);
	shm__rproc_endpoint_close(&rproc->endpoint);
	rproc->watched = 0;
	rproc->session.up = false;
	rproc->readable = false;
	rproc->unsent_count = 0;
	shm__rproc_forget(rproc);
}

/* Whether the record went, or the endpoint is gone, which is the same to whoever sent it. */
static bool write_record(struct shm__rproc *rproc, const struct shm__out *out)
{
	ssize_t size;

	do {
		size = rproc->rings.shm ? shm__rproc_rings_send(rproc, out)
					: write(rproc->endpoint.fd, out->data, out->size);
	} while (size < 0 && errno == EINTR);
	if (size >= 0)
		return true;
	if (errno == EAGAIN)
		return false;
	shm__rproc_link_lose(rproc);
	return true;
}

static void send_unsent(struct shm__rproc *rproc)
{
	while (rproc->unsent_count && write_record(rproc, &rproc->unsent[rproc->unsent_head])) {
		if (!rproc->unsent_count)
			return; /* the endpoint went */
		rproc->unsent_head = (rproc->unsent_head + 1) % SHM__RPROC_UNSENT;
		rproc->unsent_count--;
	}
	watch_endpoint(rproc);
}

/* Half of the room is for what the other side makes us say. */
bool shm__rproc_may_post(const struct shm__rproc *rproc)
{
	return rproc->unsent_count < SHM__RPROC_UNSENT / 2;
}

void shm__rproc_post(struct shm__rproc *rproc, const struct shm__out *out)
{
	if (!out->size || rproc->endpoint.fd < 0)
		return;
	if (!rproc->unsent_count && write_record(rproc, out))
		return;
	if (rproc->unsent_count == SHM__RPROC_UNSENT) {
		shm__rproc_link_lose(rproc); /* a record less, and the session is no more true */
		return;
	}
	rproc->unsent[(rproc->unsent_head + rproc->unsent_count++) % SHM__RPROC_UNSENT] = *out;
	watch_endpoint(rproc);
	if (rproc->rings.shm)
		shm__rproc_arm(rproc); /* nothing else tells that a ring has room */
}

uint32_t shm__rproc_random(void)
{
	uint32_t number = 0;

	while (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number) || !number)
		;
	return number;
}

/* Begin to talk to the firmware, which answers later. */
int shm__rproc_link_open(struct shm__rproc *rproc)
{
	const struct shm__session_setup setup = {
		.mine = { .shares = rproc->shares,
			  .gives = rproc->gives,
			  .share_count = SHM__RPROC_SHARES,
			  .give_count = SHM__RPROC_GIVES },
		.session = shm__rproc_random(),
		.window = rproc->rings.shm && rproc->rings.slots < SHM__RPROC_WINDOW
				  ? rproc->rings.slots
				  : SHM__RPROC_WINDOW,
	};
	int error = rproc->rings.shm ? shm__rproc_rings_open(rproc, &rproc->endpoint)
				     : shm__rproc_endpoint_open(rproc, &rproc->endpoint);
	struct shm__session before = rproc->session;
	struct shm__out out;

	if (error)
		return error;
	rproc->epoch = shm__rproc_epoch(rproc->id);
	rproc->unsent_head = rproc->unsent_count = 0;
	rproc->no_version = rproc->seen_off = false;
	shm__session_init(&rproc->session, &setup);
	rproc->session.faults = before.faults;
	rproc->session.stale = before.stale;
	rproc->session.skipped = before.skipped;
	rproc->session.refusals = before.refusals;
	watch_endpoint(rproc);
	shm__session_begin(&rproc->session, setup.session, &out);
	shm__rproc_post(rproc, &out);
	return 0;
}

static void look_for_events(struct shm__rproc *rproc)
{
	struct epoll_event events[3];
	int n = epoll_wait(rproc->epoll_fd, events, 3, 0);

	for (int i = 0; i < n; i++) {
		if (events[i].data.u32 == FROM_TIMER) {
			uint64_t times;

			if (read(rproc->timer_fd, &times, sizeof(times)) == sizeof(times))
				shm__rproc_tick(rproc);
			continue;
		}
		if (events[i].data.u32 == FROM_IMPORTER) {
			rproc->ending = true;
			shm__rproc_tick(rproc);
			continue;
		}
		if (events[i].events & EPOLLOUT)
			send_unsent(rproc);
		if (events[i].events & ~(uint32_t)EPOLLOUT)
			rproc->readable = rproc->endpoint.fd >= 0;
	}
	if (rproc->rings.shm && rproc->unsent_count)
		send_unsent(rproc);
}

/* One record; false: there is none, or no room to answer. */
static bool take_one(struct shm__rproc *rproc, struct shm__rproc_work *work)
{
	uint8_t data[512]; /* more than a record may have, so that a longer one is seen */
	ssize_t size;

	if (!rproc->readable || !shm__rproc_may_post(rproc))
		return false;
	size = rproc->rings.shm ? shm__rproc_rings_receive(rproc, data)
				: read(rproc->endpoint.fd, data, sizeof(data));
	if (size < 0) {
		if (errno == EINTR)
			return true;
		rproc->readable = false;
		if (errno != EAGAIN)
			shm__rproc_link_lose(rproc);
		return false;
	}
	shm__rproc_take(rproc, data, (size_t)size, work);
	return true;
}

static void perform(struct shm__rproc *rproc, const struct shm__rproc_work *work)
{
	if (work->unhold)
		metal_shm_unhold(work->unhold, rproc->dev, work->error);
	if (work->detach)
		metal_shm_detach(work->detach, rproc->dev);
	if (work->free)
		metal_shm_free(work->free, NULL);
	if (work->end)
		shm__rproc_map_end(rproc, work->end);
	if (work->request.tag)
		shm__rproc_answer(rproc, &work->request);
}

/* What else there is than records is looked at when there are none, and now and then. */
static void begin_dispatch(struct shm__rproc *rproc, bool *ret_looked)
{
	pthread_mutex_lock(&rproc->lock);
	rproc->dispatching++;
	rproc->readable = rproc->endpoint.fd >= 0;
	*ret_looked = !rproc->readable || rproc->unsent_count || ++rproc->turns % LOOK_EACH == 0;
	if (*ret_looked)
		look_for_events(rproc);
	pthread_mutex_unlock(&rproc->lock);
}

static void end_dispatch(struct shm__rproc *rproc)
{
	pthread_mutex_lock(&rproc->lock);
	watch_endpoint(rproc);
	if (!--rproc->dispatching && rproc->due)
		shm__rproc_kick(rproc);
	pthread_mutex_unlock(&rproc->lock);
}

int shm__rproc_dispatch(struct metal_device *dev)
{
	struct shm__rproc *rproc = shm__rproc_of(dev);
	bool more = true, looked;

	begin_dispatch(rproc, &looked);
	for (unsigned i = 0; more && i < BURST; i++) {
		struct shm__rproc_work work = { .unhold = NULL };

		pthread_mutex_lock(&rproc->lock);
		more = shm__rproc_due(rproc, &work) || take_one(rproc, &work);
		if (!more && !looked && !i) {
			look_for_events(rproc);
			looked = more = true;
		}
		pthread_mutex_unlock(&rproc->lock);
		perform(rproc, &work);
	}
	end_dispatch(rproc);
	return 0;
}

static int sleep_until(const struct shm__rproc *rproc, int fd, int64_t deadline_ns)
{
	struct pollfd fds[] = { { .fd = rproc->epoll_fd, .events = POLLIN },
				{ .fd = fd, .events = POLLIN } };
	int64_t left = deadline_ns < 0 ? 0 : deadline_ns - shm__rproc_now_ns();
	struct timespec time = { left / 1000000000, left % 1000000000 };

	if (left < 0 || (!left && deadline_ns >= 0))
		return -ETIMEDOUT;
	ppoll(fds, 2, deadline_ns < 0 ? NULL : &time, NULL);
	return 0;
}

static int look_again(struct shm__rproc *rproc, int (*look)(struct shm__rproc *rproc, void *user),
		      void *user)
{
	int answer;

	pthread_mutex_lock(&rproc->lock);
	answer = look(rproc, user);
	pthread_mutex_unlock(&rproc->lock);
	return answer;
}

static int wait_long(struct shm__rproc *rproc, int64_t deadline_ns, int fd,
		     int (*look)(struct shm__rproc *rproc, void *user), void *user)
{
	eventfd_t count;
	int answer;

	for (;;) {
		answer = look_again(rproc, look, user);
		if (answer != -EAGAIN)
			return answer;
		answer = sleep_until(rproc, fd, deadline_ns);
		eventfd_read(fd, &count);
		shm__rproc_dispatch(rproc->dev);
		if (answer) {
			int last = look_again(rproc, look, user);

			return last == -EAGAIN ? answer : last;
		}
	}
}

int shm__rproc_wait(struct shm__rproc *rproc, int64_t deadline_ns,
		    int (*look)(struct shm__rproc *rproc, void *user), void *user)
{
	struct shm__rproc_waiter waiter, **at = &rproc->waiters;
	int answer = look_again(rproc, look, user);

	if (answer == -EAGAIN) {
		shm__rproc_dispatch(rproc->dev);
		answer = look_again(rproc, look, user);
	}
	if (answer != -EAGAIN)
		return answer;
	waiter.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (waiter.fd < 0)
		return metal_shm_set_error(errno, "no descriptor left to wait with");
	pthread_mutex_lock(&rproc->lock);
	waiter.next = rproc->waiters;
	rproc->waiters = &waiter;
	pthread_mutex_unlock(&rproc->lock);
	answer = wait_long(rproc, deadline_ns, waiter.fd, look, user);
	pthread_mutex_lock(&rproc->lock);
	while (*at != &waiter)
		at = &(*at)->next;
	*at = waiter.next;
	pthread_mutex_unlock(&rproc->lock);
	close(waiter.fd);
	return answer;
}
