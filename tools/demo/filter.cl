/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * YUYV to XR24 with outlines: few dim colours, bright where the light changes. Whole numbers only, so
 * that reference.c gives the same bits on any processor. One work-item makes two pixels of a line.
 */
int luma(global const uchar *line, int x)
{
	return line[2 * x];
}

uint channel(int value)
{
	return (uint)clamp(value, 0, 65535) >> 8;
}

/* Four steps of each colour, dimmed, and the outline's light on top. */
uint lit(uint colour, uint outline)
{
	return min((colour & 0xc0) / 4 * 3 + outline, 255u);
}

uint pixel(int y, int u, int v, int across, int down)
{
	int light = 298 * (y - 16) + 128;
	uint outline = min((uint)(abs(across) + abs(down)) * 2, 255u);
	uint red = channel(light + 409 * v);
	uint green = channel(light - 100 * u - 208 * v);
	uint blue = channel(light + 516 * u);

	/* a little steadiness against noise */
	outline = outline > 24 ? outline : 0;
	return 0xff000000 | lit(red, outline) << 16 | lit(green, outline) << 8 | lit(blue, outline);
}

kernel void filter(global const uchar *in, uint in_stride, global uchar *out, uint out_stride)
{
	int x = get_global_id(0) * 2, y = get_global_id(1);
	int last = get_global_size(0) * 2 - 1, bottom = get_global_size(1) - 1;
	global const uchar *line = in + (ulong)y * in_stride;
	global const uchar *above = in + (ulong)max(y - 1, 0) * in_stride;
	global const uchar *below = in + (ulong)min(y + 1, bottom) * in_stride;
	global uint *to = (global uint *)(out + (ulong)y * out_stride);
	int y0 = luma(line, x), y1 = luma(line, x + 1);
	int u = line[2 * x + 1] - 128, v = line[2 * x + 3] - 128;

	to[x] = pixel(y0, u, v, y1 - luma(line, max(x - 1, 0)), luma(below, x) - luma(above, x));
	to[x + 1] = pixel(y1, u, v, luma(line, min(x + 2, last)) - y0,
			  luma(below, x + 1) - luma(above, x + 1));
}
