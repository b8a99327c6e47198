/*
 * fuzz_ca.c - CA files: PEM and the certificates in it, in pieces of the size that the first byte
 * says.
 */
#include "fuzz.h"

#include "../tls_ca.c"

/* Everything that an anchor points to lies in its bytes, one part after another. */
static void check_anchors(const struct tls_anchors *anchors, size_t length)
{
	const unsigned char *at = anchors->bytes;

	require(anchors->count > 0);
	for (size_t i = 0; i < anchors->count; i++) {
		const br_x509_trust_anchor *a = &anchors->list[i];

		require(a->dn.data == at);
		at += a->dn.len;
		if (a->pkey.key_type == BR_KEYTYPE_RSA) {
			require(a->pkey.key.rsa.n == at);
			at += a->pkey.key.rsa.nlen;
			require(a->pkey.key.rsa.e == at);
			at += a->pkey.key.rsa.elen;
		} else {
			require(a->pkey.key_type == BR_KEYTYPE_EC && a->pkey.key.ec.q == at);
			at += a->pkey.key.ec.qlen;
		}
	}
	require(at <= anchors->bytes + length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct loader l = {.der = {.at = NULL}};
	struct tls_anchors anchors;
	const char *problem;
	size_t piece;

	if (size == 0)
		return 0;
	piece = data[0] == 0 ? CHUNK : data[0];
	br_pem_decoder_init(&l.pem);
	for (size_t at = 1; at < size; at += piece)
		feed(&l, (const char *)data + at, size - at < piece ? size - at : piece);
	problem = finish(&l, &anchors);
	if (problem == NULL)
		check_anchors(&anchors, l.pool.length);
	tls_anchors_free(&anchors);
	return 0;
}
