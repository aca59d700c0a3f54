/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the kernel's sync of a DMA-BUF costs, START and END: by the memory's size, heap and number of
 * attachments, beside what libshm does instead. All cases take turns. Board only.
 *
 * usage: on-board ROUNDS     for each case: memory, bytes, attachments, picoseconds, the fewest
 */
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/dma-buf.h>
#include <linux/udmabuf.h>

#include <shm/linux.h>

#include "clock.h"
#include "fake.h"
#include "importer.h"

#define PAGE   4096u
#define CASES  64
#define ENOUGH 2000000u /* ns of a turn at least, beside which the clock costs nothing */
#define MEMORY ((size_t)64 << 20)

struct job {
	char name[32];
	size_t size;
	unsigned attachments;
	int fd;                        /* START and END; or */
	struct metal_generic_shm *shm; /* a hand-over and back */
	struct metal_device *dev;
	enum metal_shm_dir dir;
	unsigned times_a_turn;
	uint64_t *times;
};

static const size_t sizes[] = { PAGE, 16 * PAGE, 256 * PAGE, 4096 * PAGE, MEMORY };
static const size_t parts[] = { PAGE, 16 * PAGE, 64 * PAGE, 256 * PAGE, 4096 * PAGE };
static struct job jobs[CASES];
static size_t count, rounds;

static struct job *add(const char *name, size_t size, unsigned attachments)
{
	struct job *job = &jobs[count++];

	must(count <= CASES, "too many cases");
	snprintf(job->name, sizeof(job->name), "%s", name);
	*job = (struct job){ .size = size, .attachments = attachments, .fd = -1 };
	snprintf(job->name, sizeof(job->name), "%s", name);
	job->times = calloc(rounds, sizeof(*job->times));
	must(job->times != NULL, "memory");
	return job;
}

static void add_sync(const char *name, int fd, size_t size, unsigned attachments)
{
	struct board_attachment attachment;

	add(name, size, attachments)->fd = fd;
	for (unsigned i = 0; i < attachments; i++)
		importer_attach(fd, &attachment);
}

/* A memory for each number of attachments: one that is attached stays so. */
static void add_source(const char *name, size_t size)
{
	struct metal_device *source;

	must(!metal_shm_device_open(name, &source), name);
	for (unsigned attachments = 0; attachments < 3; attachments++) {
		struct metal_generic_shm *shm = metal_shm_allocate(size, source, 0);
		int fd = shm ? metal_shm_export(shm, METAL_SHM_EXPORT_DMABUF) : -1;

		must(fd >= 0, name);
		add_sync(name, fd, size, attachments);
	}
}

/* A udmabuf of some pages of a memory, and one of all. */
static void add_windows(void)
{
	struct udmabuf_create whole = { .flags = UDMABUF_FLAGS_CLOEXEC, .size = MEMORY };
	struct udmabuf_create window = { .flags = UDMABUF_FLAGS_CLOEXEC,
					 .offset = MEMORY / 2,
					 .size = PAGE };
	int node = open("/dev/udmabuf", O_RDWR | O_CLOEXEC), memory;

	memory = memfd_create("bench", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	must(node >= 0 && memory >= 0 && !ftruncate(memory, (off_t)MEMORY) &&
		     !fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK),
	     "memfd");
	/* pages lie anywhere on a machine that has run for a while */
	for (size_t i = 0; i < MEMORY / PAGE; i++)
		must(pwrite(memory, "", 1, (off_t)(i * 4099 % (MEMORY / PAGE) * PAGE)) == 1,
		     "memfd");
	whole.memfd = window.memfd = (unsigned)memory;
	for (unsigned attachments = 0; attachments < 3; attachments++) {
		int all = ioctl(node, UDMABUF_CREATE, &whole);
		int some = ioctl(node, UDMABUF_CREATE, &window);

		must(all >= 0 && some >= 0, "UDMABUF_CREATE");
		add_sync("whole", all, MEMORY, attachments);
		add_sync("window", some, PAGE, attachments);
	}
}

/* A part of a buffer that the program has mapped for writing. */
static void add_part(const char *name, struct metal_generic_shm *whole, size_t size,
		     struct metal_device *dev, enum metal_shm_dir dir,
		     enum metal_shm_view_mode mode)
{
	/* what is twice as large begins twice as far in: they don't overlap */
	struct metal_generic_shm *part = metal_shm_sub(whole, size, size, 0), *view;
	struct job *job;

	must(part != NULL, "sub");
	view = metal_shm_attach(part, dev);
	must(view && metal_shm_view_mode(view) == (int)mode, "attach");
	job = add(name, size, 0);
	job->shm = part;
	job->dev = dev;
	job->dir = dir;
}

static struct metal_generic_shm *mapped_memory(const char *source)
{
	struct metal_generic_shm *whole;
	struct metal_device *src;

	must(!metal_shm_device_open(source, &src), source);
	whole = metal_shm_allocate(MEMORY, src, 0);
	must(whole && metal_shm_map(whole, METAL_SHM_READ | METAL_SHM_WRITE), source);
	return whole;
}

/* Through libshm: parts that are copied, parts by windows, and what needs nothing. */
static void add_handovers(void)
{
	struct metal_device *dma = fake_importer_new("dma", METAL_SHM_ACCESS_DMA)->dev;
	struct metal_device *cpu = fake_importer_new("cpu", METAL_SHM_ACCESS_CPU_KERNEL)->dev;
	struct metal_generic_shm *whole = mapped_memory("heap:system");
	struct metal_generic_shm *pages = mapped_memory("udmabuf");
	struct metal_device *heap;
	struct job *job;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		add_part("copied", whole, parts[i], dma, METAL_SHM_DIR_DEV_R,
			 METAL_SHM_VIEW_SHADOW);
		add_part("by-window", pages, parts[i], dma, METAL_SHM_DIR_DEV_RW,
			 METAL_SHM_VIEW_WINDOW);
	}
	must(!metal_shm_device_open("heap:system", &heap), "heap:system");
	whole = metal_shm_allocate(MEMORY, heap, 0);
	must(whole && metal_shm_attach(whole, cpu), "attach");
	job = add("elided", MEMORY, 0);
	job->shm = whole;
	job->dev = cpu;
	job->dir = METAL_SHM_DIR_DEV_R;
}

static void sync_fd(int fd, uint64_t flags)
{
	struct dma_buf_sync sync = { .flags = flags | DMA_BUF_SYNC_RW };

	if (ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync)) {
		perror("DMA_BUF_IOCTL_SYNC");
		exit(1);
	}
}

static uint64_t run(const struct job *job, unsigned times)
{
	uint64_t begin = now_ns();

	for (unsigned i = 0; i < times; i++) {
		if (!job->shm) {
			sync_fd(job->fd, DMA_BUF_SYNC_START);
			sync_fd(job->fd, DMA_BUF_SYNC_END);
			continue;
		}
		must(!metal_shm_sync_for_device(job->shm, job->dev, job->dir), "sync_for_device");
		must(!metal_shm_sync_for_cpu(job->shm, job->dir), "sync_for_cpu");
	}
	return now_ns() - begin;
}

static void measure(void)
{
	for (size_t i = 0; i < count; i++) {
		jobs[i].times_a_turn = 1;
		while (run(&jobs[i], jobs[i].times_a_turn) < ENOUGH)
			jobs[i].times_a_turn *= 2;
	}
	for (size_t round = 0; round < rounds; round++) {
		for (size_t i = 0; i < count; i++) {
			const unsigned times = jobs[i].times_a_turn;

			must(times > 0, "too fast");
			jobs[i].times[round] = run(&jobs[i], times) * 1000 / times;
		}
	}
}

/* What else the machine does only adds to it. */
static uint64_t fewest(const uint64_t times[])
{
	uint64_t found = times[0];

	for (size_t round = 1; round < rounds; round++)
		if (times[round] < found)
			found = times[round];
	return found;
}

int main(int argc, char **argv)
{
	rounds = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
	if (!rounds) {
		fprintf(stderr, "usage: on-board ROUNDS\n");
		return 2;
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		add_source("heap:system", sizes[i]);
		add_source("udmabuf", sizes[i]);
		if (sizes[i] < MEMORY) /* there is less of it */
			add_source("heap:reserved", sizes[i]);
	}
	add_windows();
	add_handovers();
	measure();
	for (size_t i = 0; i < count; i++)
		printf("%s %zu %u %llu\n", jobs[i].name, jobs[i].size, jobs[i].attachments,
		       (unsigned long long)fewest(jobs[i].times));
	return 0;
}
