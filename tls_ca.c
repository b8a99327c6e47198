/*
 * tls_ca.c - a PEM file of CA certificates, as the trust anchors BearSSL wants. Uses the heap: a
 * system's whole bundle may be named.
 */
#include "tls_trust.h"

#include "tls.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = 4 * 1024 * 1024, CHUNK = 4096 };

/* Bytes that grow. */
struct bytes {
	unsigned char *at;
	size_t length;
	size_t room;
	bool is_broken; /* no memory, or too long */
};

/* A file on its way to anchors. */
struct loader {
	br_pem_decoder_context pem;
	struct bytes der; /* the certificate that is being read */
	struct tls_anchors anchors;
	bool is_certificate;
	bool is_broken; /* no memory, or no PEM */
};

static void bytes_add(void *ctx, const void *data, size_t length)
{
	struct bytes *b = ctx;

	if (length > FILE_MAX - b->length)
		b->is_broken = true;
	if (b->is_broken)
		return;
	if (b->length + length > b->room) {
		size_t room = 2 * (b->length + length);
		unsigned char *grown = realloc(b->at, room);

		if (grown == NULL) {
			b->is_broken = true;
			return;
		}
		b->at = grown;
		b->room = room;
	}
	memcpy(b->at + b->length, data, length);
	b->length += length;
}

static void *copy(const void *data, size_t length)
{
	void *new = malloc(length > 0 ? length : 1);

	if (new != NULL && length > 0)
		memcpy(new, data, length);
	return new;
}

static bool copy_key(br_x509_pkey *to, const br_x509_pkey *from)
{
	*to = *from;
	if (from->key_type == BR_KEYTYPE_RSA) {
		to->key.rsa.n = copy(from->key.rsa.n, from->key.rsa.nlen);
		to->key.rsa.e = copy(from->key.rsa.e, from->key.rsa.elen);
		return to->key.rsa.n != NULL && to->key.rsa.e != NULL;
	}
	to->key.ec.q = copy(from->key.ec.q, from->key.ec.qlen);
	return to->key.ec.q != NULL;
}

static bool add_anchor(
	struct tls_anchors *anchors, const struct bytes *dn, const br_x509_pkey *key, bool is_ca)
{
	br_x509_trust_anchor *list = realloc(anchors->list, (anchors->count + 1) * sizeof *list);
	br_x509_trust_anchor *anchor;

	if (list == NULL)
		return false;
	anchors->list = list;
	anchor = &list[anchors->count++];
	memset(anchor, 0, sizeof *anchor);
	anchor->dn.data = copy(dn->at, dn->length);
	anchor->dn.len = dn->length;
	/* A server's own certificate may be in the file: then just that one is trusted. */
	anchor->flags = is_ca ? BR_X509_TA_CA : 0;
	return copy_key(&anchor->pkey, key) && anchor->dn.data != NULL;
}

/* false: out of memory */
static bool add_certificate(struct tls_anchors *anchors, const struct bytes *der)
{
	br_x509_decoder_context decoder;
	struct bytes dn = {.at = NULL};
	const br_x509_pkey *key;
	bool ok = true;

	br_x509_decoder_init(&decoder, bytes_add, &dn);
	br_x509_decoder_push(&decoder, der->at, der->length);
	key = br_x509_decoder_get_pkey(&decoder);
	/* One with a key of a kind that BearSSL does not know makes the rest of a bundle no worse.
	 */
	if (key != NULL)
		ok = !dn.is_broken &&
		     add_anchor(anchors, &dn, key, br_x509_decoder_isCA(&decoder) != 0);
	free(dn.at);
	return ok;
}

static bool is_certificate_name(const char *name)
{
	return strcmp(name, "CERTIFICATE") == 0 || strcmp(name, "X509 CERTIFICATE") == 0;
}

static void begin_object(struct loader *l)
{
	l->is_certificate = is_certificate_name(br_pem_decoder_name(&l->pem));
	l->der.length = 0;
	br_pem_decoder_setdest(&l->pem, l->is_certificate ? bytes_add : NULL, &l->der);
}

static void end_object(struct loader *l)
{
	if (l->is_certificate && (l->der.is_broken || !add_certificate(&l->anchors, &l->der)))
		l->is_broken = true;
	l->is_certificate = false;
}

static void feed(struct loader *l, const char *data, size_t length)
{
	while (length > 0 && !l->is_broken) {
		size_t n = br_pem_decoder_push(&l->pem, data, length);

		data += n;
		length -= n;
		switch (br_pem_decoder_event(&l->pem)) {
		case BR_PEM_BEGIN_OBJ:
			begin_object(l);
			break;
		case BR_PEM_END_OBJ:
			end_object(l);
			break;
		case BR_PEM_ERROR:
			l->is_broken = true;
			break;
		default:
			break;
		}
	}
}

static int read_file(const char *path, struct loader *l)
{
	char chunk[CHUNK];
	size_t total = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	ssize_t n;
	int error;

	if (fd < 0)
		return -1;
	while ((n = read(fd, chunk, sizeof chunk)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || total > FILE_MAX)
			break;
		total += (size_t)n;
		feed(l, chunk, (size_t)n);
	}
	error = n < 0 ? errno : EFBIG;
	feed(l, "\n", 1); /* the last line may have no end */
	(void)close(fd);  /* was only read */
	errno = error;
	return n == 0 ? 0 : -1;
}

int tls_anchors_load(const char *path, struct tls_anchors *anchors, char *reason, size_t size)
{
	struct loader l = {.der = {.at = NULL}};
	const char *problem = NULL;

	br_pem_decoder_init(&l.pem);
	if (read_file(path, &l) != 0)
		problem = error_text(errno);
	else if (l.is_broken || l.is_certificate)
		problem = "broken PEM";
	else if (l.anchors.count == 0)
		problem = "no certificate in it that can be used (PEM is expected)";
	free(l.der.at);
	*anchors = l.anchors;
	if (problem == NULL)
		return 0;
	tls_anchors_free(anchors);
	format_text(reason, size, "CA file %s: %s", path, problem);
	return -1;
}

void tls_anchors_free(struct tls_anchors *anchors)
{
	for (size_t i = 0; i < anchors->count; i++) {
		br_x509_trust_anchor *anchor = &anchors->list[i];

		free(anchor->dn.data);
		if (anchor->pkey.key_type == BR_KEYTYPE_RSA) {
			free(anchor->pkey.key.rsa.n);
			free(anchor->pkey.key.rsa.e);
		} else {
			free(anchor->pkey.key.ec.q);
		}
	}
	free(anchors->list);
	*anchors = (struct tls_anchors){.list = NULL};
}

int tls_check_ca(const char *path, char *reason, size_t size)
{
	struct tls_anchors anchors;

	if (tls_anchors_load(path, &anchors, reason, size) != 0)
		return -1;
	tls_anchors_free(&anchors);
	return 0;
}
