/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Choosing memory: the cheapest source that really works with every device. What a device says of a
 * source is found out by using it once, since drivers refuse some buffers only at the last moment.
 */
#include <stdio.h>
#include <string.h>

#include "core.h"

#define MAX_CANDIDATES 64

struct candidate {
	char name[128];
	unsigned rank;
	bool put_off;             /* to the second round */
	struct metal_device *dev; /* given by the caller; NULL: open by name */
};

struct choice {
	size_t size, trial_size;
	const struct metal_shm_frame *frame;
	struct metal_device *const *devs;
	size_t n;
	metal_shm_type type;
	bool by_chance; /* the second round: with sources of which a buffer may suit */
	struct candidate candidates[MAX_CANDIDATES];
	size_t count;
	int shortage; /* of some source that would have done; 0: none */
	size_t length;
	char refusals[1500];
};

/* error is 0 where it wasn't tried yet */
static void note(struct choice *choice, const char *what, const char *source, int error)
{
	const char *why = metal_shm_last_error();
	int n = snprintf(choice->refusals + choice->length,
			 sizeof(choice->refusals) - choice->length, "%s %s: %s\n", what, source,
			 why);

	if (!choice->shortage && shm__is_shortage(error))
		choice->shortage = error;
	if (n > 0)
		choice->length += (size_t)n;
	if (choice->length >= sizeof(choice->refusals))
		choice->length = sizeof(choice->refusals) - 1;
	shm__log(METAL_SHM_LOG_INFO, "%s %s: %s", what, source, why);
}

struct naming {
	struct choice *choice;
	unsigned rank;
};

static int add_name(void *user, const char *name)
{
	struct naming *naming = user;
	struct choice *choice = naming->choice;

	if (choice->count == MAX_CANDIDATES)
		return 1;
	snprintf(choice->candidates[choice->count].name, sizeof(choice->candidates[0].name), "%s",
		 name);
	choice->candidates[choice->count].rank = naming->rank;
	choice->candidates[choice->count++].dev = NULL;
	return 0;
}

static int add_driver(void *user, const struct metal_shm_driver *driver)
{
	struct naming naming = { user, driver->rank };

	if (driver->enumerate)
		driver->enumerate(add_name, &naming);
	return 0;
}

static void add_device(struct choice *choice, struct metal_device *dev)
{
	if (choice->count == MAX_CANDIDATES)
		return;
	snprintf(choice->candidates[choice->count].name, sizeof(choice->candidates[0].name), "%s",
		 dev->name);
	choice->candidates[choice->count].rank = UINT32_MAX;
	choice->candidates[choice->count++].dev = dev;
}

/* Stable, so that a driver's own order stands. */
static void sort(struct choice *choice)
{
	for (size_t i = 1; i < choice->count; i++) {
		struct candidate moved = choice->candidates[i];
		size_t j = i;

		for (; j && choice->candidates[j - 1].rank > moved.rank; j--)
			choice->candidates[j] = choice->candidates[j - 1];
		choice->candidates[j] = moved;
	}
}

/* A device that only gives is the caller's wish; without one every source counts. */
static void collect(struct choice *choice)
{
	for (size_t i = 0; i < choice->n; i++)
		if (shm__gives(choice->devs[i]) && !shm__uses(choice->devs[i]))
			add_device(choice, choice->devs[i]);
	if (choice->count)
		return;
	shm__each_driver(add_driver, choice);
	for (size_t i = 0; i < choice->n; i++)
		if (shm__gives(choice->devs[i]))
			add_device(choice, choice->devs[i]);
	sort(choice);
}

static int merge_constraints(struct choice *choice)
{
	for (size_t i = 0; i < choice->n; i++) {
		struct metal_shm_constraints want = { .struct_size = sizeof(want) };
		int error;

		if (!shm__uses(choice->devs[i]))
			continue;
		error = choice->devs[i]->ops->constraints(choice->devs[i], choice->frame, &want);
		if (error)
			return error;
		if (want.trial_size > choice->trial_size && want.trial_size <= SIZE_MAX)
			choice->trial_size = (size_t)want.trial_size;
	}
	return 0;
}

static bool same_case(const struct shm__verdict *verdict, const char *source,
		      const struct choice *choice)
{
	static const struct metal_shm_frame none;

	return verdict->size == choice->trial_size && !strcmp(verdict->source, source) &&
	       !memcmp(&verdict->frame, choice->frame ? choice->frame : &none, sizeof(none));
}

static bool recall_verdict(struct metal_device *dev, const char *source,
			   const struct choice *choice, int *ret_error)
{
	struct shm__verdict *verdict;

	shm__mutex_lock(&dev->lock);
	for (verdict = dev->verdicts; verdict; verdict = verdict->next)
		if (same_case(verdict, source, choice))
			break;
	shm__mutex_unlock(&dev->lock);
	if (!verdict)
		return false;
	/* verdicts are never changed nor removed while the device lives */
	*ret_error = verdict->error;
	if (verdict->error)
		shm__error(-verdict->error, "%s", verdict->reason);
	return true;
}

static bool remember_verdict(struct metal_device *dev, const char *source,
			     const struct choice *choice, int error)
{
	struct shm__verdict *verdict = shm__os_alloc(sizeof(*verdict));

	if (!verdict)
		return false; /* it is tried again */
	snprintf(verdict->source, sizeof(verdict->source), "%s", source);
	if (choice->frame)
		verdict->frame = *choice->frame;
	verdict->size = choice->trial_size;
	verdict->error = error;
	if (error)
		snprintf(verdict->reason, sizeof(verdict->reason), "%s", metal_shm_last_error());
	shm__mutex_lock(&dev->lock);
	verdict->next = dev->verdicts;
	dev->verdicts = verdict;
	shm__mutex_unlock(&dev->lock);
	return true;
}

/*
 * A device refused a later buffer of a source that had passed: the newest verdict counts. The reason is
 * this thread's last. False: it could not be written down.
 */
bool shm__choice_revoke(size_t size, const struct metal_shm_frame *frame,
			struct metal_device *const devs[], size_t n, struct metal_device *dev,
			const struct metal_device *src, int error)
{
	struct choice *choice = shm__os_alloc(sizeof(*choice));
	bool done = false;

	if (!choice)
		return false;
	*choice = (struct choice){
		.size = size, .trial_size = size, .frame = frame, .devs = devs, .n = n
	};
	if (!merge_constraints(choice))
		done = remember_verdict(dev, src->name, choice, error);
	shm__os_free(choice);
	return done;
}

/* What could be otherwise next time is no verdict. */
static bool passing(int error)
{
	return shm__is_shortage(error) || error == -EINTR || error == -EBUSY ||
	       error == -ETIMEDOUT || error == -EAGAIN || error == -ENOTCONN || error == -EDQUOT;
}

static int try_with(struct metal_generic_shm *shm, struct metal_device *dev)
{
	struct metal_generic_shm *view = metal_shm_attach(shm, dev);
	int error;

	if (!view)
		return -errno;
	error = dev->ops->trial ? dev->ops->trial(dev, view) : 0;
	metal_shm_detach(view, dev);
	return error;
}

static int try_devices(struct choice *choice, struct metal_device *src)
{
	struct metal_generic_shm *shm = NULL;
	int error = 0;

	for (size_t i = 0; i < choice->n && !error; i++) {
		struct metal_device *dev = choice->devs[i];

		if (!shm__uses(dev) || recall_verdict(dev, src->name, choice, &error))
			continue;
		if (!shm) {
			shm = shm__allocate(choice->trial_size, src, choice->type);
			if (!shm)
				return -errno;
			if (choice->frame)
				error = metal_shm_frame_set(shm, choice->frame);
		}
		if (!error) {
			error = try_with(shm, dev);
			shm__count(NULL, dev, SHM__TRIALS, 1);
			if (error)
				shm__count(NULL, dev, SHM__REFUSALS, 1);
			if (!passing(error))
				remember_verdict(dev, src->name, choice, error);
		}
	}
	metal_shm_free(shm, NULL);
	return error;
}

/* Of two that may do, the one that does for sure: the other's buffers are looked at one by one. */
static bool is_put_off(const struct choice *choice, const struct metal_shm_properties *promise,
		       const struct metal_shm_constraints *want, const char *source,
		       const char *device)
{
	if (choice->by_chance || shm__promises_pieces(promise, want, choice->size))
		return false;
	shm__error(ERANGE, "%s takes up to %u pieces, and %s's memory may be in more", device,
		   want->max_segments, source);
	return true;
}

/* *ret_put_off: not tried in this round. */
static int try_source(struct choice *choice, struct metal_device *src, bool *ret_put_off)
{
	struct metal_shm_properties promise = { .struct_size = sizeof(promise) };
	int error = src->ops->properties(src, NULL, &promise);

	if (!error)
		error = shm__require(&promise, choice->type, src->name, NULL);
	for (size_t i = 0; i < choice->n && !error; i++) {
		struct metal_shm_constraints want = { .struct_size = sizeof(want) };
		struct metal_device *dev = choice->devs[i];

		if (!shm__uses(dev))
			continue;
		error = dev->ops->constraints(dev, choice->frame, &want);
		if (!error)
			error = shm__require(&promise, want.required, src->name, dev->name);
		if (!error && is_put_off(choice, &promise, &want, src->name, dev->name))
			*ret_put_off = true;
	}
	if (error)
		*ret_put_off = false;
	if (error || *ret_put_off)
		return error;
	return try_devices(choice, src);
}

/* One line from several: newlines become semicolons. */
static int no_source(const struct choice *choice)
{
	char text[sizeof(choice->refusals)];

	snprintf(text, sizeof(text), "%s", choice->refusals);
	for (char *at = text; *at; at++)
		if (*at == '\n')
			*at = at[1] ? ';' : '\0';
	return shm__error(choice->shortage ? -choice->shortage : ENOTSUP,
			  "no memory works with all devices: %s",
			  choice->count ? text : "there is no source");
}

/* *ret_src gets a reference. */
static bool choose_source(struct choice *choice, struct metal_device **ret_src)
{
	for (size_t i = 0; i < choice->count; i++) {
		struct candidate *candidate = &choice->candidates[i];
		struct metal_device *src = candidate->dev;
		bool opened = !src, put_off = false;
		int refusal = 0;

		if (choice->by_chance && !candidate->put_off)
			continue;
		if (opened)
			refusal = metal_shm_device_open(candidate->name, &src);
		if (refusal) {
			note(choice, "refused", candidate->name, refusal);
			continue;
		}
		refusal = try_source(choice, src, &put_off);
		if (!refusal && !put_off) {
			/* the caller's reference keeps an opened source; its buffers do so later */
			if (!opened)
				shm__device_ref(src);
			*ret_src = src;
			return true;
		}
		candidate->put_off = put_off;
		note(choice, put_off ? "put off" : "refused", src->name, refusal);
		if (opened)
			metal_shm_device_close(src);
	}
	return false;
}

/*
 * *ret_src gets a reference. *ret_why gets the story, to be freed with shm__os_free(); NULL when there
 * is no memory for it.
 */
int shm__choose(size_t size, const struct metal_shm_frame *frame, struct metal_device *const devs[],
		size_t n, metal_shm_type type, struct metal_device **ret_src, char **ret_why)
{
	struct choice *choice = shm__os_alloc(sizeof(*choice));
	bool found;
	int error;

	if (!choice)
		return shm__error(ENOMEM, "no memory to choose memory");
	*choice = (struct choice){
		.size = size, .trial_size = size, .frame = frame, .devs = devs, .n = n, .type = type
	};
	collect(choice);
	error = merge_constraints(choice);
	if (!error) {
		found = choose_source(choice, ret_src);
		choice->by_chance = true;
		if (!found && !choose_source(choice, ret_src))
			error = no_source(choice);
	}
	if (!error) {
		*ret_why = shm__os_alloc(choice->length + 1);
		if (*ret_why)
			snprintf(*ret_why, choice->length + 1, "%s", choice->refusals);
	}
	shm__os_free(choice);
	return error;
}

/* Whether a device's limits say that it may take one buffer of a source and not the next. */
static bool is_particular(struct metal_device *dev)
{
	struct metal_shm_constraints want = { .struct_size = sizeof(want) };

	return shm__uses(dev) && !dev->ops->constraints(dev, NULL, &want) &&
	       shm__limits_reach(&want);
}

/* -EAGAIN: a device took the source's memory before, and not this; choose again. */
static int allocate_once(size_t size, struct metal_device *const devs[], size_t n,
			 metal_shm_type type, struct metal_generic_shm **ret_shm)
{
	struct metal_generic_shm *shm, *view;
	struct metal_device *src = NULL;
	char *why = NULL;
	int error = shm__choose(size, NULL, devs, n, type, &src, &why);

	if (error)
		return error;
	shm = shm__allocate(size, src, type);
	if (!shm) {
		error = -errno;
		shm__os_free(why);
		goto drop_source;
	}
	shm->root->origin = why;
	for (size_t i = 0; i < n && !error; i++) {
		if (!is_particular(devs[i]))
			continue;
		view = metal_shm_attach(shm, devs[i]);
		if (view)
			metal_shm_detach(view, devs[i]);
		else if (!passing(-errno)) /* which tells nothing of the memory */
			error = -errno;
		if (error && shm__choice_revoke(size, NULL, devs, n, devs[i], src, error))
			error = -EAGAIN;
	}
	if (error)
		metal_shm_free(shm, NULL);
	else
		*ret_shm = shm;
drop_source:
	shm__device_unref(src);
	return error;
}

struct metal_generic_shm *metal_shm_allocate_for(size_t size, struct metal_device *const devs[],
						 size_t n, metal_shm_type shm_type)
{
	struct metal_generic_shm *shm = NULL;
	int error = shm__enter();

	if (!error && (!size || (n && !devs) || n > SHM__MAX_DEVICES))
		error = shm__error(EINVAL, "a buffer of 0 bytes, or more than %d devices",
				   SHM__MAX_DEVICES);
	for (size_t i = 0; i < n && !error; i++)
		error = shm__device_check(devs[i]);
	if (!error)
		error = shm__type_check(shm_type);
	if (!error) {
		/* each time a source more is ruled out */
		do
			error = allocate_once(size, devs, n, shm_type, &shm);
		while (error == -EAGAIN);
	}
	if (error) {
		shm__os_set_errno(-error);
		return NULL;
	}
	return shm;
}
