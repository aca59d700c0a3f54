/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fstatfs(), ioctl() and poll() as the whole process calls them: the program exports them, so they come
 * before the C library's. For descriptors that are no fake they are plain system calls.
 */
#include <shm_test.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <linux/magic.h>

#include "fake_dmabuf.h"

#define MANY_FDS      128
#define HIGHEST_FD    512
#define GENEROUS_MS   20000
#define NOBODYS_BYTES 0xee

struct failure {
	int error;
	unsigned times;
};

struct fake_dmabuf {
	struct fake_dmabuf *next;
	int fd;
	dev_t dev;
	ino_t ino;
	size_t size;
	unsigned char *cpu, *device;
	unsigned open; /* flags of a START without its END */
	struct failure failures[2];
	/* Readable where poll() on the DMA-BUF would find POLLIN or POLLOUT. */
	int in, out;
	bool fenced_for_readers, fenced_for_writers;
	short polled;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fake_dmabuf *fakes;
static struct fake_entry *entries;
static size_t entry_count, entry_room;

static void append(struct fake_entry entry)
{
	if (entry_count == entry_room) {
		entry_room = entry_room ? entry_room * 2 : 1024;
		entries = realloc(entries, entry_room * sizeof(*entries));
		if (!entries)
			abort();
	}
	entries[entry_count++] = entry;
}

/* Under the lock. */
static struct fake_dmabuf *find(int fd)
{
	struct fake_dmabuf *fake;
	struct stat st;

	if (!fakes || fd < 0 || fstat(fd, &st))
		return NULL;
	for (fake = fakes; fake; fake = fake->next)
		if (fake->ino == st.st_ino && fake->dev == st.st_dev)
			break;
	return fake;
}

/* ---- the system calls ---- */

int fstatfs(int fd, struct statfs *fs)
{
	int ret = (int)syscall(SYS_fstatfs, fd, fs);

	pthread_mutex_lock(&lock);
	if (!ret && find(fd))
		fs->f_type = DMA_BUF_MAGIC;
	pthread_mutex_unlock(&lock);
	return ret;
}

static int sync_fake(struct fake_dmabuf *fake, unsigned flags)
{
	enum fake_what what = flags & DMA_BUF_SYNC_END ? FAKE_END : FAKE_START;
	struct failure *failure = &fake->failures[what];
	unsigned access = flags & DMA_BUF_SYNC_RW;
	struct fake_entry entry = { .what = what, .dmabuf = fake, .flags = access };

	if (what == FAKE_START)
		entry.fenced = fake->fenced_for_readers ||
			       (access & DMA_BUF_SYNC_WRITE && fake->fenced_for_writers);
	if (failure->times) {
		failure->times--;
		entry.error = failure->error;
	} else if (what == FAKE_START) {
		/* One that joins others finds the same bytes and must not write below their hands. */
		if (memcmp(fake->cpu, fake->device, fake->size) != 0)
			memcpy(fake->cpu, fake->device, fake->size);
		fake->open |= access;
	} else {
		if (access & DMA_BUF_SYNC_WRITE)
			memcpy(fake->device, fake->cpu, fake->size);
		memset(fake->cpu, NOBODYS_BYTES, fake->size);
		fake->open = 0;
	}
	append(entry);
	return entry.error;
}

int ioctl(int fd, unsigned long request, ...)
{
	struct fake_dmabuf *fake = NULL;
	const struct dma_buf_sync *sync;
	int error = 0;
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (request != DMA_BUF_IOCTL_SYNC)
		return (int)syscall(SYS_ioctl, fd, request, arg);
	sync = arg;
	pthread_mutex_lock(&lock);
	fake = find(fd);
	error = fake ? sync_fake(fake, (unsigned)sync->flags) : ENOTTY;
	pthread_mutex_unlock(&lock);
	errno = error;
	return error ? -1 : 0;
}

/* What stands in for a fake is readable where the fake is what was asked for. */
static struct pollfd stand_in(const struct pollfd *asked)
{
	struct pollfd pollfd = *asked;
	struct fake_dmabuf *fake = find(asked->fd);

	if (!fake)
		return pollfd;
	fake->polled |= asked->events;
	pollfd.fd = asked->events & POLLOUT ? fake->out : fake->in;
	pollfd.events = POLLIN;
	return pollfd;
}

int poll(struct pollfd *fds, nfds_t count, int timeout)
{
	struct timespec left = { timeout / 1000, timeout % 1000 * 1000000L };
	struct pollfd real[MANY_FDS];
	int ret;

	if (count > MANY_FDS)
		abort();
	pthread_mutex_lock(&lock);
	for (nfds_t i = 0; i < count; i++)
		real[i] = stand_in(&fds[i]);
	pthread_mutex_unlock(&lock);
	ret = (int)syscall(SYS_ppoll, real, count, timeout < 0 ? NULL : &left, NULL, (size_t)8);
	for (nfds_t i = 0; ret >= 0 && i < count; i++) {
		fds[i].revents = real[i].revents;
		if (real[i].fd != fds[i].fd && real[i].revents & POLLIN)
			fds[i].revents = fds[i].events;
	}
	return ret;
}

/* ---- for the tests ---- */

struct fake_dmabuf *fake_new(size_t size)
{
	struct fake_dmabuf *fake = calloc(1, sizeof(*fake));
	struct stat st;

	assert_non_null(fake);
	fake->fd = memfd_create("fake-dmabuf", MFD_CLOEXEC);
	fake->in = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	fake->out = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(fake->fd >= 0 && fake->in >= 0 && fake->out >= 0);
	assert_int_equal(ftruncate(fake->fd, (off_t)size), 0);
	assert_int_equal(fstat(fake->fd, &st), 0);
	fake->dev = st.st_dev;
	fake->ino = st.st_ino;
	fake->size = size;
	fake->cpu = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fake->fd, 0);
	assert_ptr_not_equal(fake->cpu, MAP_FAILED);
	fake->device = calloc(1, size);
	assert_non_null(fake->device);
	memset(fake->cpu, NOBODYS_BYTES, size);
	pthread_mutex_lock(&lock);
	fake->next = fakes;
	fakes = fake;
	pthread_mutex_unlock(&lock);
	return fake;
}

/*
 * How many descriptors of the process are of this file. By name: to look at one by its number while its
 * owner closes it is a race to the thread sanitizer.
 */
static unsigned descriptors(const struct fake_dmabuf *fake)
{
	unsigned count = 0;
	struct stat st;
	char name[32];

	for (int fd = 0; fd < HIGHEST_FD; fd++) {
		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		count += !stat(name, &st) && st.st_ino == fake->ino && st.st_dev == fake->dev;
	}
	return count;
}

/* The layer lets go when the runtime does, and that may be after the command's end. */
void fake_free(struct fake_dmabuf *fake)
{
	struct fake_dmabuf **link = &fakes;

	if (!fake)
		return;
	for (int ms = 0; descriptors(fake) > 1; ms++) {
		if (ms >= GENEROUS_MS)
			fail_msg("the layer keeps a descriptor of a DMA-BUF");
		usleep(1000);
	}
	pthread_mutex_lock(&lock);
	while (*link != fake)
		link = &(*link)->next;
	*link = fake->next;
	pthread_mutex_unlock(&lock);
	munmap(fake->cpu, fake->size);
	close(fake->fd);
	close(fake->in);
	close(fake->out);
	free(fake->device);
	free(fake);
}

int fake_fd(const struct fake_dmabuf *fake)
{
	return fake->fd;
}

unsigned char *fake_device(struct fake_dmabuf *fake)
{
	return fake->device;
}

void fake_fill(struct fake_dmabuf *fake, unsigned char value)
{
	pthread_mutex_lock(&lock);
	memset(fake->device, value, fake->size);
	pthread_mutex_unlock(&lock);
}

bool fake_holds(struct fake_dmabuf *fake, unsigned char value)
{
	bool holds = true;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < fake->size && holds; i++)
		holds = fake->device[i] == value;
	pthread_mutex_unlock(&lock);
	return holds;
}

void fake_reset(void)
{
	pthread_mutex_lock(&lock);
	free(entries);
	entries = NULL;
	entry_count = entry_room = 0;
	pthread_mutex_unlock(&lock);
}

void fake_note(int note)
{
	pthread_mutex_lock(&lock);
	append((struct fake_entry){ .what = FAKE_NOTE, .note = note });
	pthread_mutex_unlock(&lock);
}

size_t fake_log(struct fake_entry *copies, size_t room)
{
	size_t count;

	pthread_mutex_lock(&lock);
	count = entry_count < room ? entry_count : room;
	if (count)
		memcpy(copies, entries, count * sizeof(*copies));
	count = entry_count;
	pthread_mutex_unlock(&lock);
	return count;
}

void fake_print(void)
{
	static const char *const names[] = { "START", "END", "note" };

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < entry_count; i++)
		fprintf(stderr, "%zu: %s %p flags %u error %d fenced %d note %d\n", i,
			names[entries[i].what], (const void *)entries[i].dmabuf, entries[i].flags,
			entries[i].error, entries[i].fenced, entries[i].note);
	pthread_mutex_unlock(&lock);
}

static size_t search(enum fake_what what, const struct fake_dmabuf *fake, int note,
		     size_t *ret_count)
{
	size_t place = 0;

	*ret_count = 0;
	pthread_mutex_lock(&lock);
	for (size_t i = entry_count; i-- > 0;)
		if (entries[i].what == what && entries[i].dmabuf == fake &&
		    (what != FAKE_NOTE || entries[i].note == note)) {
			place = i;
			++*ret_count;
		}
	pthread_mutex_unlock(&lock);
	return place;
}

size_t fake_place(int note)
{
	size_t count, place = search(FAKE_NOTE, NULL, note, &count);

	if (!count) {
		fake_print();
		fail_msg("note %d was not taken", note);
	}
	return place;
}

size_t fake_await(int note)
{
	size_t count = 0;

	for (int ms = 0; ms < GENEROUS_MS && !count; ms++) {
		search(FAKE_NOTE, NULL, note, &count);
		usleep(count ? 0 : 1000);
	}
	return fake_place(note);
}

size_t fake_count(const struct fake_dmabuf *fake, enum fake_what what)
{
	size_t count;

	search(what, fake, 0, &count);
	return count;
}

size_t fake_only(const struct fake_dmabuf *fake, enum fake_what what, unsigned flags)
{
	size_t count, place = search(what, fake, 0, &count);
	unsigned found;

	if (count != 1) {
		fake_print();
		fail_msg("%zu syncs of kind %d where one is right", count, (int)what);
	}
	pthread_mutex_lock(&lock);
	found = entries[place].flags;
	pthread_mutex_unlock(&lock);
	assert_int_equal(found, flags);
	return place;
}

void fake_fail(struct fake_dmabuf *fake, enum fake_what what, int error, unsigned times)
{
	pthread_mutex_lock(&lock);
	fake->failures[what] = (struct failure){ error, times };
	pthread_mutex_unlock(&lock);
}

/* What reads excludes writers, what writes excludes everybody. */
void fake_fence(struct fake_dmabuf *fake, bool writes)
{
	eventfd_t value;

	pthread_mutex_lock(&lock);
	fake->fenced_for_writers = true;
	fake->fenced_for_readers = writes;
	eventfd_read(fake->out, &value);
	if (writes)
		eventfd_read(fake->in, &value);
	pthread_mutex_unlock(&lock);
}

void fake_signal(struct fake_dmabuf *fake)
{
	pthread_mutex_lock(&lock);
	fake->fenced_for_writers = fake->fenced_for_readers = false;
	eventfd_write(fake->out, 1);
	eventfd_write(fake->in, 1);
	pthread_mutex_unlock(&lock);
}

short fake_polled(struct fake_dmabuf *fake)
{
	short polled;

	pthread_mutex_lock(&lock);
	polled = fake->polled;
	pthread_mutex_unlock(&lock);
	return polled;
}
