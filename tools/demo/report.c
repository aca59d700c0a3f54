/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json.h>
#include <shm/device.h>
#include <shm/linux.h>
#include <shm/observe.h>

#include "report.h"

#define STAGES 4

struct stage {
	const char *what, *name;
	struct metal_device *dev;
	const struct demo_meter *meter;
	struct metal_generic_shm *shm; /* a frame that it leaves, or shows */
};

/* The story of a buffer, cut into what is told of it. */
struct origin {
	char text[2048];
	char *memory;
	char *refused[16]; /* "NAME: reason" each */
	unsigned refusals;
};

static double rate(const struct demo_meter *meter)
{
	if (meter->frames < 2 || meter->last_ns <= meter->first_ns)
		return 0;
	return (meter->frames - 1) * 1e9 / (double)(meter->last_ns - meter->first_ns);
}

static uint64_t bytes_copied(const struct metal_device *dev)
{
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };
	int error = dev ? metal_shm_device_stats(dev, &stats) : metal_shm_stats(&stats);

	return error ? UINT64_MAX : stats.bytes_copied;
}

static const char *after(const char *line, const char *start)
{
	size_t length = strlen(start);

	return strncmp(line, start, length) ? NULL : line + length;
}

static void read_origin(const struct metal_generic_shm *shm, struct origin *ret)
{
	char *save = NULL;

	*ret = (struct origin){ .memory = NULL };
	if (shm && metal_shm_explain(shm, ret->text, sizeof(ret->text)) < 0)
		return;
	for (char *line = strtok_r(ret->text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		const char *memory = after(line, "memory: "), *refused = after(line, "refused ");

		if (memory)
			ret->memory = line + (memory - line);
		else if (refused && ret->refusals < sizeof(ret->refused) / sizeof(ret->refused[0]))
			ret->refused[ret->refusals++] = line + (refused - line);
	}
}

static const char *why(const struct pipeline *p, const struct origin *origin)
{
	if (p->memory)
		return "as --memory says";
	return origin->refusals ? "the cheapest that works with its users"
				: "the cheapest there is, and its users take it";
}

static int stages_of(struct pipeline *p, struct stage ret[STAGES])
{
	int n = 0;

	ret[n++] =
		(struct stage){ "camera", p->camera.name, p->camera.dev, &p->captured, p->last.in };
	if (p->gpu.dev)
		ret[n++] = (struct stage){ "gpu", p->gpu.name, p->gpu.dev, &p->filtered, NULL };
	if (p->dsp.dev)
		ret[n++] = (struct stage){ "dsp", metal_shm_device_name(p->dsp.dev), p->dsp.dev,
					   &p->worked, NULL };
	ret[n++] = (struct stage){ "display", p->display.name, p->display.dev, &p->displayed,
				   p->last.out };
	return n;
}

/* Where the DSP finds the frame. */
static size_t pieces_of(const struct pipeline *p, uint64_t *ret_address)
{
	const struct metal_shm_segment *segments;
	size_t n;

	*ret_address = 0;
	if (!p->last.out ||
	    metal_shm_segments(metal_shm_view(p->last.out, p->dsp.dev), &segments, &n))
		return 0;
	*ret_address = segments[0].device_address;
	return n;
}

static void print_dsp(const struct pipeline *p)
{
	const struct dsp_control *control = &p->dsp.control;
	uint64_t address;
	size_t pieces = pieces_of(p, &address);

	printf("%s runs %s, in place in %zu piece%s from %#" PRIx64 "\n",
	       metal_shm_device_name(p->dsp.dev), p->dsp.firmware, pieces, pieces == 1 ? "" : "s",
	       address);
	printf("%-8s of the DSP: %u frames, %u refused, %.1f ms for the last\n", "counters",
	       control->frames, control->refused, (double)control->time_ns / 1e6);
}

static void print_gpu(struct pipeline *p)
{
	printf("%s, in place%s%s%s\n", p->gpu.name, p->last.in ? " by " : "",
	       p->last.in ? gpu_path(&p->gpu, p->last.in) : "",
	       gpu_has_layer(&p->gpu) ? ", OpenCL through libshm's layer" : "");
}

static void print_stage(struct pipeline *p, const struct stage *stage)
{
	const struct metal_shm_frame *frame = stage->shm ? metal_shm_frame_of(stage->shm) : NULL;
	struct origin origin;

	printf("%-8s %u frames, %.1f frames/s, %" PRIu64 " bytes copied: ", stage->what,
	       stage->meter->frames, rate(stage->meter), bytes_copied(stage->dev));
	if (!frame) {
		if (stage->meter == &p->filtered)
			print_gpu(p);
		else if (stage->meter == &p->worked)
			print_dsp(p);
		else
			printf("%s\n", stage->name);
		return;
	}
	read_origin(stage->shm, &origin);
	printf("%s, %.4s %ux%u in %s (%s)\n", stage->name, (const char *)&frame->fourcc,
	       frame->width, frame->height, origin.memory, why(p, &origin));
	for (unsigned i = 0; i < origin.refusals; i++)
		printf("         refused %s\n", origin.refused[i]);
}

void report_print(struct pipeline *p)
{
	struct stage stages[STAGES];
	int n = stages_of(p, stages);

	for (int i = 0; i < n; i++)
		print_stage(p, &stages[i]);
	if (p->skipped || p->camera.damaged)
		printf("%-8s %u frames came while others were on their way, %u were damaged\n",
		       "left out", p->skipped, p->camera.damaged);
	if (p->verify.wrong[0])
		printf("%-8s failed: %s\n", "check", p->verify.wrong);
	else if (p->options->check)
		printf("%-8s %u of %u displayed frames (%s) equal the reference in C\n", "check",
		       p->verify.frames, p->done, display_evidence(&p->display));
	fflush(stdout);
}

/* Which memory it is, whoever looks: the number of its file. */
static uint64_t inode_of(struct metal_generic_shm *shm)
{
	struct stat stat = { .st_ino = 0 };
	int fd = metal_shm_export(shm, 0);

	if (fd < 0)
		return 0;
	fstat(fd, &stat);
	close(fd);
	return stat.st_ino;
}

static void add(struct json_object *to, const char *key, struct json_object *value)
{
	json_object_object_add(to, key, value);
}

static void add_frame(const struct pipeline *p, struct json_object *json,
		      struct metal_generic_shm *shm)
{
	const struct metal_shm_frame *frame = metal_shm_frame_of(shm);
	struct json_object *refused = json_object_new_array();
	struct origin origin;

	read_origin(shm, &origin);
	for (unsigned i = 0; i < origin.refusals; i++)
		json_object_array_add(refused, json_object_new_string(origin.refused[i]));
	add(json, "format", json_object_new_string_len((const char *)&frame->fourcc, 4));
	add(json, "width", json_object_new_int64(frame->width));
	add(json, "height", json_object_new_int64(frame->height));
	add(json, "stride", json_object_new_int64(frame->plane[0].stride));
	add(json, "memory", json_object_new_string(origin.memory ? origin.memory : ""));
	add(json, "why", json_object_new_string(why(p, &origin)));
	add(json, "refused", refused);
	add(json, "inode", json_object_new_uint64(inode_of(shm)));
}

static struct json_object *stage_json(const struct pipeline *p, const struct stage *stage)
{
	struct json_object *json = json_object_new_object();

	add(json, "name", json_object_new_string(stage->name));
	add(json, "frames", json_object_new_int64(stage->meter->frames));
	add(json, "frames_per_second", json_object_new_double(rate(stage->meter)));
	add(json, "bytes_copied", json_object_new_uint64(bytes_copied(stage->dev)));
	if (stage->shm)
		add_frame(p, json, stage->shm);
	return json;
}

static struct json_object *check_json(const struct pipeline *p)
{
	struct json_object *json = json_object_new_object();

	add(json, "evidence", json_object_new_string(display_evidence(&p->display)));
	add(json, "equal", json_object_new_int64(p->verify.frames));
	add(json, "wrong", json_object_new_string(p->verify.wrong));
	if (p->verify.has_nonce)
		add(json, "nonce", json_object_new_int64(p->verify.nonce));
	return json;
}

static void add_gpu(struct pipeline *p, struct json_object *json)
{
	add(json, "reads_by", json_object_new_string(gpu_path(&p->gpu, p->last.in)));
	add(json, "writes_by", json_object_new_string(gpu_path(&p->gpu, p->last.out)));
	add(json, "layer", json_object_new_boolean(gpu_has_layer(&p->gpu)));
}

static void add_dsp(const struct pipeline *p, struct json_object *json)
{
	const struct dsp_control *control = &p->dsp.control;
	uint64_t address;
	size_t pieces = pieces_of(p, &address);

	add(json, "firmware", json_object_new_string(p->dsp.firmware));
	add(json, "pieces", json_object_new_uint64(pieces));
	add(json, "address", json_object_new_uint64(address));
	add(json, "given", json_object_new_int64(p->dsp.given));
	add(json, "done", json_object_new_int64(control->frames));
	add(json, "refused", json_object_new_int64(control->refused));
	add(json, "signed", json_object_new_int64(p->last.number));
	add(json, "time_ns", json_object_new_uint64(control->time_ns));
}

int report_json(struct pipeline *p, const char *path)
{
	struct json_object *json = json_object_new_object(), *stage;
	struct stage stages[STAGES];
	int error = 0, n = stages_of(p, stages);

	for (int i = 0; i < n; i++)
		add(json, stages[i].what, stage_json(p, &stages[i]));
	if (p->last.in && json_object_object_get_ex(json, "gpu", &stage))
		add_gpu(p, stage);
	if (json_object_object_get_ex(json, "dsp", &stage))
		add_dsp(p, stage);
	add(json, "frames", json_object_new_int64(p->done));
	add(json, "skipped", json_object_new_int64(p->skipped));
	add(json, "damaged", json_object_new_int64(p->camera.damaged));
	add(json, "first_sequence", json_object_new_int64(p->first_sequence));
	add(json, "last_sequence", json_object_new_int64(p->last.info.sequence));
	add(json, "bytes_copied", json_object_new_uint64(bytes_copied(NULL)));
	if (p->options->check)
		add(json, "check", check_json(p));
	if (json_object_to_file_ext(path, json, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED))
		error = metal_shm_set_error(errno ? errno : EIO, "%s: %s", path,
					    json_util_get_last_err());
	json_object_put(json);
	return error;
}
