/*
 * format.c - numbers, durations and times as text.
 *
 * No stdio and no heap: PID 1 and the child between vfork and exec both come through here.
 */
#include "format.h"

#include <stdbool.h>
#include <string.h>

#include "shim.h"

struct output {
	char *buf;
	size_t size;
	size_t length;
};

/* One conversion: %-08lld. */
struct spec {
	bool is_left;
	char fill;
	size_t width;
	int longs;
};

/* va_list is an array on some machines; inside a struct it can be handed down by pointer on all. */
struct arguments {
	va_list list;
};

static void put(struct output *out, char c)
{
	if (out->length + 1 < out->size)
		out->buf[out->length++] = c;
}

static void put_field(struct output *out, const struct spec *spec, const char *text, size_t length)
{
	size_t padding = spec->width > length ? spec->width - length : 0;

	if (spec->fill == '0' && length > 0 && *text == '-') {
		put(out, *text++);
		length--;
	}
	for (size_t i = 0; !spec->is_left && i < padding; i++)
		put(out, spec->fill);
	for (size_t i = 0; i < length; i++)
		put(out, text[i]);
	for (size_t i = 0; spec->is_left && i < padding; i++)
		put(out, ' ');
}

static void put_number(struct output *out, const struct spec *spec, unsigned long long value,
	bool is_negative, unsigned base)
{
	char digits[21];
	size_t first = sizeof digits;

	do {
		digits[--first] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value > 0);
	if (is_negative)
		digits[--first] = '-';
	put_field(out, spec, digits + first, sizeof digits - first);
}

static void put_signed(struct output *out, const struct spec *spec, struct arguments *args)
{
	long long value = spec->longs == 0   ? va_arg(args->list, int)
			  : spec->longs == 1 ? va_arg(args->list, long)
					     : va_arg(args->list, long long);

	/* Negated as unsigned: the smallest number has no positive twin. */
	put_number(out, spec, value < 0 ? 0 - (unsigned long long)value : (unsigned long long)value,
		value < 0, 10);
}

static void put_unsigned(
	struct output *out, const struct spec *spec, struct arguments *args, unsigned base)
{
	unsigned long long value = spec->longs == 0   ? va_arg(args->list, unsigned)
				   : spec->longs == 1 ? va_arg(args->list, unsigned long)
						      : va_arg(args->list, unsigned long long);

	put_number(out, spec, value, false, base);
}

static const char *read_spec(const char *fmt, struct spec *spec)
{
	*spec = (struct spec){.fill = ' '};
	for (; *fmt == '-' || *fmt == '0'; fmt++) {
		spec->is_left |= *fmt == '-';
		if (*fmt == '0')
			spec->fill = '0';
	}
	if (spec->is_left)
		spec->fill = ' ';
	for (; *fmt >= '0' && *fmt <= '9'; fmt++)
		if (spec->width < 1000)
			spec->width = spec->width * 10 + (size_t)(*fmt - '0');
	for (; *fmt == 'l'; fmt++)
		spec->longs++;
	return fmt;
}

static void put_conversion(
	struct output *out, char conversion, struct spec *spec, struct arguments *args)
{
	const char *text;
	char c;

	switch (conversion) {
	case 's':
		text = va_arg(args->list, const char *);
		if (!text)
			text = "(null)";
		spec->fill = ' ';
		put_field(out, spec, text, strlen(text));
		break;
	case 'c':
		c = (char)va_arg(args->list, int);
		put_field(out, spec, &c, 1);
		break;
	case 'd':
		put_signed(out, spec, args);
		break;
	case 'u':
		put_unsigned(out, spec, args, 10);
		break;
	case 'x':
		put_unsigned(out, spec, args, 16);
		break;
	default: /* "%%", and what is not known stands for itself */
		put(out, conversion);
		break;
	}
}

size_t vformat_text(char *buf, size_t size, const char *fmt, va_list args)
{
	struct output out = {buf, size, 0};
	struct arguments rest;
	struct spec spec;

	va_copy(rest.list, args);
	for (; *fmt != '\0'; fmt++) {
		if (*fmt != '%') {
			put(&out, *fmt);
			continue;
		}
		fmt = read_spec(fmt + 1, &spec);
		if (*fmt == '\0')
			break;
		put_conversion(&out, *fmt, &spec, &rest);
	}
	va_end(rest.list);
	buf[out.length] = '\0';
	return out.length;
}

size_t format_text(char *buf, size_t size, const char *fmt, ...)
{
	size_t length;
	va_list args;

	va_start(args, fmt);
	length = vformat_text(buf, size, fmt, args);
	va_end(args);
	return length;
}

char *format_duration(int64_t ns, char buf[DURATION_SIZE])
{
	long long tenths = (ns < 0 ? 0 : ns / (NS_PER_S / 10)) +
			   (ns > 0 && ns % (NS_PER_S / 10) >= NS_PER_S / 20);
	long long seconds = tenths / 10;
	long long minutes = seconds / 60;
	long long hours = minutes / 60;

	if (minutes == 0)
		format_text(buf, DURATION_SIZE, "%lld.%llds", seconds, tenths % 10);
	else if (hours == 0)
		format_text(buf, DURATION_SIZE, "%lldm%02llds", minutes, seconds % 60);
	else if (hours < 24)
		format_text(buf, DURATION_SIZE, "%lldh%02lldm", hours, minutes % 60);
	else
		format_text(buf, DURATION_SIZE, "%lldd%02lldh", hours / 24, hours % 24);
	return buf;
}

/* Not gmtime_r: glibc's reads TZ, takes a lock and may allocate. */
char *format_time(int64_t wall_ns, char buf[TIME_SIZE])
{
	int64_t left = wall_ns / 1000000000 % 86400;
	/* Days since 0000-03-01, so that the leap day is a year's last; eras are 400 years. */
	int64_t days = wall_ns / 1000000000 / 86400 + 719468;
	int64_t era = days / 146097, in_era = days % 146097;
	int64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	int64_t in_year = in_era - (365 * year + year / 4 - year / 100);
	int64_t from_march = (5 * in_year + 2) / 153;
	int64_t month = from_march < 10 ? from_march + 3 : from_march - 9;
	int64_t day = in_year - (153 * from_march + 2) / 5 + 1;

	format_text(buf, TIME_SIZE, "%04ld-%02d-%02dT%02d:%02d:%02d.%09ldZ",
		(long)(year + era * 400 + (month <= 2)), (int)month, (int)day, (int)(left / 3600),
		(int)(left / 60 % 60), (int)(left % 60), (long)(wall_ns % 1000000000));
	return buf;
}
