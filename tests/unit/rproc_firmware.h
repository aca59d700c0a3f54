/* SPDX-License-Identifier: BSD-3-Clause */
/* A firmware for tests of interop/rproc: the other end of the protocol, on the fake endpoint's socket. */
#ifndef RPROC_FIRMWARE_H
#define RPROC_FIRMWARE_H

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <shm/frame.h>
#include <shm/linux.h>
#include <shm/rproc.h>

#include "fake_rproc.h"
#include "ring_end.h"
#include "session.h"
#include "shm_test.h"

#define FIRMWARE_SHARES 4
#define FIRMWARE_GIVES  4

struct firmware {
	int fd;
	struct shm__ring_end *in, *out; /* instead of the descriptor; out NULL: none */
	struct shm__session session;
	struct shm__share shares[FIRMWARE_SHARES];
	struct shm__give gives[FIRMWARE_GIVES];
	char log[64]; /* a letter for each event: U S G R N X M E, see firmware_step() */
	struct shm__wire_share share; /* the last that was shared */
	struct shm__wire_range range; /* the last that was given or asked back */
	struct shm__wire_error error; /* the last */
	uint32_t ended;               /* id of the last UNSHARE */
	uint32_t refused;             /* code of the last REFUSE */
	struct shm__out sent;         /* the last record */
};

static inline void firmware_init(struct firmware *f, uint32_t number, uint32_t window)
{
	struct shm__session_setup setup = {
		.theirs = { .shares = f->shares,
			    .gives = f->gives,
			    .share_count = FIRMWARE_SHARES,
			    .give_count = FIRMWARE_GIVES },
		.session = number,
		.window = window,
	};

	memset(f, 0, sizeof(*f));
	shm__session_init(&f->session, &setup);
}

static inline void firmware_begin(struct firmware *f, uint32_t number, uint32_t window)
{
	firmware_init(f, number, window);
	f->fd = fake_rproc_firmware_fd();
	assert_true(f->fd >= 0);
}

static inline void firmware_begin_rings(struct firmware *f, uint32_t number,
					struct shm__ring_end *in, struct shm__ring_end *out)
{
	firmware_init(f, number, in->slots);
	firmware_init(f, number, in->slots);
	f->in = in;
	f->out = out;
}

static inline void firmware_post(struct firmware *f, const struct shm__out *out)
{
	if (!out->size)
		return;
	f->sent = *out;
	if (f->out)
		assert_true(shm__ring_put(f->out, out->data, out->size));
	else
		assert_int_equal(send(f->fd, out->data, out->size, MSG_NOSIGNAL), out->size);
}

/* One record; false: there is none. */
static inline bool firmware_step(struct firmware *f)
{
	static const char letters[] = " USGRCQNXVMEP";
	uint8_t data[512];
	struct shm__event event;
	struct shm__out out;
	size_t at = strlen(f->log);
	ssize_t size;

	if (f->in)
		size = (ssize_t)shm__ring_take(f->in, data);
	else
		size = recv(f->fd, data, sizeof(data), MSG_DONTWAIT);
	if (size < 0 || (f->in && !size))
		return false;
	shm__session_receive(&f->session, data, (size_t)size, &event, &out);
	firmware_post(f, &out);
	if (event.kind == SHM__EVENT_NONE)
		return true;
	assert_true(at + 1 < sizeof(f->log));
	f->log[at] = letters[event.kind];
	f->log[at + 1] = '\0';
	if (event.kind == SHM__EVENT_SHARED)
		f->share = event.record.share;
	if (event.kind == SHM__EVENT_GIVEN || event.kind == SHM__EVENT_RECALLED)
		f->range = event.record.range;
	if (event.kind == SHM__EVENT_ERROR)
		f->error = event.record.error;
	if (event.kind == SHM__EVENT_UNSHARE)
		f->ended = event.record.unshare.id;
	if (event.kind == SHM__EVENT_REFUSED)
		f->refused = event.record.refuse.code;
	return true;
}

static inline void firmware_run(struct firmware *f)
{
	while (firmware_step(f))
		;
}

/* Give back what was given last. */
static inline void firmware_return(struct firmware *f, enum shm__code code)
{
	struct shm__out out;

	assert_int_equal(shm__session_return(&f->session, f->range.id, f->range.offset,
					     f->range.length, code, &out),
			 SHM__CODE_OK);
	firmware_post(f, &out);
}

static inline void firmware_unshared(struct firmware *f, uint32_t id)
{
	struct shm__out out;

	assert_int_equal(shm__session_unshared(&f->session, id, &out), SHM__CODE_OK);
	firmware_post(f, &out);
}

#endif
