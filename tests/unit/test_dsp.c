/* SPDX-License-Identifier: BSD-3-Clause */
/* What the DSP example does to a picture, beside a filter that goes pixel by pixel through a copy. */
#include <stdlib.h>
#include <string.h>

#include "dsp_image.h"
#include "shm_test.h"

static uint8_t lines[DSP_LINES][DSP_LINE_SIZE];

static struct dsp_image random_image(uint32_t width, uint32_t height, uint32_t bytes, uint32_t gap,
				     unsigned *seed)
{
	struct dsp_image image = {
		.width = width, .height = height, .stride = width * bytes + gap, .bytes = bytes
	};
	size_t size = (size_t)image.stride * height;

	image.pixels = malloc(size);
	assert_non_null(image.pixels);
	for (size_t i = 0; i < size; i++)
		image.pixels[i] = (uint8_t)rand_r(seed);
	return image;
}

static struct dsp_image copy_of(const struct dsp_image *image)
{
	struct dsp_image copy = *image;
	size_t size = (size_t)image->stride * image->height;

	copy.pixels = malloc(size);
	assert_non_null(copy.pixels);
	memcpy(copy.pixels, image->pixels, size);
	return copy;
}

static int at(const struct dsp_image *image, int x, int y, uint32_t colour)
{
	if (x < 0)
		x = 0;
	if (y < 0)
		y = 0;
	if (x >= (int)image->width)
		x = (int)image->width - 1;
	if (y >= (int)image->height)
		y = (int)image->height - 1;
	return image->pixels[(size_t)y * image->stride + (size_t)x * image->bytes + colour];
}

static uint8_t expected(const struct dsp_image *was, int x, int y, uint32_t i)
{
	int sum = 2 * at(was, x + 1, y + 1, i) - 2 * at(was, x - 1, y - 1, i) +
		  at(was, x, y + 1, i) + at(was, x + 1, y, i) + at(was, x, y, i) -
		  at(was, x, y - 1, i) - at(was, x - 1, y, i);

	return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

static void filters_in_place_what_a_copy_would_show(void **state)
{
	unsigned seed = 3;

	(void)state;
	for (unsigned round = 0; round < 40; round++) {
		struct dsp_image image = random_image(32 + round * 3, 16 + round % 7,
						      round % 2 ? 4 : 1, round % 5 * 4, &seed);
		struct dsp_image was = copy_of(&image);

		assert_true(dsp_fits(&image, (uint64_t)image.stride * image.height));
		dsp_filter(&image, lines);
		for (uint32_t y = 0; y < image.height; y++)
			for (uint32_t b = 0; b < image.stride; b++) {
				uint32_t x = b / image.bytes, i = b % image.bytes;
				uint8_t want = was.pixels[(size_t)y * image.stride + b];

				if (x < image.width && i < 3)
					want = expected(&was, (int)x, (int)y, i);
				assert_int_equal(image.pixels[(size_t)y * image.stride + b], want);
			}
		free(image.pixels);
		free(was.pixels);
	}
}

static void counts_each_pixel_by_its_brightness(void **state)
{
	uint32_t histogram[256], sum = 0;
	unsigned seed = 9;
	struct dsp_image image = random_image(40, 20, 4, 16, &seed);

	(void)state;
	for (uint32_t y = 0; y < 20; y++)
		for (uint32_t x = 0; x < 40; x++)
			memset(image.pixels + y * image.stride + x * 4, x < 10 ? 200 : 3, 3);
	dsp_count(&image, lines, histogram);
	for (int i = 0; i < 256; i++)
		sum += histogram[i];
	assert_int_equal(sum, 800);
	assert_int_equal(histogram[200], 200);
	assert_int_equal(histogram[3], 600);
	free(image.pixels);
}

static void signs_its_corner_and_nothing_else(void **state)
{
	unsigned seed = 4;
	uint16_t number;

	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		struct dsp_image image =
			random_image(33 + round, 17 + round, round % 2 ? 4 : 1, 8, &seed);
		struct dsp_image was = copy_of(&image);

		assert_false(dsp_signed(&image, &number));
		dsp_sign(&image, (uint16_t)(round * 3277));
		assert_true(dsp_signed(&image, &number));
		assert_int_equal(number, round * 3277);
		for (uint32_t y = 0; y < image.height; y++)
			for (uint32_t x = 0; x < image.width; x++) {
				size_t place = (size_t)y * image.stride + (size_t)x * image.bytes;
				bool in = y >= image.height - 16 && x >= image.width - 32;

				assert_true(in || image.pixels[place] == was.pixels[place]);
				assert_true(image.bytes == 1 ||
					    image.pixels[place + 3] == was.pixels[place + 3]);
			}
		free(image.pixels);
		free(was.pixels);
	}
}

/* Memory of its own for each piece, so that a step too far is one that the sanitizer sees. */
static size_t cut(const struct dsp_image *image, struct dsp_piece *pieces, unsigned *seed)
{
	size_t left = (size_t)image->stride * image->height, n = 0;
	const uint8_t *from = image->pixels;

	while (left) {
		size_t size = 1 + (size_t)rand_r(seed) % 700;

		size = size < left ? size : left;
		pieces[n] = (struct dsp_piece){ malloc(size), size };
		assert_non_null(pieces[n].bytes);
		memcpy(pieces[n++].bytes, from, size);
		from += size;
		left -= size;
	}
	return n;
}

static void a_picture_in_pieces_is_done_as_one_in_one_place(void **state)
{
	static struct dsp_piece pieces[64 * 64];
	uint32_t histogram[256], want[256];
	uint16_t number;
	unsigned seed = 12;

	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		struct dsp_image image = random_image(40 + round * 3, 17 + round % 7,
						      round % 2 ? 4 : 1, round % 5 * 4, &seed);
		struct dsp_image apart = image;
		const uint8_t *at = image.pixels;

		apart.pixels = NULL;
		apart.pieces = pieces;
		apart.piece_count = cut(&image, pieces, &seed);
		dsp_filter(&image, lines);
		dsp_filter(&apart, lines);
		dsp_count(&image, lines, want);
		dsp_count(&apart, lines, histogram);
		assert_memory_equal(histogram, want, sizeof(want));
		dsp_sign(&image, (uint16_t)round);
		dsp_sign(&apart, (uint16_t)round);
		assert_true(dsp_signed(&apart, &number));
		assert_int_equal(number, round);
		for (size_t i = 0; i < apart.piece_count; i++) {
			assert_memory_equal(pieces[i].bytes, at, pieces[i].size);
			at += pieces[i].size;
			free(pieces[i].bytes);
		}
		free(image.pixels);
	}
}

static void pictures_that_dont_fit_are_refused(void **state)
{
	const struct dsp_image good = { .width = 64, .height = 32, .stride = 256, .bytes = 4 };
	struct dsp_image bad = good;

	(void)state;
	assert_true(dsp_fits(&good, 256 * 32));
	assert_false(dsp_fits(&good, 256 * 32 - 1));
	bad.bytes = 3;
	assert_false(dsp_fits(&bad, 1u << 20));
	bad = good;
	bad.width = 31;
	assert_false(dsp_fits(&bad, 1u << 20));
	bad.width = DSP_WIDTH_MAX + 1;
	bad.stride = 1u << 16;
	assert_false(dsp_fits(&bad, UINT64_MAX));
	bad = good;
	bad.height = 15;
	assert_false(dsp_fits(&bad, 1u << 20));
	bad = good;
	bad.stride = 255;
	assert_false(dsp_fits(&bad, 1u << 20));
	bad = good;
	bad.height = bad.stride = UINT32_MAX;
	assert_false(dsp_fits(&bad, 1u << 20));
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(filters_in_place_what_a_copy_would_show),
		cmocka_unit_test(counts_each_pixel_by_its_brightness),
		cmocka_unit_test(signs_its_corner_and_nothing_else),
		cmocka_unit_test(a_picture_in_pieces_is_done_as_one_in_one_place),
		cmocka_unit_test(pictures_that_dont_fit_are_refused),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
