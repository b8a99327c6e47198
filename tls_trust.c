/*
 * tls_trust.c - the certificate engine that BearSSL calls during the handshake.
 *
 * BearSSL's own validator knows DNS names only, while in a pod the host is mostly an address; so
 * the server's certificate is kept as it comes, and once the chain is found good its addresses are
 * looked at (tls_name.c).
 */
#include "tls_trust.h"

#include "net.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* --- curves: BearSSL's generic code for the NIST ones, and X25519 -------------------------------
 */

/* BearSSL's own choice adds special code for P-256 that makes it some milliseconds faster and the
 * program 11 KiB larger; a hook shakes hands once. */
static const br_ec_impl *curve_impl(int curve)
{
	return curve == BR_EC_curve25519 ? &br_ec_c25519_i31 : &br_ec_prime_i31;
}

static const unsigned char *generator(int curve, size_t *length)
{
	return curve_impl(curve)->generator(curve, length);
}

static const unsigned char *order(int curve, size_t *length)
{
	return curve_impl(curve)->order(curve, length);
}

static size_t xoff(int curve, size_t *length)
{
	return curve_impl(curve)->xoff(curve, length);
}

static uint32_t mul(
	unsigned char *point, size_t length, const unsigned char *x, size_t x_length, int curve)
{
	return curve_impl(curve)->mul(point, length, x, x_length, curve);
}

static size_t mulgen(unsigned char *result, const unsigned char *x, size_t x_length, int curve)
{
	return curve_impl(curve)->mulgen(result, x, x_length, curve);
}

static uint32_t muladd(unsigned char *a, const unsigned char *b, size_t length,
	const unsigned char *x, size_t x_length, const unsigned char *y, size_t y_length, int curve)
{
	return curve_impl(curve)->muladd(a, b, length, x, x_length, y, y_length, curve);
}

const br_ec_impl *tls_curves(void)
{
	static const br_ec_impl curves = {
		.supported_curves =
			UINT32_C(1) << BR_EC_secp256r1 | UINT32_C(1) << BR_EC_secp384r1 |
			UINT32_C(1) << BR_EC_secp521r1 | UINT32_C(1) << BR_EC_curve25519,
		.generator = generator,
		.order = order,
		.xoff = xoff,
		.mul = mul,
		.mulgen = mulgen,
		.muladd = muladd,
	};

	return &curves;
}

/* --- certificates --------------------------------------------------------------------------------
 */

/* BearSSL hands out the address of the vtable pointer, which is the first member. */
static struct tls_trust *trust_of(const br_x509_class **ctx)
{
	return (struct tls_trust *)(void *)ctx;
}

static void start_chain(const br_x509_class **ctx, const char *server_name)
{
	struct tls_trust *t = trust_of(ctx);

	(void)server_name; /* tls_trust_init() was told; BearSSL's is NULL for addresses */
	t->certificates = 0;
	t->leaf_length = 0;
	if (t->has_anchors)
		t->minimal.vtable->start_chain(&t->minimal.vtable, t->name);
}

static void start_cert(const br_x509_class **ctx, uint32_t length)
{
	struct tls_trust *t = trust_of(ctx);

	t->certificates++;
	if (t->has_anchors)
		t->minimal.vtable->start_cert(&t->minimal.vtable, length);
	else if (t->certificates == 1)
		br_x509_decoder_init(&t->decoder, NULL, NULL);
}

static void append(const br_x509_class **ctx, const unsigned char *buf, size_t length)
{
	struct tls_trust *t = trust_of(ctx);

	if (t->has_anchors)
		t->minimal.vtable->append(&t->minimal.vtable, buf, length);
	else if (t->certificates == 1)
		br_x509_decoder_push(&t->decoder, buf, length);
	if (t->certificates != 1 || t->address_length == 0)
		return;
	if (length > sizeof t->leaf - t->leaf_length) {
		t->is_leaf_too_long = true;
		return;
	}
	memcpy(t->leaf + t->leaf_length, buf, length);
	t->leaf_length += length;
}

static void end_cert(const br_x509_class **ctx)
{
	struct tls_trust *t = trust_of(ctx);

	if (t->has_anchors)
		t->minimal.vtable->end_cert(&t->minimal.vtable);
}

static unsigned end_chain(const br_x509_class **ctx)
{
	struct tls_trust *t = trust_of(ctx);
	unsigned error;

	if (t->certificates == 0)
		return BR_ERR_X509_EMPTY_CHAIN;
	if (!t->has_anchors)
		return (unsigned)br_x509_decoder_last_error(&t->decoder);
	error = t->minimal.vtable->end_chain(&t->minimal.vtable);
	if (error != 0 || t->address_length == 0)
		return error;
	if (t->is_leaf_too_long || !tls_certificate_names_address(
					   t->leaf, t->leaf_length, t->address, t->address_length))
		return BR_ERR_X509_BAD_SERVER_NAME;
	return 0;
}

static const br_x509_pkey *get_pkey(const br_x509_class *const *ctx, unsigned *usages)
{
	const struct tls_trust *t = (const struct tls_trust *)(const void *)ctx;

	if (t->has_anchors)
		return t->minimal.vtable->get_pkey(&t->minimal.vtable, usages);
	if (usages != NULL)
		*usages = BR_KEYTYPE_KEYX | BR_KEYTYPE_SIGN;
	return t->decoder.decoded && t->decoder.err == 0 ? &t->decoder.pkey : NULL;
}

static const br_x509_class trust_class = {
	.context_size = sizeof(struct tls_trust),
	.start_chain = start_chain,
	.start_cert = start_cert,
	.append = append,
	.end_cert = end_cert,
	.end_chain = end_chain,
	.get_pkey = get_pkey,
};

static void init_minimal(struct tls_trust *t)
{
	enum { DAYS_TO_1970 = 719528, SECONDS_A_DAY = 86400 }; /* BearSSL counts from the year 0 */
	br_x509_minimal_context *m = &t->minimal;
	time_t now = time(NULL);

	br_x509_minimal_init(m, &br_sha256_vtable, t->anchors.list, t->anchors.count);
	br_x509_minimal_set_hash(m, br_sha256_ID, &br_sha256_vtable);
	br_x509_minimal_set_hash(m, br_sha384_ID, &br_sha384_vtable);
	br_x509_minimal_set_hash(m, br_sha512_ID, &br_sha512_vtable);
	br_x509_minimal_set_rsa(m, br_rsa_i31_pkcs1_vrfy);
	br_x509_minimal_set_ecdsa(m, tls_curves(), br_ecdsa_i31_vrfy_asn1);
	br_x509_minimal_set_time(
		m, (uint32_t)(now / SECONDS_A_DAY) + DAYS_TO_1970, (uint32_t)(now % SECONDS_A_DAY));
}

void tls_trust_init(struct tls_trust *trust, const char *name, const struct tls_anchors *anchors)
{
	struct net_address address;

	memset(trust, 0, sizeof *trust);
	trust->vtable = &trust_class;
	trust->name = name;
	if (net_parse_address(span_of(name), &address)) {
		trust->name = NULL;
		if (address.any.sa_family == AF_INET) {
			trust->address_length = sizeof address.v4.sin_addr;
			memcpy(trust->address, &address.v4.sin_addr, trust->address_length);
		} else {
			trust->address_length = sizeof address.v6.sin6_addr;
			memcpy(trust->address, &address.v6.sin6_addr, trust->address_length);
		}
	}
	if (anchors == NULL)
		return;
	trust->has_anchors = true;
	trust->anchors = *anchors;
	init_minimal(trust);
}

void tls_trust_free(struct tls_trust *trust)
{
	tls_anchors_free(&trust->anchors);
}
