/*
 * target.c - the text of a TARGET or of an HTTP hook, taken apart and checked at start.
 *
 * Pure: nothing is resolved or opened. What passes here can go into a request as it is: no control
 * characters, no blanks, a port that is one.
 */
#include "target.h"

#include "format.h"
#include "tls.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/un.h>

enum { HOST_MAX = 253, PATH_MAX_LENGTH = 4096, METHOD_MAX = 16 };

static const char expected_target[] = "tcp://HOST:PORT, http://HOST[:PORT]/PATH, "
				      "https://HOST[:PORT]/PATH, unix:PATH or file:PATH";
static const char expected_hook[] = "[METHOD ]http://[HOST][:PORT]/PATH or [METHOD ]https://...";

static int fail(char *reason, size_t size, const char *words)
{
	format_text(reason, size, "%s", words);
	return -1;
}

static bool skip_prefix(struct span *text, const char *prefix)
{
	size_t length = strlen(prefix);

	if (text->length < length || !span_is_nocase((struct span){text->at, length}, prefix))
		return false;
	text->at += length;
	text->length -= length;
	return true;
}

static bool has_char(struct span text, char c)
{
	return text.length > 0 && memchr(text.at, c, text.length) != NULL;
}

static int parse_port(struct span digits, uint16_t *port)
{
	unsigned value = 0;

	if (digits.length == 0 || digits.length > 5)
		return -1;
	for (size_t i = 0; i < digits.length; i++) {
		if (digits.at[i] < '0' || digits.at[i] > '9')
			return -1;
		value = value * 10 + (unsigned)(digits.at[i] - '0');
	}
	if (value < 1 || value > 65535)
		return -1;
	*port = (uint16_t)value;
	return 0;
}

/* An IPv6 address, with or without a zone ("fe80::1%eth0"). */
static bool is_ipv6(struct span host)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;
	const char *zone = has_char(host, '%') ? memchr(host.at, '%', host.length) : NULL;
	size_t length = zone != NULL ? (size_t)(zone - host.at) : host.length;

	if (length == 0 || length >= sizeof text || (zone != NULL && length + 1 == host.length))
		return false;
	memcpy(text, host.at, length);
	text[length] = '\0';
	return inet_pton(AF_INET6, text, &address) == 1;
}

static bool is_host_name(struct span host)
{
	for (size_t i = 0; i < host.length; i++) {
		char c = host.at[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
			c != '-' && c != '.' && c != '_')
			return false;
	}
	return host.length <= HOST_MAX;
}

/* "[HOST][:PORT]", where HOST may be "[IPv6]". */
static const char *parse_authority(struct span text, struct target *target)
{
	const char *colon = NULL;
	struct span port = {NULL, 0};

	if (has_char(text, '@'))
		return "no user name or password in it (send them with a header)";
	if (text.length > 0 && text.at[0] == '[') {
		const char *end = memchr(text.at, ']', text.length);

		if (end == NULL)
			return "a ']' after the IPv6 address";
		target->host = (struct span){text.at + 1, (size_t)(end - text.at) - 1};
		target->is_bracketed = true;
		if (!is_ipv6(target->host))
			return "an IPv6 address between the brackets";
		text = (struct span){end + 1, text.length - target->host.length - 2};
		if (text.length > 0 && text.at[0] != ':')
			return "':PORT' or '/PATH' after the ']'";
		colon = text.length > 0 ? text.at : NULL;
	} else {
		colon = text.length > 0 ? memchr(text.at, ':', text.length) : NULL;
		target->host = (struct span){
			text.at, colon != NULL ? (size_t)(colon - text.at) : text.length};
		if (!is_host_name(target->host))
			return "a host name or an address";
	}
	if (colon == NULL)
		return target->port != 0 ? NULL : "a port from 1 to 65535";
	port = (struct span){colon + 1, (size_t)(text.at + text.length - colon) - 1};
	if (!target->is_bracketed && has_char(port, ':'))
		return "brackets around an IPv6 address ([::1]:80)";
	target->has_default_port = false;
	return parse_port(port, &target->port) == 0 ? NULL : "a port from 1 to 65535";
}

/* What stands after "http://" or "tcp://". */
static const char *parse_url(struct span rest, struct target *target)
{
	size_t end = 0;
	const char *fragment;

	while (end < rest.length && strchr("/?#", rest.at[end]) == NULL)
		end++;
	target->path = (struct span){rest.at + end, rest.length - end};
	fragment = has_char(target->path, '#') ? memchr(target->path.at, '#', target->path.length)
					       : NULL;
	if (fragment != NULL)
		target->path.length = (size_t)(fragment - target->path.at);
	if (target->path.length > PATH_MAX_LENGTH)
		return "a path of at most 4096 characters";
	return parse_authority((struct span){rest.at, end}, target);
}

static const char *parse_http(struct span rest, struct target *target)
{
	struct span url = rest;

	if (skip_prefix(&url, "http://")) {
		target->kind = TARGET_HTTP;
		target->port = 80;
	} else if (skip_prefix(&url, "https://")) {
		if (!tls_available())
			return "http:// (this shim was built without TLS)";
		target->kind = TARGET_HTTPS;
		target->port = 443;
	} else {
		return expected_hook;
	}
	target->has_default_port = true;
	return parse_url(url, target);
}

static const char *parse_tcp(struct span rest, struct target *target)
{
	const char *problem;

	target->kind = TARGET_TCP;
	problem = parse_url(rest, target);
	if (problem == NULL && target->path.length > 0)
		return "nothing after the port";
	return problem;
}

static const char *parse_path(struct span rest, enum target_kind kind, struct target *target)
{
	target->kind = kind;
	target->path = rest;
	if (rest.length == 0)
		return "a path after the colon";
	if (kind == TARGET_UNIX && rest.length >= sizeof((struct sockaddr_un *)0)->sun_path)
		return "a socket's path of at most 107 characters";
	return rest.length < PATH_MAX_LENGTH ? NULL : "a path of at most 4095 characters";
}

/* A line break in a URL would be a second line of the request. */
static const char *find_bad_char(struct span text, bool allows_blank)
{
	for (size_t i = 0; i < text.length; i++) {
		unsigned char c = (unsigned char)text.at[i];

		if (c < ' ' || c == 0x7f)
			return "no control characters";
		if (c == ' ' && !allows_blank)
			return "no blank in it (write %20)";
	}
	return NULL;
}

int target_parse(const char *text, struct target *target, char *reason, size_t size)
{
	struct span rest = span_of(text);
	const char *problem;
	bool is_path = true;

	*target = (struct target){.text = text};
	if (skip_prefix(&rest, "unix:")) {
		problem = parse_path(rest, TARGET_UNIX, target);
	} else if (skip_prefix(&rest, "file:")) {
		problem = parse_path(rest, TARGET_FILE, target);
	} else if (skip_prefix(&rest, "tcp://")) {
		problem = parse_tcp(rest, target);
		is_path = false;
	} else {
		problem = parse_http(rest, target);
		is_path = false;
		if (problem == expected_hook)
			problem = expected_target;
	}
	if (problem != expected_target && find_bad_char(rest, is_path) != NULL)
		problem = find_bad_char(rest, is_path);
	return problem == NULL ? 0 : fail(reason, size, problem);
}

/* "POST " in front of an URL; false when what stands there is no method. */
static bool take_method(struct span *text, struct span *method)
{
	size_t length = 0;

	while (length < text->length && text->at[length] >= 'A' && text->at[length] <= 'Z')
		length++;
	if (length == 0 || length > METHOD_MAX || length == text->length || text->at[length] != ' ')
		return false;
	*method = (struct span){text->at, length};
	while (length < text->length && text->at[length] == ' ')
		length++;
	text->at += length;
	text->length -= length;
	return true;
}

bool target_is_hook_url(const char *text)
{
	struct span rest = span_of(text);
	struct span method;

	(void)take_method(&rest, &method); /* there may be none */
	return skip_prefix(&rest, "http://") || skip_prefix(&rest, "https://");
}

bool target_is_method(const char *text)
{
	static const char methods[][8] = {"GET ", "HEAD ", "POST ", "PUT ", "PATCH ", "DELETE "};
	struct span rest = span_of(text);

	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++)
		if (skip_prefix(&rest, methods[i]))
			return true;
	return false;
}

int target_parse_hook(const char *text, struct target *target, char *reason, size_t size)
{
	struct span rest = span_of(text);
	const char *problem;

	*target = (struct target){.text = text};
	(void)take_method(&rest, &target->method); /* there may be none */
	problem = find_bad_char(rest, false);
	if (problem == NULL)
		problem = parse_http(rest, target);
	/* Its target is no path but another server. */
	if (problem == NULL && span_is(target->method, "CONNECT"))
		problem = "a method other than CONNECT";
	return problem == NULL ? 0 : fail(reason, size, problem);
}
