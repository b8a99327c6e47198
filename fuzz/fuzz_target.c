/*
 * fuzz_target.c - texts of targets and hooks, and the certificate that a TLS server sends (its
 * address names). libFuzzer: clang -fsanitize=fuzzer,address,undefined.
 */
#include "target.h"
#include "fuzz.h"
#include "tls_trust.h"

#include <stdlib.h>
#include <string.h>

static void check_span(struct span span, const char *text, size_t length)
{
	if (span.length > 0)
		require(span.at >= text && span.at + span.length <= text + length);
	for (size_t i = 0; i < span.length; i++)
		require((unsigned char)span.at[i] >= ' ' && span.at[i] != 0x7f);
}

static void check_target(const struct target *t, const char *text, size_t length)
{
	bool is_network = t->kind != TARGET_UNIX && t->kind != TARGET_FILE;

	check_span(t->host, text, length);
	check_span(t->path, text, length);
	check_span(t->method, text, length);
	require(is_network ? t->port != 0 : t->path.length > 0);
	require(t->kind == TARGET_HTTP || t->kind == TARGET_HTTPS || t->method.length == 0);
	if (t->kind == TARGET_HTTP || t->kind == TARGET_HTTPS) {
		struct http_call call = {.method = t->method,
			.host = t->host,
			.is_bracketed = t->is_bracketed,
			.port = t->port,
			.path = t->path};
		char buf[4 * HTTP_REQUEST_MAX];
		size_t built = http_call_build(&call, buf, sizeof buf);

		require(built > 0 && memmem(buf, built - 1, "\r\n\r\n", 4) == NULL);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned char address[4] = {127, 0, 0, 1};
	char reason[TARGET_REASON_SIZE];
	struct target target;
	char *text = malloc(size + 1);
	size_t length;

	memcpy(text, data, size);
	text[size] = '\0';
	length = strlen(text);
	reason[0] = '\0';
	if (target_parse(text, &target, reason, sizeof reason) == 0)
		check_target(&target, text, length);
	else
		require(reason[0] != '\0');
	if (target_parse_hook(text, &target, reason, sizeof reason) == 0) {
		require(target_is_hook_url(text));
		check_target(&target, text, length);
	}
	(void)tls_certificate_names_address(data, size, address, sizeof address);
	free(text);
	return 0;
}
