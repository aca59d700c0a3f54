/* SPDX-License-Identifier: BSD-3-Clause */
/* What goes out: at once where the other process takes it, else in the order in which it was wished. */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer.h"

int shm__peer_errno(enum shm__code code)
{
	switch (code) {
	case SHM__CODE_OK:
		return 0;
	case SHM__CODE_DIRECTION:
		return -EACCES;
	case SHM__CODE_HELD:
		return -EBUSY;
	case SHM__CODE_FULL:
		return -ENOSPC;
	case SHM__CODE_DOWN:
	case SHM__CODE_UNKNOWN:
		return -ENODEV;
	default:
		return -EIO;
	}
}

static enum shm__code share(struct shm__peer *peer, struct shm__peer_out *memory,
			    struct shm__out *out)
{
	const struct shm__wire_share what = {
		.size = memory->root->size,
		.dir = memory->dir,
		.tag = memory->tag,
		.flags = SHM__SHARE_DESCRIPTOR,
	};

	return shm__session_share(&peer->session, &what, memory, &memory->id, out);
}

static enum shm__code speak(struct shm__peer *peer, const struct shm__peer_wish *wish,
			    const void *data, struct shm__out *out)
{
	struct shm__session *session = &peer->session;

	out->size = 0;
	switch (wish->type) {
	case SHM__RECORD_SHARE:
		return share(peer, wish->out, out);
	case SHM__RECORD_GIVE:
		return shm__session_give(session, wish->lot->out->id, wish->lot->offset,
					 wish->lot->size, wish->dir, out);
	case SHM__RECORD_RETURN:
		return shm__session_return(session, wish->id, wish->offset, wish->size, wish->code,
					   out);
	case SHM__RECORD_RECALL:
		return shm__session_recall(session, wish->out->id, wish->offset, wish->size, out);
	case SHM__RECORD_REQUEST:
		return shm__session_request(session, wish->size, wish->memory, &wish->asked->tag,
					    out);
	case SHM__RECORD_REFUSE:
		return shm__session_refuse(session, wish->id, wish->code, out);
	case SHM__RECORD_UNSHARE:
		return shm__session_unshare(session, wish->id, out);
	case SHM__RECORD_UNSHARED:
		return shm__session_unshared(session, wish->id, out);
	default:
		return shm__session_send(session, data, wish->length, out);
	}
}

/* Records would be missing from here on. Whoever reads the socket hears that it has ended. */
static void hang_up(struct shm__peer *peer)
{
	shutdown(peer->fd, SHUT_RDWR);
}

/* False: there is no room now, for the record or for its descriptor on the way. */
static bool sent(struct shm__peer *peer, const struct shm__out *out, int beside)
{
	int error = shm__channel_send(peer->fd, out->data, out->size, beside, false);

	if (error == -EAGAIN || error == -ETOOMANYREFS || error == -ENOBUFS || error == -ENOMEM)
		return false;
	/* the other process may have closed the half alone that it reads */
	if (error)
		hang_up(peer);
	return true;
}

/* Into the socket, or into what waits for room in it. */
static void transmit(struct shm__peer *peer, const struct shm__out *out, int beside)
{
	if (!peer->unsent_count && sent(peer, out, beside))
		return;
	if (peer->unsent_count == SHM__PEER_UNSENT)
		return; /* answers to one who doesn't read them */
	if (!peer->unsent_count && beside >= 0) {
		peer->unsent_fd = fcntl(beside, F_DUPFD_CLOEXEC, 0);
		if (peer->unsent_fd < 0)
			hang_up(peer);
	}
	peer->unsent[peer->unsent_count++] = *out;
}

void shm__peer_answer(struct shm__peer *peer, const struct shm__out *out)
{
	if (out->size)
		transmit(peer, out, -1);
}

/* True: nothing waits for room in the socket any more. */
static bool send_rest(struct shm__peer *peer)
{
	unsigned done = 0;

	while (done < peer->unsent_count &&
	       sent(peer, &peer->unsent[done], done ? -1 : peer->unsent_fd))
		done++;
	if (done && peer->unsent_fd >= 0) {
		close(peer->unsent_fd);
		peer->unsent_fd = -1;
	}
	peer->unsent_count -= done;
	memmove(peer->unsent, peer->unsent + done, peer->unsent_count * sizeof(peer->unsent[0]));
	return !peer->unsent_count;
}

static bool has_to_wait(enum shm__code code)
{
	return code == SHM__CODE_AGAIN || code == SHM__CODE_DOWN;
}

static enum shm__code say_now(struct shm__peer *peer, const struct shm__peer_wish *wish,
			      const void *data)
{
	struct shm__out out;
	enum shm__code code = speak(peer, wish, data, &out);

	if (!code)
		transmit(peer, &out,
			 wish->type == SHM__RECORD_SHARE ? wish->out->root->memory.os_handle : -1);
	return code;
}

static int say_later(struct shm__peer *peer, const struct shm__peer_wish *wish, const void *data)
{
	struct shm__peer_wish *copy = shm__os_alloc(sizeof(*copy) + wish->length);

	if (!copy)
		return shm__error(ENOMEM, "%s: no memory for what is to be said", peer->dev->name);
	*copy = *wish;
	if (wish->length)
		memcpy(copy->data, data, wish->length);
	copy->next = NULL;
	*peer->wishes_end = copy;
	peer->wishes_end = &copy->next;
	return 0;
}

int shm__peer_say(struct shm__peer *peer, const struct shm__peer_wish *wish, const void *data)
{
	enum shm__code code = SHM__CODE_AGAIN;

	if (peer->dead)
		return shm__error(-peer->dead, "%s has ended", peer->dev->name);
	if (!peer->wishes && !peer->unsent_count)
		code = say_now(peer, wish, data);
	if (has_to_wait(code))
		return say_later(peer, wish, data);
	if (code)
		return shm__error(-shm__peer_errno(code), "%s: %s", peer->dev->name,
				  code == SHM__CODE_FULL ? "it has no room to remember more"
							 : "it takes the bytes no more");
	return 0;
}

static void fail(struct shm__peer *peer, struct shm__peer_wish *wish)
{
	if (wish->type == SHM__RECORD_SHARE)
		wish->out->gone = true;
	if (wish->type == SHM__RECORD_REQUEST)
		wish->asked->error = -EBUSY;
	if (wish->type == SHM__RECORD_GIVE) {
		wish->next = peer->failed;
		peer->failed = wish;
	} else {
		shm__os_free(wish);
	}
}

void shm__peer_flush(struct shm__peer *peer)
{
	while (send_rest(peer) && peer->wishes) {
		struct shm__peer_wish *wish = peer->wishes;
		enum shm__code code = say_now(peer, wish, wish->data);

		if (has_to_wait(code))
			return;
		peer->wishes = wish->next;
		if (!peer->wishes)
			peer->wishes_end = &peer->wishes;
		if (code)
			fail(peer, wish);
		else
			shm__os_free(wish);
	}
}

void shm__peer_forget(struct shm__peer *peer, const struct shm__peer_out *out)
{
	struct shm__peer_wish **at = &peer->wishes;

	while (*at) {
		struct shm__peer_wish *wish = *at;

		if (!out || wish->out == out || (wish->lot && wish->lot->out == out)) {
			*at = wish->next;
			shm__os_free(wish);
		} else {
			at = &wish->next;
		}
	}
	peer->wishes_end = at;
}
