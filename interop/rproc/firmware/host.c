/* SPDX-License-Identifier: BSD-3-Clause */
/* The host as a device: opening it, what goes out to it. */
#include "host.h"

#include "session_table.h"

static struct host the_host;

static struct host *host_of(const struct metal_device *dev)
{
	return metal_shm_device_data(dev, &shm__host_ops);
}

int shm__host_error(enum shm__code code, const char *what)
{
	switch (code) {
	case SHM__CODE_AGAIN:
		return shm__refuse(EAGAIN, "%s: it takes no more messages just now", what);
	case SHM__CODE_DOWN:
		return shm__refuse(ENOTCONN, "%s: it hasn't begun", what);
	case SHM__CODE_NOT_HELD:
		return shm__refuse(EINVAL, "%s: it didn't give just these bytes", what);
	case SHM__CODE_NO_MEMORY:
		return shm__refuse(ENOMEM, "%s: it has none", what);
	case SHM__CODE_FULL:
		return shm__refuse(ENOSPC, "%s: too many at a time", what);
	case SHM__CODE_REFUSED:
		return shm__refuse(EACCES, "%s: it doesn't want to", what);
	default:
		break;
	}
	return shm__refuse(EIO, "%s: code %d", what, (int)code);
}

static bool send_outs(struct host *host)
{
	const struct metal_shm_channel *channel = host->setup.channel;

	while (host->outs[0].size) {
		if (!channel->send(channel->data, host->outs[0].data, host->outs[0].size))
			return false;
		host->outs[0] = host->outs[1];
		host->outs[1].size = 0;
	}
	return true;
}

/* There is room for two, which is the most that come of one message: an answer and a refusal. */
void shm__host_push(struct host *host, const struct shm__out *out)
{
	if (!out->size)
		return;
	host->outs[host->outs[0].size ? 1 : 0] = *out;
	send_outs(host);
}

bool shm__host_is_given(struct host *host, const struct host_share *share, uint64_t offset,
			uint64_t length)
{
	struct shm__share *theirs = shm__side_used(&host->session.theirs, share->id);

	for (int i = 0; i < SHM_HOST_GIVES; i++)
		if (host->returns[i].share == share && host->returns[i].offset == offset &&
		    host->returns[i].length == length)
			return false;
	return theirs && shm__side_find_give(&host->session.theirs, theirs, offset, length);
}

/* The returns that waited, in order; what was sent or can't be is gone. */
static bool send_returns(struct host *host)
{
	struct host_return *first = &host->returns[0];
	struct shm__out out;

	while (first->share) {
		enum shm__code code =
			shm__session_return(&host->session, first->share->id, first->offset,
					    first->length, first->code, &out);

		if (code == SHM__CODE_AGAIN)
			return false;
		memmove(first, first + 1, sizeof(host->returns) - sizeof(*first));
		host->returns[SHM_HOST_GIVES - 1].share = NULL;
		shm__host_push(host, &out);
		if (host->outs[0].size)
			return false;
	}
	return true;
}

static bool send_unshared(struct host *host)
{
	struct shm__out out;

	for (int i = 0; i < SHM_HOST_SHARES; i++) {
		struct host_share *share = &host->shares[i];

		if (share->state != SHARE_LEAVING)
			continue;
		if (shm__session_unshared(&host->session, share->id, &out) == SHM__CODE_AGAIN)
			return false;
		share->state = SHARE_NONE;
		shm__host_push(host, &out);
		if (host->outs[0].size)
			return false;
	}
	return true;
}

/* Send what waited. True: another message may go, if the host grants it. */
bool shm__host_flush(struct host *host)
{
	return send_outs(host) && send_returns(host) && send_unshared(host);
}

/* The bytes are the host's again: tell it, now or when it takes messages. */
static int host_give(struct metal_device *dev, struct metal_shm_view *view,
		     const struct metal_shm_range *range, enum metal_shm_dir dir)
{
	struct host *host = host_of(dev);
	struct host_piece *piece = view->data;
	struct host_share *share = piece->share;
	int i = 0;

	(void)range;
	if (share->state != SHARE_LIVE)
		return shm__refuse(ENODEV, "the host began anew, the memory is void");
	if (!shm__host_is_given(host, share, piece->offset, piece->length))
		return shm__host_error(SHM__CODE_NOT_HELD, "the host can't have them back");
	while (host->returns[i].share)
		i++;
	host->returns[i] =
		(struct host_return){ share, piece->offset, piece->length, host->returning };
	piece->held++;
	piece->dir = dir;
	shm__host_flush(host);
	return 0;
}

static int host_constraints(struct metal_device *dev, const struct metal_shm_frame *frame,
			    struct metal_shm_constraints *ret)
{
	(void)dev;
	(void)frame;
	ret->access = METAL_SHM_ACCESS_DMA;
	return 0;
}

static int host_dispatch(struct metal_device *dev)
{
	shm__host_pump(host_of(dev));
	return 0;
}

const struct metal_shm_device_ops shm__host_ops = {
	.struct_size = sizeof(shm__host_ops),
	.allocate = shm__host_allocate,
	.release = shm__host_release,
	.properties = shm__host_properties,
	.map = shm__host_map,
	.unmap = shm__host_unmap,
	.sync_for_cpu = shm__host_for_cpu,
	.sync_for_device = shm__host_for_device,
	.constraints = host_constraints,
	.attach = shm__host_attach,
	.detach = shm__host_detach,
	.give = host_give,
	.dispatch = host_dispatch,
};

/* Another one at each start, as far as the clock tells. */
static uint32_t new_session(void)
{
	uint32_t number = (uint32_t)metal_shm_platform()->now_ns();

	return number ? number : 1;
}

int metal_shm_host_open(const struct metal_shm_host_setup *setup, struct metal_device **ret_host)
{
	struct host *host = &the_host;
	struct shm__session_setup session = {
		.theirs = { .shares = host->session_shares,
			    .gives = host->session_gives,
			    .share_count = SHM_HOST_SHARES,
			    .give_count = SHM_HOST_GIVES },
	};
	int error;

	if (!setup || !ret_host || setup->struct_size < sizeof(*setup) || !setup->channel ||
	    !setup->channel->send || !setup->channel->poll || !setup->channel->room ||
	    !setup->events || !setup->reach || !setup->reach_count || !metal_shm_platform())
		return shm__refuse(EINVAL, "a host needs a platform, a channel, events and "
					   "what is reached");
	if (host->dev)
		return shm__refuse(ENOSPC, "there is a host already");
	error = metal_shm_device_create(&shm__host_ops, "host", host, &host->dev);
	if (error)
		return error;
	host->setup = *setup;
	host->events = *setup->events;
	session.session = new_session();
	session.window = setup->channel->room;
	shm__session_init(&host->session, &session);
	*ret_host = host->dev;
	return 0;
}

static struct host *check(const struct metal_device *dev)
{
	return dev ? host_of(dev) : NULL;
}

int metal_shm_host_begin(struct metal_device *dev)
{
	struct host *host = check(dev);
	struct shm__out out;

	if (!host)
		return shm__refuse(EINVAL, "not the host");
	if (!shm__host_flush(host))
		return shm__host_error(SHM__CODE_AGAIN, "the host isn't told");
	shm__session_begin(&host->session, new_session(), &out);
	shm__host_push(host, &out);
	return 0;
}

int metal_shm_host_send(struct metal_device *dev, const void *message, size_t size)
{
	struct host *host = check(dev);
	enum shm__code code = SHM__CODE_AGAIN;
	struct shm__out out;

	if (!host || !message || !size || size > METAL_SHM_MESSAGE_MAX)
		return shm__refuse(EINVAL, "not the host, or no message of 1 to %d bytes",
				   METAL_SHM_MESSAGE_MAX);
	if (shm__host_flush(host))
		code = shm__session_send(&host->session, message, size, &out);
	if (code)
		return shm__host_error(code, "the message isn't sent");
	shm__host_push(host, &out);
	return 0;
}

int metal_shm_host_fail(struct metal_generic_shm *shm, struct metal_device *dev, int error)
{
	struct host *host = check(dev);
	int ret;

	if (!host || error >= 0)
		return shm__refuse(EINVAL, "not the host, or no error");
	host->returning = error == -ECANCELED ? SHM__CODE_CANCELLED : SHM__CODE_FAILED;
	ret = metal_shm_sync_for_device(shm, dev, METAL_SHM_DIR_DEV_RW);
	host->returning = SHM__CODE_OK;
	return ret;
}

int metal_shm_host_id(struct metal_generic_shm *shm, struct metal_device *dev, uint32_t *ret_id)
{
	const struct host_piece *piece = check(dev) ? metal_shm_view_data(shm, dev) : NULL;

	if (!piece || !ret_id)
		return shm__refuse(EINVAL, "not a handle that is attached to the host");
	*ret_id = piece->share->id;
	return 0;
}

int metal_shm_host_stats(const struct metal_device *dev, struct metal_shm_host_stats *ret)
{
	const struct host *host = check(dev);

	if (!host || !ret)
		return shm__refuse(EINVAL, "not the host, or NULL");
	*ret = (struct metal_shm_host_stats){
		.faults = host->session.faults,
		.stale = host->session.stale,
		.refused = host->session.refusals,
	};
	for (int i = 0; i < SHM_HOST_SHARES; i++)
		ret->shares += host->shares[i].state == SHARE_LIVE;
	return 0;
}
