/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guarded mappings, and the handler of faults that says who has what was touched. The handler takes no
 * lock and waits for nobody: records are never freed, only used again, and read between two looks at
 * their count of changes.
 */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <unwind.h>

#include "system.h"

/* A millisecond each, at a record that is changing: it may be the interrupted thread that changes it. */
#define LOOKS 1000

struct mark {
	atomic_size_t start, end;
	_Atomic uint32_t since_ms;
	atomic_int what;
	_Atomic(const char *) who, where;
};

struct marks {
	struct marks *smaller; /* that this one replaces; a handler may still look at it */
	size_t room;
	struct mark mark[];
};

struct shm__guarded {
	struct shm__guarded *next;
	atomic_bool used;
	atomic_uint changes; /* odd: changing now */
	atomic_uintptr_t address;
	atomic_size_t length; /* of the mapping; 0: there is none */
	atomic_size_t size;   /* of the memory */
	atomic_bool writable; /* where nobody holds it */
	_Atomic(const char *) source, name;
	_Atomic(struct marks *) marks;
	atomic_size_t count;
};

/* What is known of a touched byte. */
struct found {
	size_t offset, size;
	bool open; /* where nobody holds it it may be written */
	const char *source, *name;
	struct shm__mark mark; /* who: NULL where nobody is known to have it */
};

static _Atomic(struct shm__guarded *) all;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct sigaction before;
static atomic_bool spent; /* SA_RESETHAND: the one before was called */

bool shm__os_guard_wanted(void)
{
	static atomic_int known;
	int wanted = atomic_load_explicit(&known, memory_order_relaxed);
	const char *value;

	if (!wanted) {
		value = secure_getenv("LIBSHM_GUARD");
		wanted = value && !strcmp(value, "1") ? 1 : -1;
		atomic_store_explicit(&known, wanted, memory_order_relaxed);
	}
	return wanted > 0;
}

size_t shm__os_page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

int shm__os_protect(void *address, size_t length, int prot)
{
	int os_prot = (prot & METAL_SHM_READ ? PROT_READ : PROT_NONE) |
		      (prot & METAL_SHM_WRITE ? PROT_WRITE : PROT_NONE);

	return mprotect(address, length, os_prot) ? -errno : 0;
}

/* The library's name and that of its adapters begin alike. */
static bool is_ours(const Dl_info *module)
{
	const char *slash = strrchr(module->dli_fname, '/');

	return !strncmp(slash ? slash + 1 : module->dli_fname, "libshm", strlen("libshm"));
}

struct walk {
	uintptr_t from, found;
	bool reached;
};

static _Unwind_Reason_Code step(struct _Unwind_Context *context, void *user)
{
	uintptr_t address = _Unwind_GetIP(context);
	struct walk *walk = user;
	Dl_info module;

	walk->reached = walk->reached || address == walk->from;
	if (!walk->reached)
		return _URC_NO_REASON;
	if (!address || !dladdr((void *)address, &module) || !module.dli_fname)
		return _URC_END_OF_STACK;
	if (is_ours(&module))
		return _URC_NO_REASON;
	walk->found = address;
	return _URC_END_OF_STACK;
}

/* As addr2line takes it: the call itself, not what comes after it. */
void shm__os_call_site(const void *return_address, char text[static SHM__SITE_SIZE])
{
	struct walk walk = { .from = (uintptr_t)return_address };
	const ElfW(Ehdr) * header;
	Dl_info module;

	_Unwind_Backtrace(step, &walk);
	if (!walk.found)
		walk.found = walk.from;
	if (!dladdr((void *)walk.found, &module) || !module.dli_fname) {
		snprintf(text, SHM__SITE_SIZE, "address 0x%zx", (size_t)walk.found - 1);
		return;
	}
	header = module.dli_fbase;
	snprintf(text, SHM__SITE_SIZE, "%s+0x%zx", module.dli_fname,
		 (size_t)(walk.found - 1 -
			  (header->e_type == ET_EXEC ? 0 : (uintptr_t)module.dli_fbase)));
}

struct line {
	char text[1024];
	size_t length;
};

static void add(struct line *line, const char *text)
{
	while (*text && line->length < sizeof(line->text))
		line->text[line->length++] = *text++;
}

static void add_number(struct line *line, size_t number)
{
	char digits[24];
	size_t at = sizeof(digits) - 1;

	digits[at] = '\0';
	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	add(line, &digits[at]);
}

/* With its newline, in one piece if it can be. */
static void print(struct line *line)
{
	line->length -= line->length == sizeof(line->text);
	add(line, "\n");
	for (size_t at = 0; at < line->length;) {
		ssize_t n = write(STDERR_FILENO, line->text + at, line->length - at);

		if (n < 0 && errno != EINTR)
			break;
		at += n > 0 ? (size_t)n : 0;
	}
}

static void say(const struct found *found)
{
	static const char *const what[] = {
		[SHM__MARK_WRITES] = ", writing,",
		[SHM__MARK_READS] = ", reading,",
		[SHM__MARK_STALE] = ", which a device wrote and nobody took back,",
	};
	const struct shm__mark *mark = &found->mark;
	struct line line = { .length = 0 };

	add(&line, mark->who && mark->what == SHM__MARK_READS ? "libshm: stray write to "
							      : "libshm: stray access to ");
	add(&line, found->name ? found->name : "a buffer");
	add(&line, " of ");
	add(&line, found->source ? found->source : "an unknown source");
	add(&line, " (");
	add_number(&line, found->size);
	add(&line, " bytes) at offset ");
	add_number(&line, found->offset);
	if (mark->who) {
		add(&line, ": ");
		add(&line, mark->who);
		add(&line, " has bytes ");
		add_number(&line, mark->start);
		add(&line, " to ");
		add_number(&line, mark->end);
		add(&line, what[mark->what]);
		add(&line, " for ");
		add_number(&line, (uint32_t)(shm__os_now_ms() - mark->since_ms));
		add(&line, " ms; handed over ");
		add(&line, mark->where ? "by " : "before it was guarded");
		add(&line, mark->where ? mark->where : "");
	} else {
		add(&line, ": it was changing hands");
	}
	print(&line);
}

void shm__os_guard_say(const char *text)
{
	struct line line = { .length = 0 };

	add(&line, "libshm: ");
	add(&line, text);
	print(&line);
}

static void read_mark(struct mark *from, struct shm__mark *to)
{
	to->start = from->start;
	to->end = from->end;
	to->since_ms = from->since_ms;
	to->what = (enum shm__mark_what)from->what;
	to->who = from->who;
	to->where = from->where;
}

/* False: the record changed meanwhile. */
static bool look(struct shm__guarded *guarded, uintptr_t address, struct found *found,
		 bool *is_here)
{
	unsigned changes = guarded->changes;
	uintptr_t start = guarded->address;
	size_t length = guarded->length, count = guarded->count;
	struct marks *marks = guarded->marks;

	*is_here = address - start < length;
	*found = (struct found){ .offset = address - start, .size = guarded->size };
	found->open = guarded->writable;
	found->source = guarded->source;
	found->name = guarded->name;
	/* behind the memory's last byte the page is the last holder's */
	for (size_t i = 0; *is_here && marks && i < count && i < marks->room; i++) {
		struct shm__mark mark;

		read_mark(&marks->mark[i], &mark);
		if (found->offset >= mark.start &&
		    (found->offset < mark.end || mark.end == found->size))
			found->mark = mark;
	}
	return !(changes & 1) && guarded->changes == changes;
}

static bool find(uintptr_t address, struct found *found)
{
	for (struct shm__guarded *guarded = all; guarded; guarded = guarded->next) {
		bool is_here = false;

		for (int i = 0; i < LOOKS && !look(guarded, address, found, &is_here); i++)
			poll(NULL, 0, 1);
		if (is_here)
			return found->mark.who || found->open;
	}
	return false;
}

static void by_default(void)
{
	struct sigaction action = { .sa_handler = SIG_DFL };

	sigaction(SIGSEGV, &action, NULL);
}

/* Not ours: as if this handler weren't there. */
static void pass_on(int signal, siginfo_t *info, void *context)
{
	bool is_sent = info->si_code <= 0;
	bool is_spent = (before.sa_flags & (int)SA_RESETHAND) && atomic_exchange(&spent, true);

	if (!is_spent && (before.sa_flags & SA_SIGINFO)) {
		before.sa_sigaction(signal, info, context);
	} else if (is_spent || before.sa_handler == SIG_DFL) {
		/* a fault comes again when this returns */
		by_default();
		if (is_sent)
			raise(signal);
	} else if (before.sa_handler != SIG_IGN) {
		before.sa_handler(signal);
	} else if (!is_sent) {
		by_default();
	}
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	struct found found;
	int error = errno;

	if (info->si_code == SEGV_ACCERR && find((uintptr_t)info->si_addr, &found)) {
		say(&found);
		by_default();
		/* comes when this returns, where the fault was, even if the page is open by now */
		raise(signal);
	} else {
		pass_on(signal, info, context);
	}
	errno = error;
}

static void install(void)
{
	struct sigaction action = { .sa_sigaction = on_fault };

	sigaction(SIGSEGV, NULL, &before);
	action.sa_flags = SA_SIGINFO | SA_ONSTACK;
	if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
		action.sa_mask = before.sa_mask;
		action.sa_flags =
			SA_SIGINFO | (before.sa_flags & (SA_ONSTACK | SA_NODEFER | SA_RESTART));
	}
	sigaction(SIGSEGV, &action, NULL);
}

static struct shm__guarded *unused(void)
{
	struct shm__guarded *guarded;

	for (guarded = all; guarded; guarded = guarded->next)
		if (!atomic_exchange(&guarded->used, true))
			return guarded;
	guarded = shm__os_alloc(sizeof(*guarded));
	if (!guarded)
		return NULL;
	guarded->used = true;
	guarded->next = all;
	while (!atomic_compare_exchange_weak(&all, &guarded->next, guarded))
		;
	return guarded;
}

struct shm__guarded *shm__os_guard_new(void *address, size_t length, size_t size, bool writable,
				       const char *source, const char *name)
{
	struct shm__guarded *guarded = unused();

	if (!guarded)
		return NULL;
	guarded->changes++;
	guarded->address = (uintptr_t)address;
	guarded->length = length;
	guarded->size = size;
	guarded->writable = writable;
	guarded->source = source;
	guarded->name = name;
	guarded->count = 0;
	guarded->changes++;
	return guarded;
}

void shm__os_guard_end(struct shm__guarded *guarded)
{
	guarded->changes++;
	guarded->length = 0;
	guarded->count = 0;
	guarded->changes++;
	guarded->used = false;
}

static struct marks *more_room(struct marks *marks, size_t n)
{
	size_t room = n < 4 ? 4 : n + n / 2;
	struct marks *more = shm__os_alloc(sizeof(*more) + room * sizeof(more->mark[0]));

	if (!more)
		return marks;
	more->smaller = marks;
	more->room = room;
	return more;
}

size_t shm__os_guard_write(struct shm__guarded *guarded, size_t n)
{
	struct marks *marks = guarded->marks;

	if (n)
		pthread_once(&once, install);
	if (n && (!marks || marks->room < n))
		marks = more_room(marks, n);
	guarded->changes++;
	guarded->marks = marks;
	guarded->count = 0;
	return marks ? marks->room : 0;
}

void shm__os_guard_mark(struct shm__guarded *guarded, size_t i, const struct shm__mark *from)
{
	struct marks *marks = guarded->marks;
	struct mark *to = &marks->mark[i];

	to->start = from->start;
	to->end = from->end;
	to->since_ms = from->since_ms;
	to->what = from->what;
	to->who = from->who;
	to->where = from->where;
}

void shm__os_guard_written(struct shm__guarded *guarded, size_t n)
{
	guarded->count = n;
	guarded->changes++;
}
